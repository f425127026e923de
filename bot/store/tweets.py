"""Tweets from draft to live."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Text,
    any_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from bot.core.errors import IdTaken
from bot.core.model import ProfileId, SlotId, Tweet, TweetId
from bot.core.posting.lifecycle import OPERATOR
from bot.core.posting.settling import DUPLICATE_REFUSED
from bot.core.states import UNSENT, LatePolicy, Origin, SlotStatus, TweetStatus, leading_to
from bot.ports import Tweets
from bot.store.rows.base import REVISION
from bot.store.rows.posting import PLANS, SLOTS, TWEETS
from bot.store.saving import why_not_saved
from bot.store.tweet_rows import TWEET_COLUMNS, as_tweet, tweet_values

_ALIVE = (
    TweetStatus.DRAFTED,
    TweetStatus.AWAITING_APPROVAL,
    TweetStatus.APPROVED,
    TweetStatus.PUBLISHING,
    TweetStatus.UNKNOWN,
)

# X said that the text is there, and never showed it.
_REFUSED_AS_DUPLICATE = (TWEETS.c.status == TweetStatus.FAILED) & (TWEETS.c.reason == DUPLICATE_REFUSED)

# A person saw what was written for a slot, and did not want it.
_TURNED_DOWN = (
    (TWEETS.c.status == TweetStatus.REJECTED)
    & (TWEETS.c.origin == Origin.SLOT)
    & TWEETS.c.writer.is_distinct_from(OPERATOR)
)

_ROOTS = TWEETS.alias("roots")
# A person's draft that was not sent at once is never sent: it is kept, and wished for again. So are a
# thread's parts, until its root is on its way.
_NOT_WISH = (TWEETS.c.origin != Origin.MANUAL) | (TWEETS.c.status != TweetStatus.DRAFTED)
_MEANT = or_(
    _NOT_WISH,
    exists().where(_ROOTS.c.id == TWEETS.c.thread_id, _ROOTS.c.status != TweetStatus.DRAFTED),
)


@dataclass(frozen=True)
class TweetTable(Tweets):
    """`tweets`."""

    connection: Connection

    def add(self, tweet: Tweet) -> Tweet:
        """Adds a row."""
        return as_tweet(self.connection.execute(_ADD, tweet_values(tweet)).mappings().one())

    def get(self, tweet_id: TweetId) -> Tweet:
        """One row.

        Raises:
            LookupError: there is none.
        """
        return self._one(_ONE, tweet_id)

    def of_slot(self, slot_id: SlotId) -> Tweet | None:
        """The slot's root tweet: the newest one of its own profile that is not rejected."""
        statement = (
            _TWEETS.join(
                SLOTS, (SLOTS.c.id == TWEETS.c.slot_id) & (SLOTS.c.profile_id == TWEETS.c.profile_id)
            )
            .where(SLOTS.c.id == slot_id, TWEETS.c.part == 1, TWEETS.c.status != TweetStatus.REJECTED)
            .order_by(TWEETS.c.created_at.desc())
            .limit(1)
        )
        row = self.connection.execute(statement).mappings().one_or_none()
        return None if row is None else as_tweet(row)

    def with_status(self, profile_id: ProfileId, *statuses: TweetStatus) -> Sequence[Tweet]:
        """Open tweets in these states, oldest intent first."""
        values = {"profile_id": profile_id, "statuses": statuses}
        return [as_tweet(row) for row in self.connection.execute(_OPEN, values).mappings()]

    def open(self, profile_id: ProfileId) -> Sequence[Tweet]:
        """Every tweet that is not at an end."""
        return self.with_status(profile_id, *_ALIVE)

    def parts(self, thread_id: TweetId) -> Sequence[Tweet]:
        """A thread's parts in order."""
        statement = _TWEETS.where(TWEETS.c.thread_id == thread_id).order_by(TWEETS.c.part)
        return [as_tweet(row) for row in self.connection.execute(statement).mappings()]

    def lock(self, tweet_id: TweetId) -> Tweet:
        """One row, locked to the transaction's end: what is decided of it can be saved.

        Raises:
            LookupError: there is none.
        """
        return self._one(_LOCK, tweet_id)

    def save(self, tweet: Tweet) -> Tweet:
        """Writes a row's next state over the one that it was computed from.

        Returns:
            The tweet as it may be saved again.

        Raises:
            RowChanged: the row was not locked, or has been saved since.
            ForbiddenTransition: the diagram does not lead from the row's state to this one.
            IdTaken: another row has the X id.
        """
        values = tweet_values(tweet) | {
            "tweet_id": tweet.id,
            "as_locked": tweet.revision,
            "from_states": [tweet.status, *leading_to(tweet.status)],
        }
        try:
            revision = self.connection.scalar(_SAVE, values)
        except IntegrityError as error:
            if "uq_tweets_x_tweet_id" not in str(error.orig):
                raise
            raise IdTaken(f"another tweet has X's id {tweet.x_tweet_id} already") from error
        if revision is None:
            raise why_not_saved(self.get(tweet.id).status, tweet.status)
        return replace(tweet, revision=revision)

    def lock_texts(self, profile_id: ProfileId) -> None:
        """Lets one transaction at a time judge and keep the profile's texts.

        A transaction-scoped advisory lock: it works behind transaction poolers.
        """
        self.connection.execute(_LOCK_TEXTS, {"name": f"texts of {profile_id}"})

    def fingerprints(
        self, profile_id: ProfileId, *, since: datetime, apart_from: Collection[TweetId] = ()
    ) -> Collection[str]:
        """Of all texts that are live since a moment, on their way, or meant to be.

        So are those that a person turned down for a slot: the writer must not bring them again.
        """
        statement = select(TWEETS.c.fingerprint).where(
            TWEETS.c.profile_id == profile_id,
            or_(
                (TWEETS.c.posted_at > since) & (TWEETS.c.status == TweetStatus.POSTED),
                (TWEETS.c.intent_at > since) & _REFUSED_AS_DUPLICATE,
                TWEETS.c.status.in_(_ALIVE) & _MEANT,
                (TWEETS.c.created_at > since) & _TURNED_DOWN,
            ),
        )
        if apart_from:
            statement = statement.where(TWEETS.c.id.not_in(apart_from))
        return set(self.connection.scalars(statement))

    def recent_texts(self, profile_id: ProfileId, *, limit: int) -> Sequence[str]:
        """The newest texts, drafts included, newest first."""
        live = (
            select(TWEETS.c.text, TWEETS.c.posted_at.label("at"))
            .where(TWEETS.c.profile_id == profile_id, TWEETS.c.posted_at.is_not(None))
            .order_by(TWEETS.c.posted_at.desc())
            .limit(limit)
        )
        refused = select(TWEETS.c.text, TWEETS.c.intent_at.label("at")).where(
            TWEETS.c.profile_id == profile_id, _REFUSED_AS_DUPLICATE
        )
        coming = select(TWEETS.c.text, TWEETS.c.created_at.label("at")).where(
            TWEETS.c.profile_id == profile_id, TWEETS.c.status.in_(_ALIVE), _MEANT
        )
        turned_down = (
            select(TWEETS.c.text, TWEETS.c.created_at.label("at"))
            .where(TWEETS.c.profile_id == profile_id, _TURNED_DOWN)
            .order_by(TWEETS.c.created_at.desc())
            .limit(limit)
        )
        both = live.union_all(coming, refused, turned_down).subquery()
        return list(self.connection.scalars(select(both.c.text).order_by(both.c.at.desc()).limit(limit)))

    def known_ids(self, x_tweet_ids: Sequence[str]) -> Collection[str]:
        """Those of the ids that a row holds already, whosever."""
        statement = select(TWEETS.c.x_tweet_id).where(TWEETS.c.x_tweet_id.in_(x_tweet_ids))
        return {known for known in self.connection.scalars(statement) if known is not None}

    def left_over(self, profile_id: ProfileId) -> Tweet | None:
        """The oldest draft without a slot: its slot was missed, or went with an older plan."""
        statement = (
            _TWEETS.outerjoin(SLOTS, SLOTS.c.id == TWEETS.c.slot_id)
            .outerjoin(PLANS, PLANS.c.id == SLOTS.c.plan_id)
            .where(
                TWEETS.c.profile_id == profile_id,
                TWEETS.c.status.in_(UNSENT),
                TWEETS.c.part == 1,
                TWEETS.c.origin == Origin.SLOT,
                or_(SLOTS.c.id.is_(None), SLOTS.c.status == SlotStatus.EXPIRED),
                or_(PLANS.c.id.is_(None), PLANS.c.late_policy == LatePolicy.MOVE),
            )
            .order_by(TWEETS.c.created_at)
            .limit(1)
        )
        row = self.connection.execute(statement).mappings().one_or_none()
        return None if row is None else as_tweet(row)

    def counts(self, profile_id: ProfileId) -> dict[str, int]:
        """How many tweets are in each open state."""
        statement = (
            select(TWEETS.c.status, func.count())
            .where(TWEETS.c.profile_id == profile_id, TWEETS.c.status.in_(_ALIVE), _NOT_WISH)
            .group_by(TWEETS.c.status)
        )
        return {status.value: number for status, number in self.connection.execute(statement)}

    def retry_now(self, profile_id: ProfileId) -> int:
        """Lets what waits for another try go at the next tick; returns how many."""
        waiting = self.connection.execute(
            update(TWEETS)
            .where(
                TWEETS.c.profile_id == profile_id,
                TWEETS.c.status == TweetStatus.APPROVED,
                TWEETS.c.next_attempt_at.is_not(None),
            )
            .values(next_attempt_at=None)
            .returning(TWEETS.c.id)
        )
        return len(waiting.all())

    def last_live(self, profile_id: ProfileId, *, limit: int) -> Sequence[Tweet]:
        """The newest tweets that say posted."""
        statement = (
            _TWEETS.where(
                TWEETS.c.profile_id == profile_id,
                TWEETS.c.posted_at.is_not(None),
                TWEETS.c.status == TweetStatus.POSTED,
            )
            .order_by(TWEETS.c.posted_at.desc())
            .limit(limit)
        )
        return [as_tweet(row) for row in self.connection.execute(statement).mappings()]

    def last_posted(self, profile_id: ProfileId) -> Tweet | None:
        """The newest live tweet."""
        return next(iter(self.last_live(profile_id, limit=1)), None)

    def _one(self, statement: Select[*tuple[Any, ...]], tweet_id: TweetId) -> Tweet:
        row = self.connection.execute(statement, {"tweet_id": tweet_id}).mappings().one_or_none()
        if row is None:
            raise LookupError(f"tweet {tweet_id} is gone")
        return as_tweet(row)


_LOCK_TEXTS = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=Text), 0)))
_TWEETS = select(*TWEET_COLUMNS)
# What ticks ask again and again is built once: building a statement takes longer than its answer.
_ADD = insert(TWEETS).returning(*TWEET_COLUMNS)
_ONE: Select[*tuple[Any, ...]] = _TWEETS.where(TWEETS.c.id == bindparam("tweet_id"))
_LOCK = _ONE.add_columns(REVISION).with_for_update()
_SAVE = (
    update(TWEETS)
    .where(
        TWEETS.c.id == bindparam("tweet_id"),
        TWEETS.c.status == any_(bindparam("from_states", type_=ARRAY(TWEETS.c.status.type))),
        REVISION.element == bindparam("as_locked", type_=Text),
    )
    .returning(REVISION)
)
_OPEN = _TWEETS.where(
    TWEETS.c.profile_id == bindparam("profile_id"),
    TWEETS.c.status.in_(_ALIVE),
    TWEETS.c.status.in_(bindparam("statuses", expanding=True)),
).order_by(TWEETS.c.intent_at.nulls_last(), TWEETS.c.part, TWEETS.c.created_at)

"""Posts that are ready, sent and made, for any number of profiles: one statement each, however many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    Text,
    Update,
    Uuid,
    any_,
    bindparam,
    case,
    column,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from bot.core.errors import ForbiddenTransition
from bot.core.model import Lease, ProfileId, SlotId, Tweet, TweetId
from bot.core.posting.schedule import ON_TIME
from bot.core.states import Mode, Origin, SlotStatus, TweetStatus
from bot.ports import Sending
from bot.store.rows.base import Moment
from bot.store.rows.posting import PROFILES, SLOTS, TWEETS
from bot.store.tweets import TWEET_COLUMNS, as_tweet


@dataclass(frozen=True)
class SendingTable(Sending):
    """`tweets` and `posting_schedule`, many rows at a time."""

    connection: Connection

    def ready(self, profile_ids: Sequence[ProfileId], *, now: datetime) -> Sequence[Tweet]:
        """The single posts that go out now with nothing else to be settled, at most one a profile.

        A slot that is on time and its approved draft, or one that needs no approval. A profile that is
        paused, has another slot due, a call under way, an unknown outcome, a text that is queued or a
        thread has no such post: what becomes of it takes more than a look.
        """
        values = {"profile_ids": list(profile_ids), "now": now, "on_time": now - ON_TIME}
        return [as_tweet(row) for row in self.connection.execute(_READY, values).mappings()]

    def last_known(
        self, profile_ids: Sequence[ProfileId], *, limit: int
    ) -> Mapping[ProfileId, Sequence[Tweet]]:
        """Each account's newest posts that rows hold, newest first; leases order them whatever clocks do."""
        found: dict[ProfileId, list[Tweet]] = {one: [] for one in profile_ids}
        values = {"profile_ids": list(profile_ids), "most": limit}
        for row in self.connection.execute(_LAST_KNOWN, values).mappings():
            found[row["profile_id"]].append(as_tweet(row))
        return found

    def begin(
        self, leases: Mapping[TweetId, Lease], after: Mapping[TweetId, str | None], *, now: datetime
    ) -> Mapping[TweetId, Tweet]:
        """Marks tweets as being sent, and their slots as taken.

        Args:
            leases: the right under which each is sent.
            after: the account's newest post that is believed, for each.
            now: when.

        Raises:
            ForbiddenTransition: one is no longer ready.
        """
        values = {
            "ids": list(leases),
            "fencings": [lease.fencing for lease in leases.values()],
            "afters": [after.get(one) for one in leases],
            "now": now,
        }
        sent = [as_tweet(row) for row in self.connection.execute(_BEGIN, values).mappings()]
        self._move_slots(sent, SlotStatus.PLANNED, SlotStatus.CLAIMED)
        if len(sent) != len(leases):
            raise ForbiddenTransition("TweetStatus: a post that was ready is no longer drafted or approved")
        return {tweet.id: tweet for tweet in sent}

    def made(
        self, ids: Mapping[TweetId, str], fencings: Mapping[TweetId, int], *, now: datetime
    ) -> Sequence[Tweet]:
        """Says of tweets that are being sent under these leases that X made them.

        Returns:
            Those that are posted now; another one was taken over in the meantime.
        """
        values = {
            "ids": list(ids),
            "x_ids": list(ids.values()),
            "fencings": [fencings[one] for one in ids],
            "now": now,
        }
        posted = [as_tweet(row) for row in self.connection.execute(_MADE, values).mappings()]
        self._move_slots(posted, SlotStatus.CLAIMED, SlotStatus.DONE)
        return posted

    def _move_slots(self, tweets: Sequence[Tweet], current: SlotStatus, wanted: SlotStatus) -> None:
        slots = [tweet.slot_id for tweet in tweets if tweet.slot_id is not None]
        values = {"ids": slots, "current": current, "wanted": wanted}
        moved: Sequence[SlotId] = self.connection.scalars(_MOVE_SLOTS, values).all()
        if len(moved) != len(slots):
            raise ForbiddenTransition(f"SlotStatus: a slot that is to be {wanted} is not {current}")


# What every batch asks is built once: building a statement takes longer than its answer.
_IDS = bindparam("profile_ids", type_=ARRAY(Uuid))
_NOW = bindparam("now", type_=Moment())
_OTHER_SLOTS, _OTHER_TWEETS = SLOTS.alias("other_slots"), TWEETS.alias("other_tweets")


def _ready() -> Select[Any]:
    slots, tweets = _OTHER_SLOTS.c, _OTHER_TWEETS.c
    other_slot = exists().where(
        slots.profile_id == SLOTS.c.profile_id,
        slots.id != SLOTS.c.id,
        or_(
            (slots.status == SlotStatus.PLANNED) & (slots.due_at <= _NOW), slots.status == SlotStatus.CLAIMED
        ),
    )
    other_tweet = exists().where(
        tweets.profile_id == SLOTS.c.profile_id,
        tweets.id != TWEETS.c.id,
        or_(
            tweets.status.in_((TweetStatus.PUBLISHING, TweetStatus.UNKNOWN)),
            (tweets.status == TweetStatus.APPROVED) & or_(tweets.part > 1, tweets.origin == Origin.MANUAL),
        ),
    )
    newer = exists().where(
        tweets.slot_id == SLOTS.c.id, tweets.id != TWEETS.c.id, tweets.status != TweetStatus.REJECTED
    )
    needs_nobody = or_(
        TWEETS.c.status == TweetStatus.APPROVED,
        (TWEETS.c.status == TweetStatus.DRAFTED) & (PROFILES.c.mode == Mode.AUTO),
    )
    return (
        select(*TWEET_COLUMNS)
        .join(SLOTS, (SLOTS.c.id == TWEETS.c.slot_id) & (SLOTS.c.profile_id == TWEETS.c.profile_id))
        .join(PROFILES, PROFILES.c.id == SLOTS.c.profile_id)
        .where(
            SLOTS.c.profile_id == any_(_IDS),
            SLOTS.c.status == SlotStatus.PLANNED,
            SLOTS.c.due_at <= _NOW,
            SLOTS.c.due_at >= bindparam("on_time", type_=Moment()),
            needs_nobody,
            ~PROFILES.c.paused,
            TWEETS.c.part == 1,
            TWEETS.c.thread_id.is_(None),
            TWEETS.c.resends == 0,
            TWEETS.c.next_attempt_at.is_(None),
            ~other_slot,
            ~other_tweet,
            ~newer,
        )
    )


def _last_known() -> Select[Any]:
    owner = func.unnest(_IDS).table_valued(column("id", Uuid), name="owner").render_derived()
    newest = (
        select(*TWEET_COLUMNS)
        .where(
            TWEETS.c.profile_id == owner.c.id,
            TWEETS.c.fencing.is_not(None),
            TWEETS.c.x_tweet_id.is_not(None),
        )
        .order_by(TWEETS.c.fencing.desc(), TWEETS.c.part.desc())
        .limit(bindparam("most", type_=Integer))
        .lateral("newest")
    )
    return (
        select(newest)
        .select_from(owner.join(newest, true()))
        .order_by(newest.c.fencing.desc(), newest.c.part.desc())
    )


def _begin() -> Update:
    told = (
        func.unnest(
            bindparam("ids", type_=ARRAY(Uuid)),
            bindparam("fencings", type_=ARRAY(BigInteger)),
            bindparam("afters", type_=ARRAY(Text)),
        )
        .table_valued(column("id", Uuid), "fencing", "after", name="told")
        .render_derived()
    )
    return (
        update(TWEETS)
        .where(TWEETS.c.id == told.c.id, TWEETS.c.status.in_((TweetStatus.DRAFTED, TweetStatus.APPROVED)))
        .values(
            status=TweetStatus.PUBLISHING,
            first_intent_at=func.coalesce(TWEETS.c.first_intent_at, _NOW),
            after_x_id=case((TWEETS.c.first_intent_at.is_(None), told.c.after), else_=TWEETS.c.after_x_id),
            intent_at=_NOW,
            fencing=told.c.fencing,
            attempts=TWEETS.c.attempts + 1,
            absent_reads=0,
            inconclusive_reads=0,
            looked_at=None,
            next_attempt_at=None,
            reason=None,
        )
        .returning(*TWEET_COLUMNS)
    )


def _made() -> Update:
    told = (
        func.unnest(
            bindparam("ids", type_=ARRAY(Uuid)),
            bindparam("x_ids", type_=ARRAY(Text)),
            bindparam("fencings", type_=ARRAY(BigInteger)),
        )
        .table_valued(column("id", Uuid), "x_id", "fencing", name="told")
        .render_derived()
    )
    return (
        update(TWEETS)
        .where(
            TWEETS.c.id == told.c.id,
            TWEETS.c.status == TweetStatus.PUBLISHING,
            TWEETS.c.fencing == told.c.fencing,
        )
        .values(status=TweetStatus.POSTED, x_tweet_id=told.c.x_id, posted_at=_NOW)
        .returning(*TWEET_COLUMNS)
    )


_READY, _LAST_KNOWN, _BEGIN, _MADE = _ready(), _last_known(), _begin(), _made()
_MOVE_SLOTS = (
    update(SLOTS)
    .where(
        SLOTS.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
        SLOTS.c.status == bindparam("current", type_=SLOTS.c.status.type),
    )
    .values(status=bindparam("wanted", type_=SLOTS.c.status.type), reason=None)
    .returning(SLOTS.c.id)
)

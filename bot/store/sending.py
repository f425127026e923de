"""Posts that are ready, sent and made, for any number of profiles: one statement each, however many."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Connection,
    RowMapping,
    Select,
    Text,
    Uuid,
    bindparam,
    case,
    func,
    select,
    update,
)

from bot.core.errors import ForbiddenTransition
from bot.core.model import KnownPost, Lease, Made, ProfileId, Ready, TweetId
from bot.core.posting.schedule import ON_TIME
from bot.core.states import CallState, SlotStatus, TweetStatus
from bot.ports import Sending
from bot.store.claiming import CLAIM, newest, ready_post
from bot.store.given_rows import GivenRows
from bot.store.leases import releasing
from bot.store.rows.base import Moment
from bot.store.rows.posting import SLOTS, TWEETS
from bot.store.rows.spending import CALLS


@dataclass(frozen=True)
class SendingTable(Sending):
    """`tweets` and `posting_schedule`, many rows at a time."""

    connection: Connection

    def claim(
        self,
        profile_ids: Sequence[ProfileId],
        *,
        holder: str,
        asked_at: float,
        lasts: timedelta,
        now: datetime,
    ) -> Sequence[Ready]:
        """The single posts that go out now with nothing else to be settled, at most one a profile.

        A slot that is on time and its approved draft, or one that needs no approval. A profile that is
        paused, has another slot due, a call under way, an unknown outcome, a text that is queued or a
        thread has no such post: what becomes of it takes more than a look. Nor has one whose lease
        somebody else holds; each of the others comes with its own. See `LeaseTable.acquire`.
        """
        values = {
            "profile_ids": list(profile_ids),
            "holder": holder,
            "lasts": lasts,
            "now": now,
            "on_time": now - ON_TIME,
        }
        ends = asked_at + lasts.total_seconds()
        return [ready_post(row, holder, ends) for row in self.connection.execute(CLAIM, values).mappings()]

    def last_known(self, profile_id: ProfileId) -> Sequence[KnownPost]:
        """An account's newest posts that rows hold, newest first; leases order them whatever clocks do."""
        rows = self.connection.execute(_LAST_KNOWN, {"profile_id": profile_id})
        return [KnownPost(*row) for row in rows]

    def begin(
        self, leases: Mapping[TweetId, Lease], after: Mapping[TweetId, str | None], *, now: datetime
    ) -> None:
        """Marks tweets as being sent, and their slots as taken, as `lifecycle.publishing` would.

        Args:
            leases: the right under which each is sent.
            after: the account's newest post that is believed, for each.
            now: when.

        Raises:
            ForbiddenTransition: one is no longer ready.
        """
        given = _SENT.values(
            {"id": one, "fencing": lease.fencing, "after": after.get(one)} for one, lease in leases.items()
        )
        rows = self.connection.execute(_BEGIN, given | {"now": now}).mappings().all()
        _check_slots(rows, SlotStatus.PLANNED, SlotStatus.CLAIMED)
        if len(rows) != len(leases):
            raise ForbiddenTransition("TweetStatus: a post that was ready is no longer drafted or approved")

    def made(self, posts: Sequence[Made], *, now: datetime) -> Collection[TweetId]:
        """Says of tweets that are being sent that X made them, as `lifecycle.posted` would.

        Their slots are done, their calls took what they had reserved, and their leases are given back.

        Returns:
            Those that are posted now; another one was taken over in the meantime.

        Raises:
            ForbiddenTransition: a slot is not claimed, or a call is not reserved.
        """
        given = _POSTED.of(posts)
        rows = self.connection.execute(_MADE, given | {"now": now}).mappings().all()
        _check_slots(rows, SlotStatus.CLAIMED, SlotStatus.DONE)
        if any(row["settled"] is None for row in rows):
            raise ForbiddenTransition("CallState: a call that is to be settled is not reserved")
        return {TweetId(row["id"]) for row in rows}


def _check_slots(rows: Sequence[RowMapping], current: SlotStatus, wanted: SlotStatus) -> None:
    if any(row["slot_id"] is not None and row["moved"] is None for row in rows):
        raise ForbiddenTransition(f"SlotStatus: a slot that is to be {wanted} is not {current}")


# What every batch asks is built once: building a statement takes longer than its answer.
_NOW = bindparam("now", type_=Moment())
_SENT = GivenRows(id=Uuid(), fencing=BigInteger(), after=Text())
_POSTED = GivenRows(tweet_id=Uuid(), x_tweet_id=Text(), call_id=Uuid(), fencing=BigInteger())


def _moved(tweets: CTE, current: SlotStatus, wanted: SlotStatus) -> CTE:
    """Moves the tweets' slots along."""
    return (
        update(SLOTS)
        .where(SLOTS.c.id == tweets.c.slot_id, SLOTS.c.status == current)
        .values(status=wanted, reason=None)
        .returning(SLOTS.c.id)
        .cte("moved")
    )


def _begin() -> Select[Any]:
    given = _SENT.table
    sent = (
        update(TWEETS)
        .where(TWEETS.c.id == given.c.id, TWEETS.c.status.in_((TweetStatus.DRAFTED, TweetStatus.APPROVED)))
        .values(
            status=TweetStatus.PUBLISHING,
            first_intent_at=func.coalesce(TWEETS.c.first_intent_at, _NOW),
            after_x_id=case((TWEETS.c.first_intent_at.is_(None), given.c.after), else_=TWEETS.c.after_x_id),
            intent_at=_NOW,
            fencing=given.c.fencing,
            attempts=TWEETS.c.attempts + 1,
            absent_reads=0,
            inconclusive_reads=0,
            looked_at=None,
            next_attempt_at=None,
            reason=None,
        )
        .returning(TWEETS.c.id, TWEETS.c.slot_id)
        .cte("sent")
    )
    moved = _moved(sent, SlotStatus.PLANNED, SlotStatus.CLAIMED)
    return select(sent, moved.c.id.label("moved")).join_from(
        sent, moved, moved.c.id == sent.c.slot_id, isouter=True
    )


def _made() -> Select[Any]:
    given = _POSTED.table
    posted = (
        update(TWEETS)
        .where(
            TWEETS.c.id == given.c.tweet_id,
            TWEETS.c.status == TweetStatus.PUBLISHING,
            TWEETS.c.fencing == given.c.fencing,
        )
        .values(status=TweetStatus.POSTED, x_tweet_id=given.c.x_tweet_id, posted_at=_NOW)
        .returning(TWEETS.c.id, TWEETS.c.profile_id, TWEETS.c.slot_id, TWEETS.c.fencing, given.c.call_id)
        .cte("posted")
    )
    moved = _moved(posted, SlotStatus.CLAIMED, SlotStatus.DONE)
    settled = (
        update(CALLS)
        .where(CALLS.c.id == posted.c.call_id, CALLS.c.state == CallState.RESERVED)
        .values(state=CallState.SETTLED)
        .returning(CALLS.c.id)
        .cte("settled")
    )
    return (
        select(posted, moved.c.id.label("moved"), settled.c.id.label("settled"))
        .join_from(posted, moved, moved.c.id == posted.c.slot_id, isouter=True)
        .join(settled, settled.c.id == posted.c.call_id, isouter=True)
        .add_cte(releasing(posted).cte("given_back"))
    )


_BEGIN, _MADE = _begin(), _made()
_LAST_KNOWN = newest(bindparam("profile_id", type_=Uuid))

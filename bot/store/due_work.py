"""Whose work is due: one statement for all profiles, whose cost doesn't grow with those that have none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Interval,
    Select,
    Uuid,
    any_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from bot.core.codes import DecisionKind
from bot.core.model import ProfileId
from bot.core.posting.settling import DUPLICATE, DUPLICATE_HOLDS_UP
from bot.core.states import Origin, PlanStatus, SlotStatus, TweetStatus
from bot.core.work import Due, LookAhead, Work
from bot.ports import DueWork
from bot.store.rows.access import CREDENTIALS
from bot.store.rows.base import EARLIEST, Moment
from bot.store.rows.posting import PLANS, PROFILES, SLOTS, TWEETS
from bot.store.rows.spending import LEASES, WORKERS
from bot.store.slots import WRITTEN


@dataclass(frozen=True)
class DueWorkTable(DueWork):
    """What `profiles`, `plans`, `posting_schedule` and `tweets` ask for."""

    connection: Connection

    def find(
        self, *, holder: str, own: Collection[ProfileId], ahead: LookAhead, changed_since: datetime
    ) -> Sequence[Due]:
        """What is due until a moment, of the profiles that a worker runs.

        Looking is a worker's heartbeat, too: its row says when it last did.

        Args:
            holder: who looks.
            own: profiles that it runs without credentials: the environment has their keys.
            ahead: how far it looks, and by which spans.
            changed_since: plans that were changed since then are to be filled.
        """
        values = {
            "looks": holder,
            "own": list(own),
            "until": ahead.until,
            "write_until": ahead.until + ahead.prepare_ahead,
            "prepare_ahead": ahead.prepare_ahead,
            "delay": ahead.settle_delay,
            "changed_since": changed_since,
        }
        rows = self.connection.execute(_DUE, values).mappings()
        return [
            Due(work=Work(DecisionKind(row["kind"]), ProfileId(row["profile_id"])), at=row["at"])
            for row in rows
        ]


_UNTIL = bindparam("until", type_=Moment())
_AT_ONCE = literal(EARLIEST, type_=Moment())
_LAST_LOOK = func.greatest(TWEETS.c.looked_at, TWEETS.c.intent_at)
_NEXT_LOOK = func.coalesce(
    TWEETS.c.next_attempt_at,
    case(
        (TWEETS.c.looked_at.is_(None), TWEETS.c.intent_at),
        else_=_LAST_LOOK + bindparam("delay", type_=Interval),
    ),
    _AT_ONCE,
)
# When an open tweet is gone on with. A call that is under way belongs to whoever holds the lease.
_GOES_ON = case(
    (TWEETS.c.status == TweetStatus.PUBLISHING, func.coalesce(LEASES.c.expires_at, _AT_ONCE)),
    (
        (TWEETS.c.status == TweetStatus.UNKNOWN) & (TWEETS.c.reason == DUPLICATE),
        func.least(_NEXT_LOOK, TWEETS.c.intent_at + literal(DUPLICATE_HOLDS_UP)),
    ),
    (TWEETS.c.status == TweetStatus.UNKNOWN, _NEXT_LOOK),
    else_=func.coalesce(TWEETS.c.next_attempt_at, _AT_ONCE),
)
_CLAIMED = exists().where(SLOTS.c.id == TWEETS.c.slot_id, SLOTS.c.status == SlotStatus.CLAIMED)
_ON_ITS_WAY = or_(
    TWEETS.c.status.in_((TweetStatus.PUBLISHING, TweetStatus.UNKNOWN)),
    (TWEETS.c.status == TweetStatus.APPROVED)
    & or_(TWEETS.c.part > 1, TWEETS.c.origin == Origin.MANUAL, _CLAIMED),
)


def _due() -> Select[Any]:
    slots = select(
        SLOTS.c.profile_id, literal(DecisionKind.PUBLISH.value).label("kind"), SLOTS.c.due_at.label("at")
    ).where(SLOTS.c.status == SlotStatus.PLANNED, SLOTS.c.due_at <= _UNTIL)
    under_way = (
        select(TWEETS.c.profile_id, literal(DecisionKind.PUBLISH.value), _GOES_ON)
        .outerjoin(LEASES, LEASES.c.profile_id == TWEETS.c.profile_id)
        .where(
            # The open states as their index has them.
            TWEETS.c.status.in_(
                (
                    TweetStatus.DRAFTED,
                    TweetStatus.AWAITING_APPROVAL,
                    TweetStatus.APPROVED,
                    TweetStatus.PUBLISHING,
                    TweetStatus.UNKNOWN,
                )
            ),
            _ON_ITS_WAY,
        )
    )
    to_write = select(
        SLOTS.c.profile_id,
        literal(DecisionKind.PREPARE.value),
        # NULL is no moment that is greater.
        func.greatest(SLOTS.c.due_at - bindparam("prepare_ahead", type_=Interval), SLOTS.c.writing_until),
    ).where(
        SLOTS.c.status == SlotStatus.PLANNED,
        SLOTS.c.due_at <= bindparam("write_until", type_=Moment()),
        ~WRITTEN,
    )
    to_fill = select(PLANS.c.profile_id, literal(DecisionKind.PLAN.value), PLANS.c.updated_at).where(
        PLANS.c.status == PlanStatus.ACTIVE, PLANS.c.updated_at > bindparam("changed_since", type_=Moment())
    )
    found = union_all(slots, under_way, to_write, to_fill).subquery()
    runs = or_(
        PROFILES.c.id == any_(bindparam("own", type_=ARRAY(Uuid))),
        exists().where(CREDENTIALS.c.profile_id == PROFILES.c.id),
    )
    beat = (
        update(WORKERS)
        .where(WORKERS.c.holder == bindparam("looks"))
        .values(beat_at=func.clock_timestamp())
        .returning(WORKERS.c.holder)
        .cte("beat")
    )
    earliest = func.min(found.c.at, type_=Moment()).label("at")
    return (
        select(found.c.profile_id, found.c.kind, earliest)
        .join(PROFILES, PROFILES.c.id == found.c.profile_id)
        .where(runs, found.c.at <= _UNTIL)
        .group_by(found.c.profile_id, found.c.kind)
        .add_cte(beat)
    )


# What every look asks is built once: building a statement takes longer than its answer.
_DUE = _due()

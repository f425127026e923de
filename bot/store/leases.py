"""One writer a profile: leases as rows, so that they work behind transaction poolers.

The database's clock alone says when a lease ends, so that machines whose clocks differ can't both
hold one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    FromClause,
    Interval,
    Text,
    Update,
    Uuid,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert

from bot.core.errors import LeaseLost
from bot.core.model import Lease, ProfileId
from bot.ports import Leases
from bot.store.given_rows import GivenRows
from bot.store.rows.base import Moment
from bot.store.rows.spending import LEASES


@dataclass(frozen=True)
class LeaseTable(Leases):
    """`leases`."""

    connection: Connection

    def acquire(
        self, profile_id: ProfileId, *, holder: str, asked_at: float, lasts: timedelta
    ) -> Lease | None:
        """The lease, or None while another holds it.

        Every acquisition raises the fencing number, so that what an earlier holder still wants to
        write can be told from what the present one writes.

        Args:
            profile_id: whose lease.
            holder: the process's own name.
            asked_at: what the process's monotonic clock said before it asked.
            lasts: how long a lease holds.
        """
        values = {"profile_id": profile_id, "holder": holder, "lasts": lasts}
        row = self.connection.execute(_ACQUIRE, values).one_or_none()
        if row is None:
            return None
        ends = asked_at + lasts.total_seconds()
        return Lease(profile_id=profile_id, holder=holder, fencing=row.fencing, began=row.began, ends=ends)

    def check(self, lease: Lease) -> None:
        """Makes sure the lease is still held; its row stays locked to the transaction's end.

        Raises:
            LeaseLost: it ran out, or another worker holds it.
        """
        held = self.connection.execute(_HELD, {"profile_id": lease.profile_id}).one_or_none()
        if held is None or held.fencing != lease.fencing or not held.holds:
            raise LeaseLost("another worker acts for this profile now: nothing was written")

    def release(self, lease: Lease) -> None:
        """Gives it up; see `release_all`."""
        self.release_all([lease])

    def release_all(self, leases: Collection[Lease]) -> None:
        """Gives leases up, so that the next ones need not wait for them to run out."""
        # In their order, so that two who give up the same ones can't block each other.
        held = sorted(leases, key=attrgetter("profile_id"))
        self.connection.execute(_RELEASE, _GIVEN_UP.of(held))


_LOCKED = (
    select(LEASES.c.fencing, LEASES.c.expires_at)
    .where(LEASES.c.profile_id == bindparam("profile_id"))
    .with_for_update()
    .cte("locked")
)
# The clock is asked once the row is locked: whoever held it may have taken a while.
_HELD = select(_LOCKED.c.fencing, (_LOCKED.c.expires_at > func.clock_timestamp()).label("holds"))
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def acquiring(owners: FromClause) -> ReturningInsert[Any]:
    """Acquires the leases of those `profile_id`s whose lease nobody else holds.

    Args:
        owners: whose, in the order of their ids, so that two who ask for the same ones can't block
            each other. `holder` and `lasts` are bound when it is executed.
    """
    until = func.clock_timestamp() + bindparam("lasts", type_=Interval)
    holder = bindparam("holder", type_=Text)
    asked = select(owners.c.profile_id, holder, until, literal(1, type_=BigInteger))
    return (
        upsert(LEASES)
        .from_select(["profile_id", "holder", "expires_at", "fencing"], asked)
        .on_conflict_do_update(
            index_elements=[LEASES.c.profile_id],
            set_={"holder": holder, "expires_at": until, "fencing": LEASES.c.fencing + 1},
            where=or_(LEASES.c.expires_at <= func.clock_timestamp(), LEASES.c.holder == holder),
        )
        .returning(LEASES.c.profile_id, LEASES.c.fencing, func.clock_timestamp(type_=Moment()).label("began"))
    )


def releasing(held: FromClause) -> Update:
    """Gives up leases by `profile_id` and `fencing`; the rows stay, for numbers must never start again."""
    return (
        update(LEASES)
        .where(LEASES.c.profile_id == held.c.profile_id, LEASES.c.fencing == held.c.fencing)
        .values(expires_at=_LONG_AGO)
    )


_GIVEN_UP = GivenRows(profile_id=Uuid(), fencing=BigInteger())

# What every act asks is built once: building a statement takes longer than its answer.
_ACQUIRE = acquiring(select(bindparam("profile_id", type_=Uuid).label("profile_id")).subquery())
_RELEASE = releasing(_GIVEN_UP.table)

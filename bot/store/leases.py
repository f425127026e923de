"""One writer a profile: leases as rows, so that they work behind transaction poolers.

The database's clock alone says when a lease ends, so that machines whose clocks differ can't both
hold one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from bot.core.errors import LeaseLost
from bot.core.model import Lease, ProfileId
from bot.ports import Leases
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
            lasts: how long the lease holds.
        """
        until = func.clock_timestamp() + literal(lasts)
        statement = upsert(LEASES).values(profile_id=profile_id, holder=holder, expires_at=until)
        statement = statement.on_conflict_do_update(
            index_elements=[LEASES.c.profile_id],
            set_={"holder": holder, "expires_at": until, "fencing": LEASES.c.fencing + 1},
            where=or_(LEASES.c.expires_at <= func.clock_timestamp(), LEASES.c.holder == holder),
        )
        given = self.connection.execute(statement.returning(LEASES.c.fencing, _NOW)).one_or_none()
        if given is None:
            return None
        return Lease(
            profile_id=profile_id,
            holder=holder,
            fencing=given.fencing,
            began=given.began,
            ends=asked_at + lasts.total_seconds(),
        )

    def check(self, lease: Lease) -> None:
        """Makes sure the lease is still held; its row stays locked to the transaction's end.

        Raises:
            LeaseLost: it ran out, or another worker holds it.
        """
        held = self.connection.execute(_HELD, {"profile_id": lease.profile_id}).one_or_none()
        if held is None or held.fencing != lease.fencing or not held.holds:
            raise LeaseLost("another worker acts for this profile now: nothing was written")

    def release(self, lease: Lease) -> None:
        """Gives it up, so that the next one need not wait for it to run out.

        The row stays, because the fencing number must never start again.
        """
        self.connection.execute(
            update(LEASES)
            .where(LEASES.c.profile_id == lease.profile_id, LEASES.c.fencing == lease.fencing)
            .values(expires_at=_LONG_AGO)
        )


_LOCKED = (
    select(LEASES.c.fencing, LEASES.c.expires_at)
    .where(LEASES.c.profile_id == bindparam("profile_id"))
    .with_for_update()
    .cte("locked")
)
# The clock is asked once the row is locked: whoever held it may have taken a while.
_HELD = select(_LOCKED.c.fencing, (_LOCKED.c.expires_at > func.clock_timestamp()).label("holds"))
_NOW = func.clock_timestamp(type_=Moment()).label("began")
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

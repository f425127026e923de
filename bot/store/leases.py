"""One writer a profile: leases as rows, so that they work behind transaction poolers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from bot.core.errors import LeaseLost
from bot.core.model import Lease, ProfileId
from bot.store.books import LeaseRow


@dataclass(frozen=True)
class LeaseTable:
    """`leases`."""

    connection: Connection

    def acquire(self, profile_id: ProfileId, *, holder: str, now: datetime, until: datetime) -> Lease | None:
        """The lease, or None while another holds it.

        Every acquisition raises the fencing number, so that what an earlier holder still wants to
        write can be told from what the present one writes.
        """
        statement = upsert(LeaseRow).values(profile_id=profile_id, holder=holder, expires_at=until)
        statement = statement.on_conflict_do_update(
            index_elements=[LeaseRow.profile_id],
            set_={"holder": holder, "expires_at": until, "fencing": LeaseRow.fencing + 1},
            where=or_(LeaseRow.expires_at <= now, LeaseRow.holder == holder),
        )
        fencing = self.connection.scalar(statement.returning(LeaseRow.fencing))
        if fencing is None:
            return None
        return Lease(profile_id=profile_id, holder=holder, fencing=fencing, expires_at=until)

    def check(self, lease: Lease, *, now: datetime) -> None:
        """Makes sure the lease is still held; its row stays locked to the transaction's end.

        Raises:
            LeaseLost: it ran out, or another worker holds it.
        """
        held = self.connection.execute(_HELD, {"profile_id": lease.profile_id}).one_or_none()
        if held is None or held.fencing != lease.fencing or held.expires_at <= now:
            raise LeaseLost("another worker acts for this profile now: nothing was written")

    def release(self, lease: Lease) -> None:
        """Gives it up, so that the next one need not wait for it to run out.

        The row stays, because the fencing number must never start again.
        """
        self.connection.execute(
            update(LeaseRow)
            .where(LeaseRow.profile_id == lease.profile_id, LeaseRow.fencing == lease.fencing)
            .values(expires_at=_LONG_AGO)
        )


_HELD = (
    select(LeaseRow.fencing, LeaseRow.expires_at)
    .where(LeaseRow.profile_id == bindparam("profile_id"))
    .with_for_update()
)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

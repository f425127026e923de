"""Leases held for a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bot.core.errors import BotError
from bot.core.model import Lease
from bot.engine.context import ProfileContext


@contextmanager
def leased(context: ProfileContext, *, job: str = "") -> Iterator[Lease | None]:
    """Holds the profile's lease for the block; gives None while another holds it.

    A job beside the tick names itself: the tick of the same worker is another to it. Rows that one
    worker wrote are weighed by another, so all go by the database's clock.
    """
    with context.database.transaction() as tx:
        since = context.clock.now()
        lease = tx.leases.acquire(
            context.profile.id,
            holder=context.settings.holder + job,
            asked_at=context.clock.monotonic(),
            lasts=context.settings.lease_time,
        )
        if lease is not None:
            context.clock.agree(lease.began, since=since)
    try:
        yield lease
    finally:
        if lease is not None:
            give_back(context, lease)


def give_back(context: ProfileContext, lease: Lease) -> None:
    """Releases the lease; if that can't be written, it runs out by itself."""
    try:
        with context.database.transaction() as tx:
            tx.leases.release(lease)
    except BotError as error:
        context.log.warning("lease_not_released", error=error.line)

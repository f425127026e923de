"""Housekeeping: what nobody looks at any more goes, and what it counted stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bot.engine.context import Services
from bot.ports import Transaction

# A call that came to nothing explains itself for a week.
KEEP_RELEASED = timedelta(days=7)


def forget_old_rows(services: Services) -> dict[str, int]:
    """Deletes old decisions and ledger rows, a few thousand a transaction.

    Sums of this month and of every day, and `why` over the kept span, stay as they are.

    Returns:
        How many rows went, by table.

    Raises:
        BotError: the database refuses; what went before stays gone.
    """
    now, settings = services.clock.now(), services.settings
    gone = {
        "decisions": _forget_all(
            services, lambda tx: tx.decisions.forget(before=now - settings.keep_decisions)
        ),
        "workers": _forget_all(services, lambda tx: tx.workers.forget(before=now - settings.keep_decisions)),
        "api_calls": _forget_all(
            services,
            lambda tx: tx.ledger.forget(
                before=now - settings.keep_calls, released_before=now - KEEP_RELEASED
            ),
        ),
    }
    if any(gone.values()):
        services.log.info("old_rows_forgotten", **gone)
    return gone


def _forget_all(services: Services, forget: Callable[[Transaction], int]) -> int:
    total = 0
    while True:
        with services.database.transaction() as tx:
            some = forget(tx)
        total += some
        if not some:
            return total

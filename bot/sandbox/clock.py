"""The sandbox's own time: a base clock that tests can shift or freeze."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bot.sandbox.model import utc


def real_time() -> float:
    """Seconds since the epoch."""
    return time.time()  # noqa: TID251 - the sandbox is another process's server: an outer loop of its own


def real_clock() -> datetime:
    """The real time, aware."""
    return datetime.now(UTC)  # noqa: TID251 - the sandbox is another process's server: an outer loop of its own


class SandboxClock:
    """A base clock plus an offset, or a frozen moment.

    Args:
        base: Gives aware moments.
    """

    def __init__(self, base: Callable[[], datetime]) -> None:
        self._base = base
        self._offset = timedelta()
        self._frozen: datetime | None = None

    def now(self) -> datetime:
        """The sandbox's time, in UTC."""
        return self._frozen or utc(self._base()) + self._offset

    def offset(self, seconds: float) -> None:
        """Run this far from the base clock; a frozen clock thaws."""
        self._frozen = None
        self._offset = timedelta(seconds=seconds)

    def freeze(self, moment: datetime | None) -> None:
        """Stand still at a moment; None lets the clock run again."""
        self._frozen = None if moment is None else utc(moment)

    def advance(self, seconds: float) -> None:
        """Move on, frozen or running."""
        step = timedelta(seconds=seconds)
        if self._frozen is not None:
            self._frozen += step
        else:
            self._offset += step

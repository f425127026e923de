"""The machine's clock, which only the outermost rooms hand in."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Event

from bot.ports import Clock

# What also counts the time that a machine sleeps, where the system has it.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock(Clock):
    """Real time. Waiting ends early once `stop` is set."""

    def __init__(self, stop: Event | None = None) -> None:
        self.stop = stop or Event()
        self._off = timedelta(0)

    def now(self) -> datetime:
        """The aware moment, UTC: this machine's, or that of the clock it agreed with."""
        return datetime.now(UTC) + self._off  # noqa: TID251 - this is the clock

    def agree(self, moment: datetime, *, since: datetime) -> None:
        """Goes by a clock that all workers share: it told the moment between `since` and now.

        A difference that the time of asking explains is none, so that time doesn't jitter.
        """
        now = self.now()
        if moment < since:
            self._off += moment - since
        elif moment > now:
            self._off += moment - now

    def monotonic(self) -> float:
        """Seconds that only grow, whatever is done to the clock; only differences mean anything."""
        return time.clock_gettime(_STEADY)

    def wait(self, seconds: float) -> None:
        """Lets so much time pass, or less when the program is asked to stop."""
        self.stop.wait(seconds)

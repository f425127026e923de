"""The machine's clock, which only the outermost rooms hand in."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Event


class SystemClock:
    """Real time. Waiting ends early once `stop` is set."""

    def __init__(self, stop: Event | None = None) -> None:
        self.stop = stop or Event()

    def now(self) -> datetime:
        """The aware moment, UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock

    def wait(self, seconds: float) -> None:
        """Lets so much time pass, or less when the program is asked to stop."""
        self.stop.wait(seconds)

"""A relay in front of X that can keep X's answers back, so that a process dies during its call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from types import TracebackType

from tests.faults.relay import Message, Relay


class Gate(Relay):
    """Passes calls on to X as they are; while it holds, X hears a post and the caller hears nothing.

    Args:
        target: the address of X.
    """

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._lock = threading.Lock()
        self._passing: int | None = None
        self._texts: Collection[str] | None = None
        self._late = False
        self._waiting = 0
        self._opened = threading.Event()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()
        super().__exit__(kind, error, trace)

    def hold(self, texts: Collection[str] | None = None, *, after: int = 0) -> None:
        """Keeps the answers to posts back, or to those with these texts, once so many have had theirs."""
        with self._lock:
            self._opened = threading.Event()
            self._passing, self._texts, self._late = after, texts, False

    def delay(self) -> None:
        """Keeps posts themselves back: X hears them only once the gate opens."""
        with self._lock:
            self._opened = threading.Event()
            self._passing, self._texts, self._late = 0, None, True

    @property
    def kept(self) -> int:
        """How many calls wait for the gate to open."""
        with self._lock:
            return self._waiting

    def open(self) -> None:
        """Ends the kept calls without a word, or passes delayed ones on; the next ones pass at once."""
        with self._lock:
            self._passing = None
            self._opened.set()

    def carry(
        self, call: Message, send: Callable[[], None], hear: Callable[[], Message | None]
    ) -> Message | None:
        opened, late = self._keeps(call)
        if opened is None:
            return super().carry(call, send, hear)
        if late:
            self._wait(opened)
            return super().carry(call, send, hear)
        send()
        self._wait(opened)
        return None

    def _wait(self, opened: threading.Event) -> None:
        with self._lock:
            self._waiting += 1
        opened.wait()
        with self._lock:
            self._waiting -= 1

    def _keeps(self, call: Message) -> tuple[threading.Event | None, bool]:
        """What a call waits for, if for anything, and whether before X hears it."""
        with self._lock:
            if self._passing is None or not call.is_post:
                return None, False
            if self._texts is not None and call.text not in self._texts:
                return None, False
            if self._passing > 0:
                self._passing -= 1
                return None, False
            return self._opened, self._late

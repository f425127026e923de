"""The crew: threads on which jobs act side by side, so that what hangs in one holds no other up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from bot.core.codes import DecisionKind
from bot.core.work import Work


class Crew:
    """Acts on threads, a bounded number for each kind of work, until it is drained."""

    def __init__(self, threads: Mapping[DecisionKind, int]) -> None:
        self._pools = {
            kind: ThreadPoolExecutor(number, thread_name_prefix=kind) for kind, number in threads.items()
        }
        self._idle = threading.Condition()
        self._closed = False
        # Since when which work is under way.
        self._running: dict[Work, float] = {}

    def send(self, work: Work, act: Callable[[Work], None]) -> None:
        """Has the work done as soon as one of its kind's threads is free; drained, it does nothing."""
        with self._idle:
            if not self._closed:
                self._pools[work.kind].submit(self._do, work, act)

    def drain(self, seconds: float) -> Sequence[Work]:
        """Begins nothing any more, and waits for what is under way.

        Returns:
            What outlasts the time.
        """
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: not self._running, timeout=seconds)
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)
            return list(self._running)

    def since(self, work: Work) -> float:
        """For how many seconds the work has been under way."""
        with self._idle:
            return monotonic() - self._running.get(work, monotonic())

    def _do(self, work: Work, act: Callable[[Work], None]) -> None:
        with self._idle:
            if self._closed:
                return
            self._running[work] = monotonic()
        try:
            act(work)
        finally:
            with self._idle:
                del self._running[work]
                self._idle.notify_all()

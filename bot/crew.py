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
        # What is under way since when, by the task that it is part of.
        self._running: dict[object, tuple[Sequence[Work], float]] = {}

    def send(self, works: Sequence[Work], act: Callable[[Sequence[Work]], None]) -> None:
        """Has works of one kind done together, as soon as one of its threads is free; not once drained."""
        with self._idle:
            if not self._closed:
                self._pools[works[0].kind].submit(self._do, works, act)

    def drain(self, seconds: float) -> Mapping[Work, float]:
        """Begins nothing any more, and waits for what is under way.

        Returns:
            What outlasts the time, with the seconds that it has been under way for.
        """
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: not self._running, timeout=seconds)
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)
            return {work: monotonic() - since for works, since in self._running.values() for work in works}

    def _do(self, works: Sequence[Work], act: Callable[[Sequence[Work]], None]) -> None:
        task = object()
        with self._idle:
            if self._closed:
                return
            self._running[task] = works, monotonic()
        try:
            act(works)
        finally:
            with self._idle:
                del self._running[task]
                self._idle.notify_all()

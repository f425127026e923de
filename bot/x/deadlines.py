"""Calls to X end in time: one thread cuts the lines of those that take too long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic

# How long the thread may take to put its things away.
_PUTS_AWAY_SECONDS = 1.0


class Deadline:
    """Ends a call after so many seconds, whatever it is waiting for; `passed` tells that it did."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self.ends = monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def watch(self, line: socket.socket) -> None:
        """Takes the socket that the call now depends on.

        It keeps a duplicate, because TLS takes the original's file descriptor away, and an answer
        may go on after its connection is closed.

        Raises:
            TimeoutError: the time was already over.
        """
        with self._lock:
            # A process that was paused may get here before the watching thread wakes.
            if self.passed or monotonic() > self.ends:
                self.passed = True
                raise TimeoutError("the call's time was over before anything was sent")
            self._forget()
            self._socket = socket.fromfd(line.fileno(), line.family, line.type)

    def cut(self) -> None:
        """Shuts the line down: whoever waits for it, in whatever thread, goes on at once."""
        with self._lock:
            self.passed = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def over(self) -> None:
        """Lets go of the line, which may be another call's from now on."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Deadlines:
    """Watches calls from one thread, which lives while there are any and a little longer.

    A read timeout only bounds the wait for the next byte, so a server that dribbles bytes holds a
    call for ever.

    Args:
        seconds: after which a call is cut.
        linger: seconds that the thread waits for another call after the last.
        quiet: called when it has waited in vain, or at `close`; no call begins meanwhile.
    """

    def __init__(self, seconds: float, *, linger: float, quiet: Callable[[], None]) -> None:
        self._seconds = seconds
        self._linger = linger
        self._quiet = quiet
        self._changed = threading.Condition()
        # They end in the order in which they began.
        self._running: dict[Deadline, None] = {}
        self._last_ended = monotonic()
        self._thread: threading.Thread | None = None
        self._last_thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def call(self) -> Iterator[Deadline]:
        """One call's time, which begins now."""
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="x-deadlines", daemon=True)
                # It waits for the lock. Where it can't be had, the next call asks for one again.
                thread.start()
                self._thread = self._last_thread = thread
            deadline = Deadline(self._seconds)
            self._running[deadline] = None
        try:
            yield deadline
        finally:
            deadline.over()
            with self._changed:
                del self._running[deadline]
                self._last_ended = monotonic()

    def close(self) -> None:
        """Waits for no further call; those that are on their way are still watched.

        Where none is, the thread has ended: what it puts away, the interpreter must not look through at
        its own end.
        """
        with self._changed:
            self._closed = True
            if self._thread is None:
                self._quiet()
            self._changed.notify_all()
            ends = self._last_thread if not self._running else None
        if ends is not None:
            ends.join(_PUTS_AWAY_SECONDS)

    def _watch(self) -> None:
        with self._changed:
            while self._running or (not self._closed and monotonic() < self._last_ended + self._linger):
                self._changed.wait(self._next_look())
            self._thread = None
            self._quiet()

    def _next_look(self) -> float:
        """Cuts what is late; returns the seconds until there may be something to do."""
        for deadline in self._running:
            left = deadline.ends - monotonic()
            if left > 0:
                return min(left, self._linger)
            if not deadline.passed:
                deadline.cut()
        return self._linger

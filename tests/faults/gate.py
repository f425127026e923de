"""A relay in front of X that can keep X's answers back, so that a process dies during its call."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_POST = b"POST /2/tweets "
_CHUNK = 65_536


class Gate:
    """Passes calls on to X as they are; while it holds, X hears a post and the caller hears nothing.

    Args:
        target: the address of X.
    """

    def __init__(self, target: str) -> None:
        self._target = ("127.0.0.1", urlsplit(target).port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._passing: int | None = None
        self._late = False
        self._waiting = 0
        self._opened = threading.Event()
        self._lines: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()
        # A closed listener does not wake the thread that waits on it; a shut one does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(timeout=5)
        self._listener.close()
        for line in self._lines:
            line.join(timeout=5)

    def hold(self, *, after: int = 0) -> None:
        """Keeps the answers to posts back once so many have had theirs."""
        with self._lock:
            self._opened = threading.Event()
            self._passing, self._late = after, False

    def delay(self) -> None:
        """Keeps posts themselves back: X hears them only once the gate opens."""
        with self._lock:
            self._opened = threading.Event()
            self._passing, self._late = 0, True

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

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self._lines = [line for line in self._lines if line.is_alive()]
            self._lines.append(threading.Thread(target=self._relay, args=(caller,), daemon=True))
            self._lines[-1].start()

    def _relay(self, caller: socket.socket) -> None:
        with caller, suppress(OSError), socket.create_connection(self._target) as x:
            first = caller.recv(_CHUNK)
            kept = self._keeps(first)
            late = kept is not None and self._late
            if kept is not None and late:
                self._wait(kept)
            x.sendall(first)
            rest = threading.Thread(target=_pump, args=(caller, x), daemon=True)
            rest.start()
            if kept is not None and not late:
                self._wait(kept)
            else:
                _pump(x, caller)
            for line in (caller, x):
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            rest.join(timeout=5)

    def _wait(self, opened: threading.Event) -> None:
        with self._lock:
            self._waiting += 1
        opened.wait()
        with self._lock:
            self._waiting -= 1

    def _keeps(self, first: bytes) -> threading.Event | None:
        with self._lock:
            if self._passing is None or not first.startswith(_POST):
                return None
            if self._passing > 0:
                self._passing -= 1
                return None
            return self._opened


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)

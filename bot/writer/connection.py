"""One call to the model service: ended when it takes too long altogether or says too much."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from httpx2 import Request, Response, SyncByteStream

from bot.writer.errors import CallCut

# A post and the model's reasons for it take a few kilobytes.
MOST_BYTES = 1_000_000
# How long a call that has answered may take to put its things away.
_PUTS_AWAY_SECONDS = 1.0
_NOT_ENCODED = {"", "identity"}
_Answer = TypeVar("_Answer")


class ModelLine:
    """Watches one call's connections, so that they can be cut from another thread.

    httpx bounds the wait for each byte; a server that dribbles bytes would hold a call for ever.
    """

    def __init__(self) -> None:
        self.fault: str | None = None
        self.connected = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    @property
    def hooks(self) -> Mapping[str, list[Callable[..., Any]]]:
        """What an httpx client calls with each request and each response."""
        return {"request": [self._begin], "response": [self._bound]}

    def cut(self) -> None:
        """Ends every connection, and those that are still to come."""
        with self._lock:
            self.fault = "it did not answer in time"
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Gives the watched sockets back."""
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()

    def _begin(self, request: Request) -> None:
        request.extensions["trace"] = self._traced
        # A packed answer could be small on the way and fill the memory here.
        request.headers["Accept-Encoding"] = "identity"

    def _traced(self, event: str, info: Mapping[str, Any]) -> None:
        if not event.endswith("connect_tcp.complete"):
            return
        with self._lock:
            if self.fault:
                raise TimeoutError(self.fault)
            self.connected = True
            # A duplicate, because TLS takes the original's file descriptor away.
            self._sockets.append(info["return_value"].get_extra_info("socket").dup())

    def _bound(self, response: Response) -> None:
        if response.headers.get("Content-Encoding", "").strip().lower() not in _NOT_ENCODED:
            self.refuse("its answer is packed, though plain text was asked for")
        response.stream = _Bounded(response.stream, self)

    def refuse(self, reason: str) -> None:
        """Ends the call because of what the service says.

        Raises:
            ValueError: always.
        """
        self.fault = reason
        raise ValueError(reason)


class _Bounded(SyncByteStream):
    """An answer that ends the call when it grows too long."""

    def __init__(self, stream: Any, line: ModelLine) -> None:
        self._stream = stream
        self._line = line

    @property
    def elapsed(self) -> timedelta | None:
        """How long the answer took, as httpx asks its own stream."""
        elapsed: timedelta | None = self._stream.elapsed
        return elapsed

    def __iter__(self) -> Iterator[bytes]:
        left = MOST_BYTES
        for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                self._line.refuse(f"its answer is longer than {MOST_BYTES // 1000} kB")
            yield chunk

    def close(self) -> None:
        self._stream.close()


def within(seconds: float, call: Callable[[ModelLine], _Answer]) -> _Answer:
    """Returns what the call returns, or ends it when its time is over.

    The call runs in a thread of its own, because not even a name look-up may take longer.

    Raises:
        CallCut: it took too long, or its answer was cut off.
        Exception: whatever the call raised.
    """
    line = ModelLine()
    answer: Future[_Answer] = Future()

    def work() -> None:
        try:
            answer.set_result(call(line))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            answer.set_exception(error)
        finally:
            line.close()

    thread = threading.Thread(target=work, name="model", daemon=True)
    thread.start()
    if not wait([answer], timeout=seconds).done:
        line.cut()
        raise CallCut(f"it did not answer within {seconds:g} s", sent=line.connected)
    thread.join(_PUTS_AWAY_SECONDS)
    error = answer.exception()
    if error is not None and line.fault:
        raise CallCut(line.fault, sent=line.connected) from error
    return answer.result()

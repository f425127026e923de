"""A relay in front of X that notes how far each post has come, so that a blow's place can be told."""

from __future__ import annotations

import io
import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.client import parse_headers
from time import monotonic
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import urlsplit

_CHUNK = 65_536


@dataclass
class Exchange:
    """One post on its way to X and back; moments by `monotonic`.

    `begun` is when its first bytes came, and `answered` when the last of the answer was passed on.
    """

    text: str
    begun: float
    status: int | None = None
    answered: float | None = None


class Wire:
    """Passes every call on to X as it is, over lines that are kept as long as both sides keep them.

    Args:
        target: the address of X.
    """

    def __init__(self, target: str) -> None:
        self._target = ("127.0.0.1", urlsplit(target).port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._posts: dict[str, list[Exchange]] = {}
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A closed listener does not wake the thread that waits on it; a shut one does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(timeout=5)
        self._listener.close()

    def of(self, text: str) -> list[Exchange]:
        """The calls with a text, in their order."""
        return self._posts.get(text, [])

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            # What hangs in X hangs until X ends, and the program with it.
            threading.Thread(target=self._relay, args=(caller,), daemon=True).start()

    def _relay(self, caller: socket.socket) -> None:
        with suppress(OSError), caller, socket.create_connection(self._target) as x:
            for line in (caller, x):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with caller.makefile("rb") as asked, x.makefile("rb") as said:
                while self._pass_call(caller, asked, x, said):
                    pass

    def _pass_call(self, caller: socket.socket, asked: BinaryIO, x: socket.socket, said: BinaryIO) -> bool:
        """Whether there may be another call on this line."""
        call = _read(asked)
        if call is None or not call[2]:
            # Whoever called is gone; half a call is none.
            return False
        head, body, _ = call
        exchange = None
        if head.startswith(b"POST /2/tweets "):
            exchange = Exchange(text=json.loads(body)["text"], begun=monotonic())
            self._posts.setdefault(exchange.text, []).append(exchange)
        x.sendall(head + body)
        answer = _read(said)
        if answer is None:
            return False
        head, body, whole = answer
        caller.sendall(head + body)
        if exchange is not None:
            exchange.status, exchange.answered = int(head.split()[1]), monotonic()
        return whole and b"connection: close" not in head.lower()


def _read(source: BinaryIO) -> tuple[bytes, bytes, bool] | None:
    """A message's head, its body, and whether it is all there; None at the end of the line."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = source.readline(_CHUNK)
        if not line:
            return None
        head += line
    length = _length(head)
    body = b""
    while len(body) < length:
        try:
            more = source.read(min(length - len(body), _CHUNK))
        except ConnectionResetError:
            break
        if not more:
            break
        body += more
    return head, body, len(body) == length


def _length(head: bytes) -> int:
    _, _, headers = head.partition(b"\r\n")
    return int(parse_headers(io.BytesIO(headers))["content-length"] or 0)

"""A relay in front of X: passes one call after another on, over lines that both sides may keep."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import parse_headers
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import urlsplit

_CHUNK = 65_536
_POST = b"POST /2/tweets "


@dataclass(frozen=True)
class Message:
    """A call or an answer; `whole` says whether all of the body came."""

    head: bytes
    body: bytes
    whole: bool

    @property
    def is_post(self) -> bool:
        return self.head.startswith(_POST)

    @property
    def text(self) -> str:
        """What a post says."""
        said: str = json.loads(self.body)["text"]
        return said


class Relay:
    """Passes every call on to X as it is; what it does to a call more than that is `carry`'s.

    Args:
        target: the address of X.
    """

    def __init__(self, target: str) -> None:
        self._target = ("127.0.0.1", urlsplit(target).port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
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

    def carry(
        self, call: Message, send: Callable[[], None], hear: Callable[[], Message | None]
    ) -> Message | None:
        """What the caller is answered; None ends its line without a word.

        Args:
            call: what is asked.
            send: passes it on to X.
            hear: waits for X's answer to it, and gives None where there is none.
        """
        del call
        send()
        return hear()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            # What hangs in X hangs until X ends, and the program with it.
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with suppress(OSError), caller, socket.create_connection(self._target) as x:
            for line in (caller, x):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with caller.makefile("rb") as asked, x.makefile("rb") as said:
                while (call := _read(asked)) is not None and call.whole:
                    answer = self.carry(
                        call,
                        lambda call=call: x.sendall(call.head + call.body),  # type: ignore[misc]  # mypy can't infer a lambda's default
                        lambda: _read(said),
                    )
                    if answer is None:
                        return
                    caller.sendall(answer.head + answer.body)
                    if not answer.whole or b"connection: close" in answer.head.lower():
                        return


def _read(source: BinaryIO) -> Message | None:
    """The next message; None at the end of the line."""
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
    return Message(head, body, len(body) == length)


def _length(head: bytes) -> int:
    _, _, headers = head.partition(b"\r\n")
    return int(parse_headers(io.BytesIO(headers))["content-length"] or 0)

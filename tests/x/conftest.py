"""A scripted X on a real socket: each request is met by the next scene, and the last one repeats.

A line is kept after a whole answer, as X keeps it, and ends with any other scene.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from bot.x.client import XClient

NOW = datetime(2026, 12, 30, 22, 15, tzinfo=UTC)
KEYS = {
    "api_key": "consumerkeyconsumerkey",
    "api_secret": "consumersecretconsumersecret",
    "access_token": "77-accesstokenaccesstoken",
    "access_token_secret": "accesssecretaccesssecret",
}


@dataclass(frozen=True, kw_only=True)
class Heard:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


# Whether the line is kept for another request.
Scene = Callable[["ScriptedX", socket.socket], bool]


class ScriptedX:
    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.connections = 0
        self.released = threading.Event()
        self.tls: ssl.SSLContext | None = None
        self._scenes: list[Scene] = []
        self._lines: list[socket.socket] = []
        self.open_lines = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def plays(self, *scenes: Scene) -> None:
        self._scenes = list(scenes)

    def plays_scene(self, name: str, data: bytes = b"") -> None:
        self.plays(SCENES[name](data))

    def plays_answers(self, *answers: tuple[int, Any]) -> None:
        self.plays(*(answer(status, body) for status, body in answers))

    def answers(self, status: int, body: Any = b"", **headers: str) -> None:
        self.plays(answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    def read(self, line: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += _more(line)
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (row.split(": ", 1) for row in rest)}
        while len(body) < int(headers.get("content-length", 0)):
            body += _more(line)
        method, target, _ = first.split(" ")
        self.heard.append(Heard(method=method, target=target, headers=headers, body=body))

    def close(self) -> None:
        self.released.set()
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        # A blocked accept is not woken by closing: a last caller is.
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in list(self._threads):
            thread.join(timeout=5)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            line, _ = self._listener.accept()
            if self.released.is_set():
                line.close()
                return
            self.connections += 1
            self.open_lines += 1
            self._lines.append(line.dup())
            thread = threading.Thread(target=self._play, args=(line, self._lines[-1]))
            self._threads.append(thread)
            thread.start()

    def _next_scene(self) -> Scene:
        return self._scenes.pop(0) if len(self._scenes) > 1 else self._scenes[0]

    def _play(self, line: socket.socket, below: socket.socket) -> None:
        line.settimeout(5)
        below.settimeout(5)
        try:
            if self.tls is not None:
                line = self.tls.wrap_socket(line, server_side=True)
            # A scene is taken when its request comes, which below TLS can be told without reading it.
            while below.recv(1, socket.MSG_PEEK) and self._next_scene()(self, line):
                pass
        except OSError:
            pass  # the caller hung up, which some tests are about
        finally:
            below.close()
            line.close()
            self.open_lines -= 1


def _more(line: socket.socket) -> bytes:
    data = line.recv(65536)
    if not data:
        raise ConnectionError("the caller hung up")
    return data


def raw(status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Length": str(len(content)), **(headers or {})}
    rows = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Said\r\n{rows}\r\n".encode("latin-1") + content


def answer(status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Scene:
    def scene(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        line.sendall(raw(status, body, headers))
        return True

    return scene


def says(data: bytes) -> Scene:
    """Reads the request, sends these bytes, and hangs up."""

    def scene(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        line.sendall(data)
        return False

    return scene


def resets(data: bytes = b"") -> Scene:
    """Reads the request, sends these bytes, and resets the connection."""

    def scene(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        line.sendall(data)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return scene


def hangs(data: bytes = b"") -> Scene:
    """Reads the request, sends these bytes, and says no more until released."""

    def scene(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        line.sendall(data)
        x.released.wait(10)
        return False

    return scene


def dribbles(start: bytes) -> Scene:
    """Reads the request, sends this start, and then a byte at a time for ever."""

    def scene(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        line.sendall(start)
        while not x.released.wait(0.02):
            line.sendall(b"a")
        return False

    return scene


def drops(_data: bytes = b"") -> Scene:
    """Resets the connection when the request arrives, and reads none of it."""

    def scene(_x: ScriptedX, line: socket.socket) -> bool:
        # Without this the reset may come before the caller's connect has returned.
        line.recv(1, socket.MSG_PEEK)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return scene


def garbles(_data: bytes = b"") -> Scene:
    """Reads the request over TLS and answers beside it, so that TLS fails after the sending."""

    def scene(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        with socket.socket(fileno=line.detach()) as plain:
            plain.sendall(b"HTTP/1.1 201 Created\r\n\r\n")
        return False

    return scene


SCENES = {
    "says": says,
    "resets": resets,
    "hangs": hangs,
    "dribbles": dribbles,
    "drops": drops,
    "garbles": garbles,
}


@pytest.fixture(autouse=True)
def direct_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine's stands between the test and its own server."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def x() -> Iterator[ScriptedX]:
    server = ScriptedX()
    yield server
    server.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs certificates that nobody trusts but who is told to."""
    return trustme.CA()


@pytest.fixture
def tls_x(x: ScriptedX, authority: trustme.CA) -> ScriptedX:
    """X behind TLS."""
    x.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(x.tls)
    return x


@pytest.fixture
def trusted_x(
    tls_x: ScriptedX, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ScriptedX:
    """X behind TLS, with a certificate that the client trusts."""
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    return tls_x


@pytest.fixture
def make_client() -> Callable[..., XClient]:
    def make(base_url: str, **changes: Any) -> XClient:
        given: dict[str, Any] = {"connect_timeout": 2.0, "read_timeout": 5.0, **KEYS, **changes}
        return XClient(base_url=base_url, clock=lambda: NOW, **given)

    return make


@pytest.fixture
def client(x: ScriptedX, make_client: Callable[..., XClient]) -> XClient:
    return make_client(x.url)

from __future__ import annotations

import socket
import time

import pytest

from bot.sandbox import Sandbox, routing


def talk(sandbox: Sandbox, sent: bytes) -> bytes:
    host, _, port = sandbox.base_url.removeprefix("http://").partition(":")
    heard = b""
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(4096):
            heard += part
    return heard


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"non sense\r\n\r\n", 400),
        (b"BREW /2/tweets HTTP/1.1\r\n\r\n", 501),
        (b"POST /2/tweets HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /2/tweets HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /2/tweets HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 413),
    ],
)
def test_broken_http_is_answered_in_xs_shape(sent: bytes, status: int, sandbox: Sandbox) -> None:
    head, _, body = talk(sandbox, sent).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f'"status": {status}'.encode() in body
    assert b"connection: close" in head


def test_a_body_cut_short_is_dropped_without_an_act(sandbox: Sandbox) -> None:
    assert talk(sandbox, b"POST /2/tweets HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}") == b""
    assert sandbox.calls == {}


def test_one_connection_serves_several_calls(sandbox: Sandbox) -> None:
    twice = b"GET /2/nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 2
    assert talk(sandbox, twice).count(b"HTTP/1.1 404 ") == 2


def test_a_fault_of_the_sandbox_itself_is_loud(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Patched because no input is known that breaks it.
    monkeypatch.setattr(routing, "handle", lambda *_: 1 / 0)
    assert talk(sandbox, b"GET /2/nothing HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_stop_cuts_idle_connections(sandbox: Sandbox) -> None:
    host, _, port = sandbox.base_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /2/nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(4096)
        began = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - began < 1
        assert connection.recv(4096) == b""

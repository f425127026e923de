from __future__ import annotations

import gzip
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError

from bot.core.errors import Fatal, OutcomeUnknown, Retryable, ServiceError
from bot.core.posting.post import Post
from bot.x import session
from bot.x.answers import silence
from bot.x.deadlines import Deadline
from tests.x.conftest import answer

if TYPE_CHECKING:
    from bot.x.client import XClient
    from tests.x.conftest import ScriptedX

MakeClient = Callable[..., "XClient"]
initialise = Deadline.__init__
CREATED = b'{"data": {"id": "1", "text": "hello"}}'
LOST = [
    ("drops", b""),
    ("says", b""),
    ("resets", b""),
    ("says", b"HTTP/1.1 2"),
    ("says", b"no HTTP at all\r\n\r\n"),
    ("says", b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n" + CREATED),
    ("resets", b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n" + CREATED),
    ("says", b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + CREATED),
    ("says", b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{"),
    ("says", b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
    ("says", b"HTTP/1.1 201 Created\r\n" + b"a" * 70_000),
]
SLOW = [
    ("hangs", b""),
    ("hangs", b"HTTP/1.1 201 Created\r\n"),
    ("hangs", b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"),
    ("dribbles", b""),
    ("dribbles", b"HTTP/1.1 201 Created\r\nX-Long: "),
    ("dribbles", b"HTTP/1.1 201 Created\r\nContent-Length: 99999\r\n\r\n"),
    ("dribbles", b"HTTP/1.1 201 Created\r\n\r\n"),
]


def passed_at_once(deadline: Deadline, _seconds: float) -> None:
    initialise(deadline, 60)
    deadline.passed = True


def outcome(call: Callable[[], object]) -> tuple[type[ServiceError], str]:
    with pytest.raises(ServiceError) as caught:
        call()
    assert caught.value.__cause__ is not None
    return type(caught.value), caught.value.code


@pytest.mark.parametrize(("scene", "data"), LOST)
def test_a_post_without_an_answer_is_unknown_and_sent_once(
    x: ScriptedX, client: XClient, scene: str, data: bytes
) -> None:
    x.plays_scene(scene, data)
    assert outcome(lambda: client.create_post(Post(text="hello"))) == (OutcomeUnknown, "no_answer")
    assert x.connections == 1


@pytest.mark.parametrize(("scene", "data"), LOST)
def test_a_read_without_an_answer_may_be_repeated(
    x: ScriptedX, client: XClient, scene: str, data: bytes
) -> None:
    x.plays_scene(scene, data)
    assert outcome(client.me) == (Retryable, "no_answer")


@pytest.mark.parametrize(("scene", "data"), SLOW)
def test_a_slow_answer_ends_in_time(x: ScriptedX, make_client: MakeClient, scene: str, data: bytes) -> None:
    client = make_client(x.url, read_timeout=0.15)
    x.plays_scene(scene, data)
    assert outcome(lambda: client.create_post(Post(text="hello"))) == (OutcomeUnknown, "no_answer")
    assert outcome(client.me) == (Retryable, "no_answer")
    assert x.connections == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_closed_port_got_nothing(make_client: MakeClient, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = make_client(f"{scheme}://127.0.0.1:{port}")
    assert outcome(lambda: client.create_post(Post(text="hello"))) == (Retryable, "x_unreachable")


def test_an_unknown_host_got_nothing(make_client: MakeClient) -> None:
    client = make_client("https://nowhere.invalid")
    assert outcome(lambda: client.create_post(Post(text="hello"))) == (Retryable, "x_unreachable")


def test_a_connection_that_timed_out_got_nothing() -> None:
    reason = ConnectTimeoutError("timed out")
    error = requests.ConnectTimeout(MaxRetryError(None, "/2/tweets", reason))  # type: ignore[arg-type]  # no pool
    assert isinstance(silence("POST", error), Retryable)


def test_a_plain_server_that_was_asked_for_tls_got_nothing(x: ScriptedX, make_client: MakeClient) -> None:
    x.plays_scene("dribbles")
    client = make_client(x.url.replace("http", "https"), connect_timeout=0.2)
    assert outcome(lambda: client.create_post(Post(text="hello"))) == (Retryable, "x_unreachable")
    assert not x.heard


def test_a_time_that_is_over_before_a_line_is_open_sends_nothing(
    x: ScriptedX, monkeypatch: pytest.MonkeyPatch, make_client: MakeClient
) -> None:
    # A slow resolver can't be had on purpose, so the deadline is made to have passed already.
    monkeypatch.setattr(Deadline, "__init__", passed_at_once)
    x.plays_scene("says", b"")
    assert outcome(lambda: make_client(x.url).create_post(Post(text="hello"))) == (Retryable, "x_unreachable")
    assert not x.heard


def test_a_certificate_that_is_not_trusted_got_nothing(tls_x: ScriptedX, make_client: MakeClient) -> None:
    tls_x.answers(201, CREATED)
    assert outcome(lambda: make_client(tls_x.url).create_post(Post(text="hello"))) == (
        Retryable,
        "x_unreachable",
    )
    assert not tls_x.heard


@pytest.mark.parametrize(
    ("scene", "data"), [("garbles", b""), ("says", b""), ("dribbles", b"HTTP/1.1 201 Created\r\nX: ")]
)
def test_tls_that_fails_after_the_post_was_sent_is_unknown(
    trusted_x: ScriptedX, make_client: MakeClient, scene: str, data: bytes
) -> None:
    trusted_x.plays_scene(scene, data)
    client = make_client(trusted_x.url, read_timeout=0.3)
    assert outcome(lambda: client.create_post(Post(text="hello"))) == (OutcomeUnknown, "no_answer")
    assert len(trusted_x.heard) == 1


def test_tls_works(trusted_x: ScriptedX, make_client: MakeClient) -> None:
    trusted_x.answers(201, CREATED)
    assert make_client(trusted_x.url).create_post(Post(text="hello")).x_tweet_id == "1"


def test_an_x_that_is_not_there_is_told_with_where_to_look(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Retryable) as caught:
        make_client(f"http://127.0.0.1:{port}").create_post(Post(text="hello"))
    assert "X_API_BASE_URL" in caught.value.fix


@pytest.mark.parametrize("url", ["", "api.x.com", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_fatal(make_client: MakeClient, url: str) -> None:
    assert outcome(lambda: make_client(url).create_post(Post(text="hello"))) == (Fatal, "wrong_address")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(x: ScriptedX, client: XClient, status: int) -> None:
    for location in (f"{x.url}/2/tweets", "http://[bad", "\x80"):
        x.answers(status, b"", Location=location)
        assert outcome(lambda: client.create_post(Post(text="hello"))) == (OutcomeUnknown, "not_from_x")
        assert outcome(client.me) == (Fatal, "wrong_address")
    assert len(x.heard) == 6


@pytest.mark.parametrize("scene", ["says", "resets"])
def test_a_proxy_that_refuses_the_tunnel_passed_nothing_on(
    x: ScriptedX, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, scene: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", x.url)
    monkeypatch.setenv("NO_PROXY", "")
    x.plays_scene(scene, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    client = make_client("https://x.invalid")
    assert outcome(lambda: client.create_post(Post(text="hello"))) == (Retryable, "x_unreachable")
    assert [heard.method for heard in x.heard] == ["CONNECT"]


def test_no_error_carries_the_request_with_its_keys(x: ScriptedX, client: XClient) -> None:
    x.plays_scene("drops")
    with pytest.raises(OutcomeUnknown) as caught:
        client.create_post(Post(text="hello"))
    cause: Any = caught.value.__cause__
    assert cause.request is None


@pytest.mark.parametrize("packed", [True, False])
def test_an_answer_of_no_end_is_no_answer(
    x: ScriptedX, client: XClient, monkeypatch: pytest.MonkeyPatch, *, packed: bool
) -> None:
    monkeypatch.setattr(session, "MOST_BYTES", 100_000)  # or the test would have to fill the memory
    body = b'{"data": {"id": "1", "text": "hello"}, "more": "' + b"a" * 200_000 + b'"}'
    head = {"Content-Encoding": "gzip"} if packed else {}
    x.plays(answer(201, gzip.compress(body) if packed else body, head))
    assert outcome(lambda: client.create_post(Post(text="hello"))) == (OutcomeUnknown, "no_answer")
    assert outcome(client.me) == (Retryable, "no_answer")

"""Lines to X are kept for a moment, and a kept one makes nothing unknown that a fresh one wouldn't."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from bot.core.errors import OutcomeUnknown, Refused, Retryable
from bot.core.posting.post import Post
from bot.x import connection
from bot.x.connection import Lines
from bot.x.deadlines import Deadline, Deadlines
from tests.x.conftest import SCENES, answer, raw

if TYPE_CHECKING:
    from bot.x.client import XClient
    from tests.x.conftest import ScriptedX

MakeClient = Callable[..., "XClient"]
CREATED = {"data": {"id": "1", "text": "hello"}}
ME = {"data": {"id": "77", "username": "bot"}}
FORBIDDEN = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "no"}


@pytest.fixture
def lines() -> Iterator[Lines]:
    with closing(Lines(10.0)) as made:
        yield made


def until(true: Callable[[], bool]) -> None:
    begun = monotonic()
    while not true():
        assert monotonic() < begun + 10
        threading.Event().wait(0.005)


@pytest.mark.parametrize("secure", [False, True])
def test_accounts_share_a_line(
    request: pytest.FixtureRequest, make_client: MakeClient, lines: Lines, *, secure: bool
) -> None:
    x: ScriptedX = request.getfixturevalue("trusted_x" if secure else "x")
    x.plays(answer(201, CREATED), answer(200, ME))
    mine, theirs = (make_client(x.url, lines=lines, access_token=f"{number}-token") for number in (1, 2))
    mine.create_post(Post(text="hello"))
    theirs.me()
    assert x.connections == 1
    tokens = [heard.headers["authorization"].split('oauth_token="')[1][:7] for heard in x.heard]
    assert tokens == ["1-token", "2-token"]


def test_a_line_is_not_used_after_a_rest(
    x: ScriptedX, make_client: MakeClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEPT_SECONDS", 0.0)
    client = make_client(x.url, lines=lines)
    x.plays(answer(200, ME), answer(201, CREATED))
    client.me()
    client.create_post(Post(text="hello"))
    assert x.connections == 2


def test_a_line_that_x_announces_to_close_is_not_used_again(x: ScriptedX, client: XClient) -> None:
    x.answers(200, ME, Connection="close")
    client.me()
    client.me()
    assert x.connections == 2


@pytest.mark.parametrize("scene", ["says", "resets"])
def test_a_line_that_was_closed_meanwhile_is_opened_anew(
    x: ScriptedX, make_client: MakeClient, lines: Lines, scene: str
) -> None:
    client = make_client(x.url, lines=lines)
    x.plays(SCENES[scene](raw(200, ME)), answer(201, CREATED))
    client.me()
    (pool,) = lines.poolmanager.pools._container.values()
    kept = pool.pool.queue[-1]
    until(lambda: not kept.is_connected)
    assert client.create_post(Post(text="hello")).x_tweet_id == "1"
    assert (x.connections, len(x.heard)) == (2, 2)


def test_a_kept_line_that_takes_no_byte_is_no_unknown_outcome(
    x: ScriptedX, make_client: MakeClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    # X closes the line between the last look at it and the first byte, which can't be had on purpose.
    client = make_client(x.url, lines=lines)
    x.plays(answer(200, ME), answer(201, CREATED))
    client.me()
    watch = Deadline.watch

    def hangs_up_first(deadline: Deadline, line: socket.socket) -> None:
        watch(deadline, line)
        line.shutdown(socket.SHUT_RDWR)
        monkeypatch.setattr(Deadline, "watch", watch)

    monkeypatch.setattr(Deadline, "watch", hangs_up_first)
    assert client.create_post(Post(text="hello")).x_tweet_id == "1"
    assert (x.connections, len(x.heard)) == (2, 2)


@pytest.mark.parametrize("scene", ["says", "resets", "drops"])
def test_a_kept_line_that_breaks_after_a_byte_was_sent_is_one_and_the_last(
    x: ScriptedX, make_client: MakeClient, lines: Lines, scene: str
) -> None:
    client = make_client(x.url, lines=lines)
    x.plays(answer(200, ME), SCENES[scene](b""), answer(201, CREATED))
    client.me()
    with pytest.raises(OutcomeUnknown):
        client.create_post(Post(text="hello"))
    assert x.connections == 1
    # Whoever hangs up without saying so gets a line for each call.
    for _ in range(3):
        client.create_post(Post(text="hello again"))
    assert x.connections == 4


def test_a_line_whose_answer_went_on_too_long_is_not_used_again(
    x: ScriptedX, make_client: MakeClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.x.session.MOST_BYTES", 100_000)
    client = make_client(x.url, lines=lines)
    x.plays(answer(200, b"a" * 1_000_000), answer(200, ME))
    with pytest.raises(Retryable):
        client.me()
    client.me()
    assert x.connections == 2


def test_an_answer_that_nobody_asked_for_is_nobodys(
    x: ScriptedX, make_client: MakeClient, lines: Lines
) -> None:
    """A second answer lies on the line when the next call takes it: it is no answer to that one."""
    client = make_client(x.url, lines=lines)

    def answers_twice(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        line.sendall(raw(200, ME) + raw(200, ME))
        return True

    x.plays(answers_twice, answer(403, {"type": "about:blank", "title": "Forbidden", "detail": "no"}))
    client.me()
    with pytest.raises((Refused, OutcomeUnknown)):
        client.create_post(Post(text="hello"))


def test_an_answer_that_is_still_to_come_is_not_the_next_calls(
    x: ScriptedX, make_client: MakeClient, lines: Lines
) -> None:
    """After an interim answer other than 100 the true one follows, when it likes."""
    mine, theirs = (make_client(x.url, lines=lines, access_token=f"{number}-token") for number in (1, 2))

    def takes_its_time(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        line.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
        x.released.wait(0.2)
        line.sendall(raw(201, CREATED))
        return True

    x.plays(takes_its_time, answer(403, FORBIDDEN))
    with pytest.raises(OutcomeUnknown):
        mine.create_post(Post(text="hello"))
    with pytest.raises(Refused):
        theirs.create_post(Post(text="hello"))
    assert x.connections == 2


def test_what_tls_has_unpacked_and_nobody_asked_for_is_nobodys(
    trusted_x: ScriptedX, make_client: MakeClient, lines: Lines
) -> None:
    """Reading ends within a record of TLS: the rest waits where the socket doesn't show it."""
    client = make_client(trusted_x.url, lines=lines)

    def says_more(x: ScriptedX, line: socket.socket) -> bool:
        x.read(line)
        # The first answer is read together with what fills up 8192 bytes.
        line.sendall(raw(200, ME).ljust(8192) + raw(201, CREATED))
        return True

    trusted_x.plays(says_more, answer(403, FORBIDDEN))
    client.me()
    with pytest.raises(Refused):
        client.create_post(Post(text="hello"))


def test_a_slow_call_on_a_kept_line_ends_in_time_and_takes_no_other_with_it(
    x: ScriptedX, make_client: MakeClient
) -> None:
    with closing(Lines(0.6)) as lines:
        client = make_client(x.url, lines=lines)
        x.plays(answer(200, ME), SCENES["dribbles"](b""), answer(201, CREATED))
        client.me()
        begun = monotonic()
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(client.create_post, Post(text="slow"))
            until(lambda: len(x.heard) == 2)
            client.create_post(Post(text="hello"))
            with pytest.raises(OutcomeUnknown):
                slow.result()
        assert 0.5 < monotonic() - begun < 5


def test_lines_and_the_thread_that_watches_them_go_when_nothing_is_to_do(
    x: ScriptedX, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEPT_SECONDS", 0.05)
    lines, others = Lines(10.0), set(threading.enumerate())
    x.answers(200, ME)
    with lines.call():
        (watcher,) = set(threading.enumerate()) - others
    make_client(x.url, lines=lines).me()
    until(lambda: not (watcher.is_alive() or x.open_lines))
    make_client(x.url, lines=lines).me()
    assert x.connections == 2


def test_an_old_error_keeps_no_line_open(x: ScriptedX, make_client: MakeClient) -> None:
    lines = Lines(10.0)
    client = make_client(x.url, lines=lines)
    x.plays(SCENES["says"](b""), answer(200, ME))
    with pytest.raises(OutcomeUnknown) as unknown:
        client.create_post(Post(text="hello"))
    client.me()
    begun = monotonic()
    lines.close()
    until(lambda: not x.open_lines)
    # X itself hangs up after five seconds.
    assert monotonic() - begun < 3, unknown.value


def test_a_thread_that_can_not_be_had_is_asked_for_again(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", fails)
        with pytest.raises(RuntimeError), lines.call():
            pass
    others = set(threading.enumerate())
    with lines.call():
        assert len(set(threading.enumerate()) - others) == 1


def test_closing_closes_what_is_kept(x: ScriptedX, make_client: MakeClient) -> None:
    lines = Lines(10.0)
    x.answers(200, ME)
    make_client(x.url, lines=lines).me()
    lines.close()
    until(lambda: not x.open_lines)


def test_many_calls_at_once_have_lines_of_their_own(x: ScriptedX, make_client: MakeClient) -> None:
    with closing(Lines(10.0, kept=4)) as lines, ThreadPoolExecutor(8) as pool:
        x.answers(200, ME)
        client = make_client(x.url, lines=lines)
        assert {account.x_user_id for account in pool.map(lambda _: client.me(), range(64))} == {"77"}
        assert len(x.heard) == 64
        assert x.connections < 64


def watching(before: set[threading.Thread]) -> set[threading.Thread]:
    """The threads that watch calls, but for those that other tests left."""
    return {one for one in set(threading.enumerate()) - before if one.name == "x-deadlines"}


def test_once_closed_no_thread_still_puts_lines_away() -> None:
    """The interpreter looks through what is to be put away as it ends, and must not meet it changing."""
    begun = threading.Event()

    def quiet() -> None:
        begun.set()
        time.sleep(0.3)

    before = set(threading.enumerate())
    deadlines = Deadlines(60, linger=60, quiet=quiet)
    with deadlines.call():
        pass
    deadlines.close()
    assert begun.is_set()
    assert watching(before) == set()


def test_closing_waits_for_no_call_that_is_under_way() -> None:
    before = set(threading.enumerate())
    deadlines = Deadlines(60, linger=60, quiet=lambda: None)
    with deadlines.call():
        deadlines.close()
        assert len(watching(before)) == 1

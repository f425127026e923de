"""An X that somebody else wrote: odd ids, no memory of texts. Each text is live once, whatever it does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bot.core.states import TweetStatus
from bot.x.client import XClient
from tests.engine.world import VirtualClock, World

# Counting what is covered would take longer than the ticks do, and finds nothing that other tests don't.
pytestmark = pytest.mark.no_cover
Number = Callable[[int, datetime], int]


def snowflake(at: datetime) -> int:
    return int(at.timestamp() * 1000 - 1_288_834_974_657) << 22


NUMBERS: dict[str, Number] = {
    "small": lambda n, _: n + 1,
    "descending": lambda n, _: 1000 - n,
    "snowflakes": lambda n, at: snowflake(at) + n,
    "descending_snowflakes": lambda n, at: snowflake(at.replace(minute=0, second=0, microsecond=0)) - n,
    "absurd_first": lambda n, at: snowflake(at) if n else 9_999_999_999_999_999_999,
    "absurd_second": lambda n, at: 1 if n == 1 else snowflake(at),
    "absurd_all": lambda n, _: 9_999_999_999_999_999_999 - n,
}


class OtherX:
    """Posts in the order they came; `script` says what becomes of each call's answer."""

    def __init__(self, clock: VirtualClock, number: Number) -> None:
        self.clock = clock
        self.number = number
        self.posts: list[dict[str, Any]] = []
        self.script: list[str] = []
        self.pages: list[str] = []
        x = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*x.post(sent))

            def do_GET(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                self.answer(200, x.page(query))

            def answer(self, status: int, body: object) -> None:
                if status == 0:
                    self.close_connection = True
                    return
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def post(self, sent: dict[str, Any]) -> tuple[int, object]:
        kind = self.script.pop(0) if self.script else "accept"
        if kind == "lost_before":
            return 0, b""
        at = self.clock.true
        x_id = str(self.number(len(self.posts), at))
        made = {"id": x_id, "text": sent["text"], "created_at": at.isoformat().replace("+00:00", "Z")}
        self.posts.append(made)
        if kind == "lost_after":
            return 0, b""
        if kind == "same_id":
            return 201, {"data": {"id": self.posts[0]["id"], "text": sent["text"]}}
        if kind.isdigit():
            return int(kind), b"<html>a proxy's page</html>"
        return 201, {"data": {"id": x_id, "text": sent["text"]}}

    def page(self, query: dict[str, str]) -> object:
        kind = self.pages.pop(0) if self.pages else "whole"
        if kind == "bare":
            return {"data": []}
        if kind == "errors":
            return {"data": [], "errors": [{"title": "Service Unavailable"}], "meta": {"result_count": 0}}
        since = int(query.get("since_id", 0))
        shown = [post for post in reversed(self.posts) if int(post["id"]) > since]
        begin, size = int(query.get("pagination_token", 0)), int(query.get("max_results", 10))
        page = shown[begin : begin + size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if begin + size < len(shown):
            meta["next_token"] = str(begin + size)
        return {"data": page, "meta": meta} if page else {"meta": meta}


@pytest.fixture(params=NUMBERS)
def other(request: pytest.FixtureRequest, world: World) -> Iterator[OtherX]:
    made = OtherX(world.clock, NUMBERS[request.param])
    world.x = XClient(  # type: ignore[assignment]  # the real client, over HTTP
        api_key="key",
        api_secret="secret",
        access_token="token",
        access_token_secret="secret",
        base_url=made.url,
        clock=world.clock.now,
    )
    world.engine = world.new_engine()
    yield made
    made.close()


def play(world: World, other: OtherX, script: list[str], *, number: int = 4) -> None:
    """Slots a minute apart; each text must be live once, and each row say so."""
    other.script = list(script)
    for n in range(number):
        world.slot(n * 60, f"text {n}")
    for _ in range(number * 3 + 15):
        world.run(20, every=20)
        if world.at_rest():
            break
    assert sorted(post["text"] for post in other.posts) == [f"text {n}" for n in range(number)]
    assert {tweet.status for tweet in world.tweets()} == {TweetStatus.POSTED}
    settled = world.rows("SELECT count(*) FROM api_calls WHERE kind = 'post' AND state <> 'released'")
    assert settled == [(number,)]


def test_whose_answers_are_lost(world: World, other: OtherX) -> None:
    play(world, other, ["accept", "lost_after", "accept", "lost_after"])
    live = {post["text"]: post["id"] for post in other.posts}
    assert {tweet.text: tweet.x_tweet_id for tweet in world.tweets()} == live


def test_which_loses_calls_too(world: World, other: OtherX) -> None:
    play(world, other, ["lost_before", "lost_after", "accept", "lost_before", "accept", "lost_after"])


def test_behind_a_proxy_that_answers_in_its_place(world: World, other: OtherX) -> None:
    play(world, other, ["302", "404", "425", "451", "499", "400"], number=6)


def test_whose_pages_prove_nothing_for_a_while(world: World, other: OtherX) -> None:
    other.pages = ["bare", "errors", "bare"]
    play(world, other, ["lost_after"], number=1)


def test_which_gives_an_id_twice(world: World, other: OtherX) -> None:
    play(world, other, ["accept", "same_id"], number=3)
    ((reason,),) = world.rows("SELECT DISTINCT reason FROM decisions WHERE reason LIKE 'X said yes%'")
    assert "another tweet has X's id" in reason

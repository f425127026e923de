from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
import tweepy

from bot.sandbox import Sandbox

Call = Callable[..., requests.Response]


def test_a_post_is_answered_as_x_answers(call: Call, sandbox: Sandbox) -> None:
    answer = call("POST", "/2/tweets", json={"text": "hello"})
    (post,) = sandbox.posts()
    data = {"id": post.id, "text": "hello", "edit_history_tweet_ids": [post.id]}
    assert (answer.status_code, answer.json()) == (201, {"data": data})


def test_ids_grow_and_are_decimal_strings(client: tweepy.Client, sandbox: Sandbox) -> None:
    sandbox.configure(clock="2026-08-01T12:00:00Z")
    ids = [client.create_tweet(text=str(number)).data["id"] for number in range(20)]
    assert all(isinstance(name, str) and name.isdigit() for name in ids)
    assert [int(name) for name in ids] == sorted({int(name) for name in ids})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": "   "},
        {"text": 1},
        {"text": None},
        {"text": "a\ufffeb"},
        {"text": "a\ud800b"},
        {"text": "a", "idempotency_key": "x"},
        {"text": "a", "media": {}},
        {"text": "a", "media": {"media_ids": []}},
        {"text": "a", "media": {"media_ids": [1]}},
        {"text": "a", "media": {"media_ids": ["1"]}},
        {"text": "a", "media": {"media_ids": ["1", "2", "3", "4", "5"]}},
        {"text": "a", "media": {"media_ids": ["1"], "alt": "x"}},
        {"text": "a", "poll": {"options": ["a", "b"]}},
        {"text": "a", "poll": {"options": ["a"], "duration_minutes": 5}},
        {"text": "a", "poll": {"options": list("abcde"), "duration_minutes": 5}},
        {"text": "a", "poll": {"options": ["a", "b" * 26], "duration_minutes": 5}},
        {"text": "a", "poll": {"options": ["a", ""], "duration_minutes": 5}},
        {"text": "a", "poll": {"options": ["a", "b"], "duration_minutes": 4}},
        {"text": "a", "poll": {"options": ["a", "b"], "duration_minutes": 10081}},
        {"text": "a", "poll": {"options": ["a", "b"], "duration_minutes": "5"}},
        {"text": "a", "poll": {"options": ["a", "b"], "duration_minutes": 5, "extra": 1}},
        {"text": "a", "poll": {"options": ["a", "b"], "duration_minutes": 5}, "quote_tweet_id": "1"},
        {"text": "a", "poll": {"options": ["a", "b"], "duration_minutes": 5}, "media": {"media_ids": ["1"]}},
        {"text": "a", "reply": {}},
        {"text": "a", "reply": {"in_reply_to_tweet_id": 12}},
        {"text": "a", "reply": {"in_reply_to_tweet_id": "12", "extra": 1}},
        {"text": "a", "reply": "12"},
        {"text": "a", "quote_tweet_id": 12},
        {"text": "a", "reply_settings": "everyone"},
        {"text": "a", "community_id": "x"},
        {"text": "a", "made_with_ai": "true"},
        {"text": "a", "paid_partnership": 1},
    ],
)
def test_a_wrong_body_is_an_invalid_request(body: dict[str, Any], call: Call, sandbox: Sandbox) -> None:
    answer = call("POST", "/2/tweets", json=body)
    assert answer.status_code == 400
    told = answer.json()
    assert told["title"] == "Invalid Request"
    assert told["type"].endswith("/problems/invalid-request")
    assert told["errors"][0]["message"]
    assert sandbox.posts() == ()


@pytest.mark.parametrize(
    "options",
    [
        {"data": b'{"text": "a"}', "headers": {"Content-Type": "text/plain"}},
        {"data": b'{"text": "a"}'},
        {"data": b'{"text": ', "headers": {"Content-Type": "application/json"}},
        {"data": b'{"text": "a", "text": "b"}', "headers": {"Content-Type": "application/json"}},
        {"json": ["a"]},
        {"json": {"text": "a"}, "params": {"x": "1"}},
    ],
)
def test_a_body_that_is_no_json_object_is_refused(options: dict[str, Any], call: Call) -> None:
    assert call("POST", "/2/tweets", **options).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"text": "a" * 280},
        {"text": "字" * 140},
        {"text": "https://example.com/" + "a" * 300},
        {"text": "a", "poll": {"options": ["a", "b"], "duration_minutes": 5}},
        {"text": "a", "made_with_ai": True, "paid_partnership": False, "reply_settings": "mentionedUsers"},
        {"text": "one $TSLA and $5 and $20k"},
    ],
)
def test_a_right_body_is_accepted(body: dict[str, Any], call: Call) -> None:
    assert call("POST", "/2/tweets", json=body).status_code == 201


@pytest.mark.parametrize("text", ["a" * 281, "字" * 141, "a" * 257 + " https://example.com"])
def test_a_long_text_is_forbidden(text: str, client: tweepy.Client) -> None:
    with pytest.raises(tweepy.Forbidden, match="too long"):
        client.create_tweet(text=text)


def test_two_cashtags_are_forbidden(client: tweepy.Client) -> None:
    with pytest.raises(tweepy.Forbidden, match="cashtag"):
        client.create_tweet(text="$TSLA or $AAPL")


@pytest.mark.parametrize("again", ["café time", "cafe\u0301 time", "  café\n\ttime "])
def test_the_same_text_again_is_a_duplicate(again: str, call: Call, sandbox: Sandbox) -> None:
    call("POST", "/2/tweets", json={"text": "café time"})
    answer = call("POST", "/2/tweets", json={"text": again})
    assert answer.status_code == 403
    assert answer.json() == {
        "detail": "You are not allowed to create a Tweet with duplicate content.",
        "title": "Forbidden",
        "status": 403,
        "type": "about:blank",
    }
    assert len(sandbox.posts()) == 1


def test_a_duplicate_is_free_again_after_its_window_or_its_deletion(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock="2026-08-01T12:00:00Z")
    first = call("POST", "/2/tweets", json={"text": "again"}).json()["data"]["id"]
    sandbox.advance(86_399)
    assert call("POST", "/2/tweets", json={"text": "again"}).status_code == 403
    sandbox.advance(1)
    second = call("POST", "/2/tweets", json={"text": "again"})
    assert second.status_code == 201
    call("DELETE", f"/2/tweets/{second.json()['data']['id']}")
    assert call("POST", "/2/tweets", json={"text": "again"}).status_code == 201
    assert first in {post.id for post in sandbox.posts()}


def test_other_case_and_other_accounts_are_no_duplicates(
    connect: Callable[..., tweepy.Client], sandbox: Sandbox
) -> None:
    sandbox.add_account("other")
    connect().create_tweet(text="Hello")
    connect().create_tweet(text="hello")
    connect(sandbox.keys_of("other")).create_tweet(text="Hello")
    assert len(sandbox.posts()) == 2


def test_a_thread_of_replies_to_oneself_is_allowed(client: tweepy.Client, sandbox: Sandbox) -> None:
    sandbox.configure(visibility_delay=60)
    first = client.create_tweet(text="one").data["id"]
    client.create_tweet(text="two", in_reply_to_tweet_id=first)
    assert [post.reply_to for post in sandbox.posts()] == [None, first]


def test_replies_and_quotes_need_a_mention(client: tweepy.Client, sandbox: Sandbox) -> None:
    sandbox.add_account("stranger")
    silent = sandbox.add_post("just talking", account="stranger")
    asking = sandbox.add_post("hey @Sandbox_Bot, why?", account="stranger")
    for target in ({"in_reply_to_tweet_id": silent.id}, {"quote_tweet_id": silent.id}):
        with pytest.raises(tweepy.Forbidden, match="mentioned or are the author"):
            client.create_tweet(text="butting in", **target)
    client.create_tweet(text="because", in_reply_to_tweet_id=asking.id)
    charged = [charge["item"] for charge in sandbox.state()["charges"]]
    assert charged == ["summoned_reply"]


def test_a_deleted_or_unknown_target_is_refused(client: tweepy.Client, sandbox: Sandbox) -> None:
    gone = client.create_tweet(text="one").data["id"]
    sandbox.delete_post(gone)
    for target in (gone, "123"):
        with pytest.raises(tweepy.Forbidden, match="deleted or not visible"):
            client.create_tweet(text="two", in_reply_to_tweet_id=target)


def test_deletion_is_for_ones_own_live_posts(client: tweepy.Client, sandbox: Sandbox, call: Call) -> None:
    mine = client.create_tweet(text="mine").data["id"]
    sandbox.add_account("stranger")
    theirs = sandbox.add_post("theirs", account="stranger")
    assert client.delete_tweet(mine).data == {"deleted": True}
    with pytest.raises(tweepy.NotFound):
        client.delete_tweet(mine)
    with pytest.raises(tweepy.Forbidden):
        client.delete_tweet(theirs.id)
    assert call("DELETE", "/2/tweets/abc").status_code == 400
    assert [post["deleted_at"] is None for post in sandbox.state()["posts"]] == [False, True]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/2/nothing", 404),
        ("POST", "/2/users/me", 405),
        ("PUT", "/2/tweets", 405),
        ("DELETE", "/2/tweets", 405),
    ],
)
def test_unknown_routes_and_methods(method: str, path: str, status: int, call: Call) -> None:
    answer = call(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.json()["type"] == "about:blank"

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
from oauthlib.oauth1.rfc5849 import signature

from bot.core.errors import Refused, Retryable
from bot.core.model import Account, LivePost
from bot.core.posting.post import Post
from bot.core.rates import RateWindow

if TYPE_CHECKING:
    from bot.x.client import XClient
    from tests.x.conftest import ScriptedX

EPOCH = 1_798_700_000
ROW = {"id": "12", "text": "hello"}


def post(number: int) -> dict[str, str]:
    return {"id": str(number), "text": f"post {number}"}


def asked(x: ScriptedX, index: int = -1) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(x.heard[index].target).query).items()}


def test_me_is_the_account_of_the_keys(x: ScriptedX, client: XClient) -> None:
    x.answers(200, {"data": {"id": "77", "username": "bot", "name": "Bot"}})
    assert client.me() == Account(x_user_id="77", username="bot")
    assert (x.heard[0].method, x.heard[0].target) == ("GET", "/2/users/me")


def test_a_post_sends_its_text_and_nothing_else(x: ScriptedX, client: XClient) -> None:
    x.answers(
        201,
        {"data": {"id": "12", "text": "h\u00e9 &lt;3 &amp;amp; https://t.co/1"}},
        x_rate_limit_limit="100",
        x_rate_limit_remaining="99",
        x_rate_limit_reset=str(EPOCH),
    )
    posted = client.create_post(Post(text="h\u00e9 <3 &amp; https://a.b/"))
    assert (posted.x_tweet_id, posted.text) == ("12", "h\u00e9 <3 &amp; https://t.co/1")
    resets_at = datetime.fromtimestamp(EPOCH, UTC)
    assert posted.rates == (RateWindow(name="15m", limit=100, remaining=99, resets_at=resets_at),)
    heard = x.heard[0]
    assert (heard.method, heard.target) == ("POST", "/2/tweets")
    assert json.loads(heard.body) == {"text": "h\u00e9 <3 &amp; https://a.b/"}


def test_a_reply_names_its_parent(x: ScriptedX, client: XClient) -> None:
    x.answers(201, {"data": ROW})
    client.create_post(Post(text="hello", reply_to="5"))
    assert json.loads(x.heard[0].body) == {"text": "hello", "reply": {"in_reply_to_tweet_id": "5"}}


def test_a_post_whose_answer_has_no_text_keeps_the_sent_one(x: ScriptedX, client: XClient) -> None:
    x.answers(201, {"data": {"id": "12"}})
    assert client.create_post(Post(text="hello")).text == "hello"


@pytest.mark.parametrize("path", ["", "/", "/some/where/"])
def test_the_signature_covers_the_address_that_is_called(
    x: ScriptedX, make_client: Callable[..., XClient], path: str
) -> None:
    x.answers(200, {"meta": {"result_count": 0}})
    make_client(x.url + path).timeline("77", since_id="5", since=datetime(2026, 1, 1, tzinfo=UTC))
    heard = x.heard[0]
    assert heard.target.startswith(f"{path.rstrip('/')}/2/users/77/tweets?")
    fields = dict(part.strip().split("=", 1) for part in heard.headers["authorization"][6:].split(","))
    told = {name: unquote(value.strip('"')) for name, value in fields.items()}
    sent = told.pop("oauth_signature")
    parameters = [*told.items(), *parse_qsl(urlsplit(heard.target).query)]
    signed = SimpleNamespace(http_method="GET", uri=x.url + heard.target, params=parameters, signature=sent)
    secrets = ("consumersecretconsumersecret", "accesssecretaccesssecret")
    assert signature.verify_hmac_sha1(signed, *secrets)
    assert not signature.verify_hmac_sha1(signed, "another", "secret")
    assert told["oauth_consumer_key"] == "consumerkeyconsumerkey"


def test_no_cookie_is_used_twice(x: ScriptedX, client: XClient) -> None:
    x.answers(200, {"data": {"id": "77", "username": "bot"}}, Set_Cookie="a=b")
    client.me()
    client.me()
    assert "cookie" not in x.heard[1].headers


def test_a_live_post_is_read_whole(x: ScriptedX, client: XClient) -> None:
    page = "https://example.org/photo/1"
    urls = [
        {"url": "https://t.co/1", "expanded_url": "https://bit.ly/a", "unwound_url": "https://example.org/a"},
        {"url": "https://t.co/2", "unwound_url": "https://example.org/b"},
        {"url": "https://t.co/3", "expanded_url": "https://x.com/bot/status/12/photo/1"},
        {"url": "https://t.co/4", "expanded_url": "https://twitter.com/bot/status/12/video/1"},
        {"url": "https://t.co/5", "expanded_url": "https://pic.example/1", "media_key": "3_1"},
        {"url": "https://t.co/6", "expanded_url": page},
    ]
    row = {
        "id": "12",
        "text": "a &amp; b",
        "created_at": "2026-08-01T10:00:00.000Z",
        "entities": {"urls": urls},
        "referenced_tweets": [{"type": "quoted", "id": "3"}, {"type": "replied_to", "id": "4"}],
        "public_metrics": {"like_count": 3, "odd": "many"},
    }
    x.answers(200, {"data": [row], "meta": {"result_count": 1}})
    assert client.timeline("77").posts == (
        LivePost(
            x_tweet_id="12",
            text="a & b",
            created_at=datetime(2026, 8, 1, 10, tzinfo=UTC),
            reply_to="4",
            links={
                "https://t.co/1": "https://bit.ly/a",
                "https://t.co/2": "https://example.org/b",
                "https://t.co/3": "",
                "https://t.co/4": "",
                "https://t.co/5": "",
                "https://t.co/6": page,
            },
            metrics={"like_count": 3},
        ),
    )


def test_a_reply_is_known_by_the_newest_name_too(x: ScriptedX, client: XClient) -> None:
    x.answers(200, {"data": [ROW | {"referenced_posts": [{"type": "replied_to", "id": "4"}]}]})
    assert client.lookup(["12"]).posts[0].reply_to == "4"


@pytest.mark.parametrize(
    "odd",
    [
        {"entities": None, "referenced_tweets": None, "public_metrics": None, "created_at": None},
        {"entities": [], "referenced_tweets": {}, "public_metrics": [], "created_at": "yesterday"},
        {"entities": {"urls": [None, {"url": 3}]}, "referenced_tweets": [3, {"type": "replied_to"}]},
        {"created_at": "2026-08-01T10:00:00"},
        {"created_at": "9999-12-31T23:59:59Z"},
        {"created_at": "1970-01-01T00:00:00Z"},
    ],
)
def test_odd_trimmings_leave_the_post(x: ScriptedX, client: XClient, odd: dict[str, Any]) -> None:
    x.answers(200, {"data": [ROW | odd]})
    assert client.lookup(["12"]).posts == (LivePost(x_tweet_id="12", text="hello", created_at=None),)


def test_since_is_sent_in_utc_and_whole_seconds(x: ScriptedX, client: XClient) -> None:
    x.answers(200, {"meta": {"result_count": 0}})
    client.timeline("77", since=datetime(2026, 1, 1, 1, 0, 0, 999, tzinfo=timezone(timedelta(hours=2))))
    assert asked(x)["start_time"] == "2025-12-31T23:00:00Z"
    assert asked(x)["max_results"] == "100"
    with pytest.raises(ValueError, match="naive"):
        client.timeline("77", since=datetime(2026, 1, 1))  # noqa: DTZ001  # the naive one is the point


def test_a_timeline_follows_its_pages(x: ScriptedX, client: XClient) -> None:
    first = {
        "data": [post(i) for i in range(200, 101, -1)],
        "meta": {"result_count": 99, "next_token": "two"},
    }
    second: dict[str, Any] = {"meta": {"result_count": 0, "next_token": "three"}}
    third = {"data": [post(3)], "meta": {"result_count": 1}}
    x.plays_answers((200, first), (200, second), (200, third))
    timeline = client.timeline("77", limit=150)
    assert (len(timeline.posts), timeline.complete) == (100, True)
    assert [asked(x, i).get("pagination_token") for i in range(3)] == [None, "two", "three"]
    assert [asked(x, i)["max_results"] for i in range(3)] == ["100", "51", "51"]


def test_a_read_that_fails_half_way_tells_how_much_x_had_given(x: ScriptedX, client: XClient) -> None:
    first = {"data": [post(9), post(8)], "meta": {"result_count": 2, "next_token": "two"}}
    x.plays_answers((200, first), (503, b"<html>"))
    with pytest.raises(Retryable) as caught:
        client.timeline("77", limit=10)
    assert caught.value.served == 2


def test_a_timeline_cut_by_the_limit_says_so(x: ScriptedX, client: XClient) -> None:
    x.answers(200, {"data": [post(i) for i in range(9, 4, -1)], "meta": {"result_count": 5}})
    assert client.timeline("77", limit=5).complete
    cut = client.timeline("77", limit=3)
    assert (len(cut.posts), cut.complete) == (3, False)
    assert asked(x)["max_results"] == "5"
    x.answers(
        200, {"data": [post(i) for i in range(9, 4, -1)], "meta": {"result_count": 5, "next_token": "a"}}
    )
    assert not client.timeline("77", limit=5).complete


def test_pages_that_never_end_are_left(x: ScriptedX, client: XClient) -> None:
    x.answers(200, {"meta": {"result_count": 0, "next_token": "again"}})
    assert not client.timeline("77", limit=10).complete
    assert len(x.heard) == 7
    with pytest.raises(ValueError, match="0 posts"):
        client.timeline("77", limit=0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"meta": {}},
        {"meta": None},
        {"meta": {"result_count": 3}},
        {"meta": {"result_count": 0}, "errors": [{"detail": "User has been suspended"}]},
        {"data": [ROW], "meta": {"result_count": 2}},
        {"data": {}, "meta": {"result_count": 0}},
        {"data": [{"id": "1"}], "meta": {"result_count": 1}},
        {"data": [{"id": "x", "text": ""}], "meta": {"result_count": 1}},
    ],
)
def test_a_timeline_that_proves_nothing_is_no_empty_one(
    x: ScriptedX, client: XClient, body: dict[str, Any]
) -> None:
    x.answers(200, body)
    with pytest.raises(Retryable) as caught:
        client.timeline("77")
    assert caught.value.code == "unreadable_answer"


WHOLE = {"data": [ROW], "meta": {"result_count": 1}}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"data": []}),
        (200, {"data": [], "errors": [{"detail": "Service Unavailable"}]}),
        (200, {"data": [], "errors": [{"detail": "Service Unavailable"}], "meta": {"result_count": 0}}),
        (200, {"data": [ROW]}),
        (200, {"data": [ROW], "meta": {"result_count": 0}}),
        (200, {"data": [ROW], "meta": {"result_count": "1"}}),
        (200, {"data": [ROW], "meta": {"result_count": True}}),
        (200, WHOLE | {"errors": [{"detail": "one is kept back"}]}),
        (206, WHOLE),
    ],
)
def test_only_a_page_that_counts_its_posts_without_errors_is_whole(
    x: ScriptedX, client: XClient, status: int, body: dict[str, Any]
) -> None:
    x.answers(status, body)
    assert not client.timeline("77").whole
    x.answers(200, WHOLE)
    assert client.timeline("77").whole
    x.answers(200, {"meta": {"result_count": 0}})
    assert client.timeline("77").whole


def test_posts_that_come_twice_stand_for_some_that_did_not_come(x: ScriptedX, client: XClient) -> None:
    x.answers(200, {"data": [post(9), post(9)], "meta": {"result_count": 2}})
    assert not client.timeline("77").whole
    first = {"data": [post(9), post(8)], "meta": {"result_count": 2, "next_token": "on"}}
    x.plays_answers((200, first), (200, {"data": [post(8)], "meta": {"result_count": 1}}))
    assert not client.timeline("77").whole


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_a_timeline_is_whole_when_every_page_is(x: ScriptedX, client: XClient, odd: int) -> None:
    pages: list[dict[str, Any]] = [
        {"data": [post(9 - i)], "meta": {"result_count": 1, "next_token": "on"}} for i in range(2)
    ]
    pages.append({"data": [post(5)], "meta": {"result_count": 1}})
    x.plays_answers(*((200, page) for page in pages))
    assert client.timeline("77", limit=20).whole
    pages[odd] |= {"errors": [{"detail": "Service Unavailable"}]}
    x.plays_answers(*((200, page) for page in pages))
    read = client.timeline("77", limit=20)
    assert (len(read.posts), read.whole) == (3, False)


def test_a_lookup_leaves_out_what_does_not_exist(x: ScriptedX, client: XClient) -> None:
    gone = {"type": "https://api.twitter.com/2/problems/resource-not-found"}
    x.answers(200, {"data": [ROW], "errors": [gone | {"resource_id": "13"}]})
    assert [live.x_tweet_id for live in client.lookup(["12", "13", "12"]).posts] == ["12"]
    assert asked(x)["ids"] == "12,13"
    x.answers(200, {"errors": [gone | {"value": "13"}]})
    assert client.lookup(["13"]).posts == ()
    x.answers(200, {})
    with pytest.raises(Retryable):
        client.lookup(["13"])


def test_a_post_that_x_keeps_back_from_a_lookup_is_there_without_its_text(
    x: ScriptedX, client: XClient
) -> None:
    """Only "not found" says that a post is gone; a look at one that is not shown proves nothing."""
    problems = "https://api.twitter.com/2/problems"
    x.answers(
        200,
        {
            "data": [ROW],
            "errors": [
                {"value": "13", "type": f"{problems}/resource-not-found"},
                {"value": "14", "type": f"{problems}/not-authorized-for-resource"},
                {"value": "15"},
            ],
        },
    )
    found = client.lookup(["12", "13", "14", "15"]).posts
    assert [(live.x_tweet_id, live.text) for live in found] == [("12", "hello"), ("14", ""), ("15", "")]


@pytest.mark.parametrize("body", [{"data": []}, {"errors": []}, {"errors": [{"detail": "Unavailable"}]}])
def test_a_lookup_that_does_not_name_a_post_does_not_say_that_it_is_gone(
    x: ScriptedX, client: XClient, body: dict[str, Any]
) -> None:
    x.answers(200, body)
    assert [live.x_tweet_id for live in client.lookup(["12", "13"]).posts] == ["12", "13"]


def test_a_lookup_asks_for_a_hundred_at_a_time(x: ScriptedX, client: XClient) -> None:
    assert client.lookup([]).posts == ()
    x.plays_answers((200, {"data": [post(1)]}), (200, {"data": [post(2)]}))
    found = client.lookup([str(i) for i in range(101)]).posts
    assert [live.x_tweet_id for live in found if live.text] == ["1", "2"]
    assert asked(x)["ids"] == "100"


def test_delete_says_whether_it_is_gone(x: ScriptedX, client: XClient) -> None:
    x.plays_answers(
        (200, {"data": {"deleted": True}}), (200, {"data": {"deleted": False}}), (200, {"data": {}})
    )
    assert client.delete("12")
    assert not client.delete("12")
    with pytest.raises(Retryable):
        client.delete("12")
    assert (x.heard[0].method, x.heard[0].target) == ("DELETE", "/2/tweets/12")


@pytest.mark.parametrize("odd", ["", "../users/me", "1/2", "a"])
def test_only_an_id_becomes_part_of_an_address(x: ScriptedX, client: XClient, odd: str) -> None:
    for call in (client.delete, client.timeline):
        with pytest.raises(Refused):
            call(odd)
    assert x.connections == 0

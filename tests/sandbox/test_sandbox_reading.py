from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import tweepy

from bot.sandbox import Sandbox

Call = Callable[..., requests.Response]


def timeline(call: Call, sandbox: Sandbox, **params: Any) -> dict[str, Any]:
    answer = call("GET", f"/2/users/{sandbox.user_id}/tweets", params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_me_is_the_signing_account(client: tweepy.Client, sandbox: Sandbox) -> None:
    me = client.get_me(user_fields=["created_at"]).data
    assert (str(me.id), me.username) == (sandbox.user_id, "sandbox_bot")
    assert me.created_at is not None


def test_a_timeline_is_newest_first_in_pages(client: tweepy.Client, sandbox: Sandbox) -> None:
    made = [sandbox.add_post(f"post {number}").id for number in range(12)]
    read, token, pages = [], None, 0
    while pages == 0 or token:
        page = client.get_users_tweets(sandbox.user_id, max_results=5, pagination_token=token, user_auth=True)
        read += [str(post.id) for post in page.data]
        assert page.meta["newest_id"] == str(page.data[0].id)
        assert page.meta["oldest_id"] == str(page.data[-1].id)
        token, pages = page.meta.get("next_token"), pages + 1
    assert (read, pages) == (made[::-1], 3)


def test_an_empty_timeline_has_no_data(call: Call, sandbox: Sandbox) -> None:
    assert timeline(call, sandbox) == {"meta": {"result_count": 0}}


def test_windows_of_ids_and_times(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock="2026-08-01T12:00:00Z")
    made = []
    for number in range(4):
        made.append(sandbox.add_post(f"post {number}").id)
        sandbox.advance(60)

    def ids(**params: str) -> list[int]:
        rows = timeline(call, sandbox, **params).get("data", [])
        return [made.index(row["id"]) for row in rows]

    assert ids(since_id=made[1]) == [3, 2]
    assert ids(until_id=made[1]) == [0]
    assert ids(start_time="2026-08-01T12:01:00Z") == [3, 2, 1]
    assert ids(end_time="2026-08-01T12:01:00Z") == [0]


def test_replies_can_be_left_out(call: Call, sandbox: Sandbox) -> None:
    first = sandbox.add_post("first")
    sandbox.add_post("second", reply_to=first.id)
    assert timeline(call, sandbox)["meta"]["result_count"] == 2
    kept = timeline(call, sandbox, exclude="replies,retweets")
    assert [row["id"] for row in kept["data"]] == [first.id]


@pytest.mark.parametrize(
    "params",
    [
        {"max_results": "4"},
        {"max_results": "101"},
        {"max_results": "x"},
        {"count": "5"},
        {"since_id": "x"},
        {"since_id": ""},
        {"start_time": "2026-08-01"},
        {"start_time": "2026-13-01T00:00:00Z"},
        {"start_time": "2026-08-02T00:00:00Z", "end_time": "2026-08-01T00:00:00Z"},
        {"exclude": "likes"},
        {"pagination_token": "x"},
        {"tweet.fields": "nothing"},
        {"expansions": "nothing"},
    ],
)
def test_wrong_timeline_parameters_are_refused(params: dict[str, str], call: Call, sandbox: Sandbox) -> None:
    answer = call("GET", f"/2/users/{sandbox.user_id}/tweets", params=params)
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("/problems/invalid-request")


@pytest.mark.parametrize("params", [{}, {"ids": "x"}, {"ids": ",".join(str(n) for n in range(101))}])
def test_wrong_look_ups_are_refused(params: dict[str, str], call: Call) -> None:
    assert call("GET", "/2/tweets", params=params).status_code == 400


def test_missing_posts_are_errors_beside_the_found(client: tweepy.Client, sandbox: Sandbox) -> None:
    post = sandbox.add_post("here")
    answer = client.get_tweets([post.id, "123"], user_auth=True)
    assert [str(found.id) for found in answer.data] == [post.id]
    (error,) = answer.errors
    assert error["resource_id"] == "123"
    assert error["type"].endswith("/problems/resource-not-found")


def test_an_unknown_user_is_an_error(call: Call) -> None:
    answer = call("GET", "/2/users/42/tweets")
    assert answer.json()["errors"][0]["type"].endswith("/problems/resource-not-found")
    assert call("GET", "/2/users/abc/tweets").status_code == 400


def test_links_and_three_characters_are_shown_as_x_shows_them(call: Call, sandbox: Sandbox) -> None:
    text = "a & b < c https://www.example.com/x?a=1&b=2, example.org/é > @bob 😀"
    sent = call("POST", "/2/tweets", json={"text": text}).json()["data"]["text"]
    row = timeline(call, sandbox, **{"post.fields": "entities"})["data"][0]
    shown, links = row["text"], row["entities"]["urls"]
    first, second = (link["url"] for link in links)
    assert sent == shown == f"a &amp; b &lt; c {first}, {second} &gt; @bob 😀"
    assert all(shown[link["start"] : link["end"]] == link["url"] for link in links)
    assert first.startswith("https://t.co/")
    assert len(first) == 23
    assert [link["expanded_url"] for link in links] == [
        "https://www.example.com/x?a=1&b=2",
        "http://example.org/é",
    ]
    assert links[0]["display_url"] == "example.com/x?a=1&b=2"
    assert row["entities"]["mentions"][0]["username"] == "bob"
    assert sandbox.posts()[0].text == text


@pytest.mark.parametrize("parameter", ["tweet.fields", "post.fields"])
def test_metrics_are_shown_when_asked_for(parameter: str, call: Call, sandbox: Sandbox) -> None:
    post = sandbox.add_post("measured")
    sandbox.set_metrics(post.id, like_count=3, impression_count=100, url_link_clicks=2)
    fields = "public_metrics,non_public_metrics,organic_metrics,created_at"
    row = timeline(call, sandbox, **{parameter: fields})["data"][0]
    assert row["public_metrics"]["like_count"] == 3
    assert row["non_public_metrics"]["url_link_clicks"] == 2
    assert row["organic_metrics"]["impression_count"] == 100
    assert row["created_at"].endswith("Z")
    assert "public_metrics" not in timeline(call, sandbox)["data"][0]


def test_private_metrics_are_only_for_young_posts_of_ones_own(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock="2026-08-31T00:00:00Z")
    sandbox.add_account("stranger")
    old = sandbox.add_post("old", created_at="2026-07-31T00:00:00Z")
    young = sandbox.add_post("young", created_at="2026-08-30T00:00:00Z")
    foreign = sandbox.add_post("foreign", account="stranger")
    params = {"ids": f"{old.id},{young.id},{foreign.id}", "tweet.fields": "non_public_metrics"}
    body = call("GET", "/2/tweets", params=params).json()
    assert [row["id"] for row in body["data"] if "non_public_metrics" in row] == [young.id]
    assert {error["resource_id"] for error in body["errors"]} == {old.id, foreign.id}
    headers = {"Authorization": f"Bearer {sandbox.bearer_token}"}
    body = call("GET", "/2/tweets", params=params, headers=headers, auth=None).json()
    assert len(body["errors"]) == 3


@pytest.mark.parametrize("key", ["referenced_tweets", "referenced_posts"])
def test_references_come_under_either_name(key: str, call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(referenced_key=key)
    first = sandbox.add_post("first")
    second = sandbox.add_post("second", reply_to=first.id)
    fields = {"tweet.fields": "referenced_tweets,conversation_id,in_reply_to_user_id"}
    row = timeline(call, sandbox, **fields)["data"][0]
    assert row["id"] == second.id
    assert row[key] == [{"type": "replied_to", "id": first.id}]
    assert (row["conversation_id"], row["in_reply_to_user_id"]) == (first.id, sandbox.user_id)


def test_expansions_bring_users_posts_and_media(call: Call, sandbox: Sandbox) -> None:
    first = sandbox.add_post("first")
    sandbox.add_post("second", reply_to=first.id)
    body = timeline(call, sandbox, expansions="author_id,referenced_tweets.id")
    assert [user["username"] for user in body["includes"]["users"]] == ["sandbox_bot"]
    assert [post["id"] for post in body["includes"]["tweets"]] == [first.id]
    assert body["data"][0]["author_id"] == sandbox.user_id


def test_posts_become_visible_after_the_delay(client: tweepy.Client, call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock="2026-08-01T12:00:00Z", visibility_delay=2.5)
    post_id = client.create_tweet(text="patience").data["id"]

    def seen() -> tuple[int, bool]:
        found = call("GET", "/2/tweets", params={"ids": post_id}).json()
        return timeline(call, sandbox)["meta"]["result_count"], "data" in found

    sandbox.advance(2.4)
    assert seen() == (0, False)
    sandbox.advance(0.1)
    assert seen() == (1, True)


def test_usage_counts_the_months_reads(client: tweepy.Client, call: Call, sandbox: Sandbox) -> None:
    sandbox.add_post("one")
    timeline(call, sandbox)
    headers = {"Authorization": f"Bearer {sandbox.bearer_token}"}
    body = call("GET", "/2/usage/tweets", headers=headers, auth=None).json()
    assert body["data"]["project_usage"] == "1"
    assert client.get_tweets([sandbox.posts()[0].id]).data is not None


def test_the_default_clock_is_real(client: tweepy.Client, sandbox: Sandbox) -> None:
    client.create_tweet(text="now")
    assert abs((sandbox.posts()[0].created_at - datetime.now(UTC)).total_seconds()) < 60

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
import tweepy

from bot.sandbox import Sandbox
from bot.sandbox.limits import TABLE

Call = Callable[..., requests.Response]
NOON = "2026-08-01T12:00:00+00:00"
NOON_SECONDS = int(datetime.fromisoformat(NOON).timestamp())
TOO_MANY = {
    "title": "Too Many Requests",
    "detail": "Too Many Requests",
    "type": "about:blank",
    "status": 429,
}


def post(call: Call, text: str) -> requests.Response:
    return call("POST", "/2/tweets", json={"text": text})


def test_every_answer_to_a_known_caller_tells_the_window(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock=NOON)
    for method, path, status in (("GET", "/2/users/me", 200), ("GET", "/2/users/me?x=1", 400)):
        answer = call(method, path)
        assert answer.status_code == status
        assert answer.headers["x-rate-limit-limit"] == "75"
        assert answer.headers["x-rate-limit-reset"] == str(NOON_SECONDS + 900)
    assert answer.headers["x-rate-limit-remaining"] == "73"


def test_a_post_tells_the_24_hour_windows_too(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock=NOON, limits={"POST /2/tweets": {"user_24hour": 17}})
    headers = post(call, "one").headers
    assert headers["x-rate-limit-remaining"] == "99"
    for name, limit in (("user", 17), ("app", 10_000)):
        prefix = f"x-{name}-limit-24hour"
        assert headers[f"{prefix}-limit"] == str(limit)
        assert headers[f"{prefix}-remaining"] == str(limit - 1)
        assert headers[f"{prefix}-reset"] == str(NOON_SECONDS + 86_400)


@pytest.mark.parametrize("route", ["GET /2/users/me", "POST /2/tweets", "DELETE /2/tweets/:id"])
def test_a_15_minute_window_closes_and_opens_again(route: str, call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock=NOON, limits={route: {"user_15min": 2}})
    method, path = route.replace(":id", "123").split()
    statuses = [call(method, path).status_code for _ in range(2)]
    assert 429 not in statuses
    refused = call(method, path)
    assert (refused.status_code, refused.json()) == (429, TOO_MANY)
    assert refused.headers["x-rate-limit-remaining"] == "0"
    sandbox.advance(899)
    assert call(method, path).status_code == 429
    sandbox.advance(1)
    assert call(method, path).status_code == statuses[0]


@pytest.mark.parametrize("scope", ["user_24hour", "app_24hour"])
def test_a_24_hour_window_counts_accepted_posts_alone(scope: str, call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock=NOON, limits={"POST /2/tweets": {scope: 2}})
    statuses = [post(call, text).status_code for text in ("one", "one", "two", "three")]
    assert statuses == [201, 403, 201, 429]
    refused = post(call, "three")
    assert refused.headers[f"x-{scope.split('_', maxsplit=1)[0]}-limit-24hour-remaining"] == "0"
    assert int(refused.headers["x-rate-limit-remaining"]) > 0
    sandbox.advance(86_400)
    assert post(call, "three").status_code == 201


def test_each_user_has_windows_of_its_own(
    connect: Callable[..., tweepy.Client], sandbox: Sandbox, call: Call
) -> None:
    sandbox.add_account("other")
    sandbox.configure(limits={"POST /2/tweets": {"user_15min": 1}})
    post(call, "one")
    assert post(call, "two").status_code == 429
    connect(sandbox.keys_of("other")).create_tweet(text="three")
    assert len(sandbox.posts("other")) == 1


def test_the_apps_token_has_the_apps_window(client: tweepy.Client, sandbox: Sandbox) -> None:
    sandbox.configure(limits={"GET /2/users/:id/tweets": {"app_15min": 1}})
    client.get_users_tweets(sandbox.user_id)
    with pytest.raises(tweepy.TooManyRequests):
        client.get_users_tweets(sandbox.user_id)
    client.get_users_tweets(sandbox.user_id, user_auth=True)


@pytest.mark.parametrize("cap", ["posts", "reads"])
def test_a_monthly_cap_holds_until_the_next_month(cap: str, call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock=NOON, monthly={cap: 1})
    sandbox.add_post("by hand")

    def use(text: str) -> requests.Response:
        if cap == "posts":
            return post(call, text)
        return call("GET", f"/2/users/{sandbox.user_id}/tweets")

    assert use("one").ok
    refused = use("two")
    assert refused.status_code == 429
    body = refused.json()
    assert body["type"].endswith("/problems/usage-capped")
    assert (body["period"], body["scope"]) == ("Monthly", "Product")
    sandbox.configure(clock="2026-09-01T00:00:00Z")
    assert use("two").ok


def test_without_credits_nothing_is_done(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(credits="0.016")
    assert [post(call, text).status_code for text in ("one", "two", "three")] == [201, 201, 402]
    refused = post(call, "three")
    assert refused.json()["type"].endswith("/problems/credits")
    assert refused.json()["title"] == "CreditsDepleted"
    assert sandbox.state()["credits"] == "-0.014"
    assert len(sandbox.posts()) == 2


def charges(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(row["item"], row["dollars"]) for row in sandbox.state()["charges"]]


def test_only_what_succeeded_is_charged(call: Call, sandbox: Sandbox) -> None:
    first = post(call, "plain").json()["data"]["id"]
    post(call, "link https://example.com")
    post(call, "plain")
    call("DELETE", f"/2/tweets/{first}")
    call("DELETE", f"/2/tweets/{first}")
    call("GET", "/2/users/me")
    sandbox.arm("fail_503")
    post(call, "failed")
    sandbox.arm("accept_then_500")
    post(call, "stored")
    assert charges(sandbox) == [
        ("post", "0.015"),
        ("post_with_url", "0.200"),
        ("delete", "0.010"),
        ("user_read", "0.010"),
        ("post", "0.015"),
    ]
    assert Decimal(sandbox.state()["charged"]) == Decimal("0.250")


def test_a_resource_is_read_for_money_once_a_day(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock="2026-08-01T23:00:00Z")
    one = sandbox.add_post("one")
    own, foreign = f"/2/users/{sandbox.user_id}/tweets", f"/2/tweets?ids={one.id},123"
    for path in (own, own, foreign, foreign):
        call("GET", path)
    assert charges(sandbox) == [("own_post_read", "0.001"), ("post_read", "0.005")]
    sandbox.advance(3600)
    call("GET", own)
    assert charges(sandbox)[2:] == [("own_post_read", "0.001")]


def test_calls_are_counted_by_outcome(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("accept_then_drop", after=2)
    post(call, "one")
    post(call, "one")
    call("DELETE", "/2/tweets/123")
    call("GET", "/2/nothing")
    post(call, "two")
    with pytest.raises(requests.ConnectionError):
        post(call, "three")
    assert sandbox.calls == {
        "POST /2/tweets 201": 2,
        "POST /2/tweets 403": 1,
        "DELETE /2/tweets/:id 404": 1,
        "GET unknown 404": 1,
        "POST /2/tweets dropped": 1,
    }


def test_prices_are_settings(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(prices={"post": "1.5"})
    post(call, "dear")
    assert charges(sandbox) == [("post", "1.5")]


def test_the_table_names_every_endpoint(sandbox: Sandbox) -> None:
    limits: dict[str, Any] = {route: {"user_15min": 1} for route in TABLE}
    sandbox.configure(limits=limits)

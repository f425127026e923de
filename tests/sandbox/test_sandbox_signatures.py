from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import requests
import tweepy
from requests_oauthlib import OAuth1

from bot.sandbox import Sandbox
from bot.sandbox.signatures import Verifier

Call = Callable[..., requests.Response]
UNAUTHORIZED = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}


def signed(sandbox: Sandbox, method: str, path: str, **oauth: str) -> requests.PreparedRequest:
    keys = sandbox.keys
    auth = OAuth1(keys.api_key, keys.api_secret, keys.access_token, keys.access_token_secret, **oauth)
    return requests.Request(method, sandbox.base_url + path, auth=auth).prepare()


def send(prepared: requests.PreparedRequest) -> requests.Response:
    with requests.Session() as session:
        return session.send(prepared, timeout=5)


def test_tweepys_signature_is_accepted(client: tweepy.Client, sandbox: Sandbox) -> None:
    assert client.get_me().data.id == int(sandbox.user_id)


@pytest.mark.parametrize("field", ["api_key", "api_secret", "access_token", "access_token_secret"])
def test_a_wrong_key_is_refused(field: str, call: Call, sandbox: Sandbox) -> None:
    answer = call("POST", "/2/tweets", json={"text": "hi"}, keys=replace(sandbox.keys, **{field: "wrong"}))
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    assert sandbox.posts() == ()


@pytest.mark.parametrize("header", [None, "", "OAuth", "OAuth garbage", "Bearer wrong", "Basic abc"])
def test_a_missing_or_broken_header_is_refused(header: str | None, sandbox: Sandbox) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = requests.get(f"{sandbox.base_url}/2/users/me", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize(("age", "status"), [(-240, 200), (240, 200), (-360, 401), (360, 401)])
def test_a_timestamp_is_good_for_five_minutes(age: int, status: int, sandbox: Sandbox) -> None:
    prepared = signed(sandbox, "GET", "/2/users/me", timestamp=str(int(time.time()) + age))
    assert send(prepared).status_code == status


def test_a_nonce_is_good_once(sandbox: Sandbox) -> None:
    prepared = signed(sandbox, "GET", "/2/users/me")
    assert [send(prepared).status_code for _ in range(2)] == [200, 401]


def test_a_tampered_query_is_refused(sandbox: Sandbox) -> None:
    prepared = signed(sandbox, "GET", f"/2/users/{sandbox.user_id}/tweets?max_results=5")
    assert prepared.url is not None
    prepared.url = prepared.url.replace("max_results=5", "max_results=50")
    assert send(prepared).status_code == 401


def test_a_tampered_method_is_refused(sandbox: Sandbox) -> None:
    prepared = signed(sandbox, "DELETE", "/2/tweets")
    prepared.method = "GET"
    assert send(prepared).status_code == 401


def test_a_form_body_is_part_of_the_signature(call: Call, sandbox: Sandbox) -> None:
    assert call("POST", "/2/tweets", data={"text": "hi"}).status_code == 400
    keys = sandbox.keys
    auth = OAuth1(keys.api_key, keys.api_secret, keys.access_token, keys.access_token_secret)
    url = f"{sandbox.base_url}/2/tweets"
    prepared = requests.Request("POST", url, auth=auth, data={"text": "hi"}).prepare()
    prepared.body = b"text=no"
    assert send(prepared).status_code == 401


def test_plaintext_signatures_are_refused(sandbox: Sandbox) -> None:
    assert send(signed(sandbox, "GET", "/2/users/me", signature_method="PLAINTEXT")).status_code == 401


def test_the_apps_token_can_not_post(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {sandbox.bearer_token}"}
    answer = requests.post(f"{sandbox.base_url}/2/tweets", json={"text": "a"}, headers=headers, timeout=5)
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/problems/unsupported-authentication")


def test_an_account_can_not_read_usage(call: Call) -> None:
    assert call("GET", "/2/usage/tweets").status_code == 403


def test_old_nonces_are_forgotten_only_after_their_timestamps_are_stale() -> None:
    now = [1_000_000.0]
    verifier = Verifier(real_time=lambda: now[0])

    def fresh(nonce: str, at: int) -> bool:
        return verifier._fresh({"oauth_token": "t", "oauth_timestamp": str(at), "oauth_nonce": nonce})

    assert fresh("a", 1_000_000)
    now[0] += 300
    assert not fresh("a", 1_000_000)
    now[0] += 1
    assert fresh("b", 1_000_301)
    assert len(verifier._nonces) == 1


def test_each_account_signs_for_itself(connect: Callable[..., tweepy.Client], sandbox: Sandbox) -> None:
    other = sandbox.add_account("other")
    connect(sandbox.keys_of("other")).create_tweet(text="from the other")
    assert sandbox.posts() == ()
    assert [post.account_id for post in sandbox.posts("other")] == [other.user_id]

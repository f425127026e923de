from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
import tweepy

from bot.sandbox import Sandbox
from bot.sandbox.faults import KINDS
from tests.support.processes import eventually

Call = Callable[..., requests.Response]


def post(call: Call, text: str, **options: Any) -> requests.Response:
    return call("POST", "/2/tweets", json={"text": text}, **options)


# kind: (stored, status, how its body begins); status None means that no answer comes.
EXPECTED: dict[str, tuple[bool, int | None, str]] = {
    "refuse_connection": (False, None, ""),
    "drop_before_accept": (False, None, ""),
    "hang_before_accept": (False, None, ""),
    "refuse_400": (False, 400, '{"errors"'),
    "refuse_401": (False, 401, '{"title": "Unauthorized"'),
    "refuse_403_policy": (False, 403, '{"detail": "You are not permitted'),
    "refuse_suspended": (False, 403, '{"errors": [{"code": 64'),
    "refuse_client_forbidden": (False, 403, '{"client_id"'),
    "duplicate_403": (False, 403, '{"detail": "You are not allowed to create a Tweet with duplicate'),
    "fail_500": (False, 500, "<!DOCTYPE html>"),
    "fail_502": (False, 502, "<!DOCTYPE html>"),
    "fail_503": (False, 503, "<!DOCTYPE html>"),
    "fail_504": (False, 504, "<!DOCTYPE html>"),
    "error_list_body": (False, 500, "[{"),
    "429_with_headers": (False, 429, '{"title": "Too Many Requests"'),
    "429_without_headers": (False, 429, '{"title": "Too Many Requests"'),
    "429_code_88": (False, 429, '{"errors": [{"code": 88'),
    "usage_capped": (False, 429, '{"account_id"'),
    "402": (False, 402, '{"account_id"'),
    "accept_then_drop": (True, None, ""),
    "accept_then_hang": (True, None, ""),
    "reset_mid_body": (True, None, ""),
    "accept_then_500": (True, 500, "<!DOCTYPE html>"),
    "accept_then_502": (True, 502, "<!DOCTYPE html>"),
    "accept_then_503": (True, 503, "<!DOCTYPE html>"),
    "accept_then_302": (True, 302, "<!DOCTYPE html>"),
    "accept_then_404": (True, 404, "<!DOCTYPE html>"),
    "accept_then_429": (True, 429, "<!DOCTYPE html>"),
    "accept_bare_page": (True, 201, '{"data": []}'),
    "accept_error_page": (True, 201, '{"data": [], "errors": [{'),
    "accept_empty_body": (True, 201, ""),
    "accept_broken_body": (True, 201, '{"data": {"id"'),
    "accept_null_data": (True, 201, '{"data": null}'),
    "accept_list_body": (True, 201, '[{"data"'),
    "slow_first_byte": (True, 201, '{"data": {"id"'),
}


def test_every_kind_is_expected_here() -> None:
    assert set(EXPECTED) == set(KINDS)


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_fault_does_what_its_name_says(kind: str, call: Call, sandbox: Sandbox) -> None:
    stored, status, beginning = EXPECTED[kind]
    armed = sandbox.arm(kind, seconds=0.05 if kind == "slow_first_byte" else None)
    assert armed["stores"] is stored
    if status is None:
        with pytest.raises(requests.RequestException):
            post(call, "struck", timeout=0.25)
    else:
        answer = post(call, "struck")
        assert answer.status_code == status
        assert answer.text.startswith(beginning)
        assert answer.headers["content-length"] == str(len(answer.content))
    assert [made.text for made in sandbox.posts()] == (["struck"] if stored else [])
    assert post(call, "after").status_code == 201
    outcome = "dropped" if status is None else str(status)
    assert sandbox.calls[f"POST /2/tweets {outcome}"] >= 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("accept_empty_body", requests.JSONDecodeError),
        ("accept_broken_body", requests.JSONDecodeError),
        ("accept_list_body", AttributeError),
        ("error_list_body", AttributeError),
        ("fail_503", tweepy.TwitterServerError),
        ("429_code_88", tweepy.TooManyRequests),
        ("402", tweepy.HTTPException),
        ("refuse_connection", requests.ConnectionError),
        ("reset_mid_body", requests.RequestException),
    ],
)
def test_tweepy_meets_the_faults_as_it_meets_x(
    kind: str, error: type[Exception], client: tweepy.Client, sandbox: Sandbox
) -> None:
    sandbox.arm(kind)
    with pytest.raises(error):
        client.create_tweet(text="struck")


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("refuse_connection", ""),
        ("drop_before_accept", ""),
        ("accept_then_drop", ""),
        ("reset_mid_body", "reset"),
    ],
)
def test_a_broken_connection_breaks_the_way_it_says(kind: str, ending: str, sandbox: Sandbox) -> None:
    sandbox.arm(kind, endpoint="GET /2/usage/tweets")
    host, _, port = sandbox.base_url.removeprefix("http://").partition(":")
    request = (
        f"GET /2/usage/tweets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sandbox.bearer_token}\r\n\r\n"
    )
    heard = b""
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request.encode())
        try:
            while part := connection.recv(4096):
                heard += part
            met = ""
        except ConnectionResetError:
            met = "reset"
    assert met == ending
    if ending:
        head, _, body = heard.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        assert len(body) == length // 2
    else:
        assert heard == b""


def test_tweepy_takes_null_data_for_success(client: tweepy.Client, sandbox: Sandbox) -> None:
    sandbox.arm("accept_null_data")
    assert client.create_tweet(text="struck").data is None


def test_a_hang_lasts_for_its_seconds(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("accept_then_hang", seconds=0.2)
    began = time.monotonic()
    with pytest.raises(requests.ConnectionError):
        post(call, "struck", timeout=5)
    assert 0.2 <= time.monotonic() - began < 2


def test_a_client_that_left_is_no_news(
    call: Call, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.arm("slow_first_byte", seconds=0.3)
    with pytest.raises(requests.ReadTimeout):
        post(call, "struck", timeout=0.05)
    assert sandbox._server is not None
    serving = sandbox._server._connections
    eventually(lambda: not serving, within=5, what="nobody is served any more")
    assert capfd.readouterr() == ("", "")


def test_a_slow_first_byte_is_slow(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("slow_first_byte", seconds=0.2)
    began = time.monotonic()
    assert post(call, "struck").status_code == 201
    assert time.monotonic() - began >= 0.2


def test_a_hanging_call_blocks_nobody_and_stop_cuts_it(
    connect: Callable[..., tweepy.Client], call: Call, sandbox: Sandbox
) -> None:
    sandbox.arm("accept_then_hang")
    with pytest.raises(requests.ReadTimeout):
        connect(timeout=0.1).create_tweet(text="struck")
    assert post(call, "other").status_code == 201
    began = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - began < 1


def test_a_429_tells_its_reset(call: Call, sandbox: Sandbox) -> None:
    sandbox.configure(clock="1970-01-02T00:00:00Z")
    sandbox.arm("429_with_headers", seconds=60, headers={"x-user-limit-24hour-remaining": "0", "date": "x"})
    headers = post(call, "a").headers
    assert (headers["x-rate-limit-remaining"], headers["x-rate-limit-reset"]) == ("0", str(86_400 + 60))
    assert headers["x-user-limit-24hour-remaining"] == "0"
    assert headers["date"] == "x"


def test_a_429_without_headers_tells_nothing(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("429_without_headers")
    assert not [name for name in post(call, "a").headers if "limit" in name.lower()]


def test_a_header_can_be_taken_away(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("429_with_headers", headers={"X-Rate-Limit-Reset": None})
    headers = post(call, "a").headers
    assert "x-rate-limit-reset" not in headers
    assert headers["x-rate-limit-remaining"] == "0"


def statuses(call: Call, amount: int) -> list[int]:
    return [post(call, f"post {number}").status_code for number in range(amount)]


def test_count_and_after_are_exact(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("fail_503", after=1, count=2)
    assert statuses(call, 5) == [201, 503, 503, 201, 201]


def test_without_a_count_it_never_ends_until_disarmed(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("fail_502", count=None)
    assert statuses(call, 4) == [502] * 4
    sandbox.disarm()
    assert statuses(call, 1) == [201]


def test_the_first_armed_fires_and_the_others_keep_their_schedule(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("fail_500", count=2)
    sandbox.arm("fail_503", count=2, after=1)
    assert statuses(call, 4) == [500, 500, 503, 503]


def test_faults_wait_for_their_endpoint(call: Call, client: tweepy.Client, sandbox: Sandbox) -> None:
    sandbox.arm("fail_500", endpoint="GET /2/users/:id/tweets")
    sandbox.arm("fail_503", endpoint="*", after=1)
    assert statuses(call, 1) == [201]
    with pytest.raises(tweepy.TwitterServerError, match="500"):
        client.get_users_tweets(sandbox.user_id, user_auth=True)
    assert statuses(call, 1) == [403]
    assert sandbox.state()["faults"][1]["seen"] == 2


def test_a_fault_of_one_account_meets_no_other(call: Call, sandbox: Sandbox) -> None:
    sandbox.add_account("ada")
    sandbox.arm("fail_503", account="ada", count=None)
    adas = sandbox.keys_of("ada")
    assert [post(call, text, keys=keys).status_code for text, keys in (("a", adas), ("b", sandbox.keys))] == [
        503,
        201,
    ]
    assert sandbox.state()["faults"][0]["seen"] == 1


def test_a_call_that_would_be_refused_anyway_meets_no_fault(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("accept_then_500")
    assert post(call, "").status_code == 400
    assert post(call, "a", auth=None).status_code == 401
    assert sandbox.state()["faults"][0]["seen"] == 0
    assert post(call, "a").status_code == 500


def test_a_dropped_deletion_is_done(call: Call, sandbox: Sandbox) -> None:
    made = sandbox.add_post("going")
    sandbox.arm("accept_then_drop", endpoint="DELETE /2/tweets/:id")
    with pytest.raises(requests.ConnectionError):
        call("DELETE", f"/2/tweets/{made.id}")
    assert sandbox.posts() == ()


def chance(seed: int) -> list[int]:
    with Sandbox() as sandbox:
        sandbox.arm("fail_503", endpoint="GET /2/usage/tweets", probability=0.5, count=None, seed=seed)
        headers = {"Authorization": f"Bearer {sandbox.bearer_token}"}
        url = f"{sandbox.base_url}/2/usage/tweets"
        with requests.Session() as session:
            return [session.get(url, headers=headers, timeout=5).status_code for _ in range(30)]


def test_chance_is_the_seeds() -> None:
    first = chance(1)
    assert first == chance(1)
    assert first != chance(2)
    assert set(first) == {200, 503}


def test_a_stored_post_is_a_duplicate_when_it_is_sent_again(call: Call, sandbox: Sandbox) -> None:
    sandbox.arm("accept_then_503")
    assert [post(call, "once").status_code for _ in range(2)] == [503, 403]
    assert len(sandbox.posts()) == 1

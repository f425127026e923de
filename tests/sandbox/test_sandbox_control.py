from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import tweepy

from bot.sandbox import ControlError, Keys, Sandbox, SandboxControl
from bot.sandbox.journal import JournalError


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = [sys.executable, "-m", "bot.sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running, json.loads(running.stdout.readline())
        finally:
            running.kill()


Speaker = Callable[[dict[str, str]], AbstractContextManager[tweepy.Client]]


def test_a_killed_sandbox_has_lost_nothing(tmp_path: Path, speaker: Speaker) -> None:
    file = tmp_path / "state.jsonl"
    with process("--state", str(file)) as (running, about), speaker(about) as client:
        kept = client.create_tweet(text="kept").data["id"]
        gone = client.create_tweet(text="gone").data["id"]
        client.delete_tweet(gone)
        control = SandboxControl(about["base_url"])
        control.arm("accept_then_drop")
        with pytest.raises(requests.ConnectionError):
            client.create_tweet(text="unheard")
        control.set_metrics(kept, like_count=7)
        other = control.add_account("other")
        charges = control.state()["charges"]
        running.kill()
        running.wait(5)
    with process("--state", str(file), "--port", about["base_url"].rpartition(":")[2]) as (running, again):
        assert again == about
        control = SandboxControl(again["base_url"])
        assert [post.text for post in control.posts()] == ["kept", "unheard"]
        state = control.state()
        assert state["posts"][0]["metrics"]["like_count"] == 7
        assert state["posts"][1]["deleted_at"] is not None
        assert state["accounts"][1] == other
        assert state["charges"] == charges
        assert state["month"]["posts"] == 3
        with speaker(again) as client, pytest.raises(tweepy.Forbidden, match="duplicate"):
            client.create_tweet(text="unheard")
        running.send_signal(signal.SIGTERM)
        assert running.wait(5) == 0
        assert running.stderr is not None
        assert running.stderr.read() == ""


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    Sandbox(state_path=file).add_post("whole")
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"kind": "post", "id": "1')
    assert [post.text for post in Sandbox(state_path=file).posts()] == ["whole"]
    assert file.read_bytes() == whole
    file.write_bytes(b"{broken\n" + whole)
    with pytest.raises(JournalError, match=r"state\.jsonl"):
        Sandbox(state_path=file)


def test_a_restart_keeps_the_port_and_the_posts(sandbox: Sandbox) -> None:
    url = sandbox.base_url
    sandbox.add_post("one")
    sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    sandbox.start()
    assert sandbox.base_url == url
    assert [post.text for post in SandboxControl(url).posts()] == ["one"]


def test_a_sandbox_without_a_port_has_no_address() -> None:
    with pytest.raises(ControlError, match="start it first"):
        _ = Sandbox().base_url


def test_ids_and_links_are_the_seeds() -> None:
    def ids(seed: int) -> list[str]:
        sandbox = Sandbox(seed=seed, clock=lambda: datetime(2026, 8, 1, tzinfo=UTC))
        return [sandbox.add_post(str(number)).id for number in range(3)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_keys_and_name_can_be_given() -> None:
    keys = Keys(api_key="a", api_secret="b", access_token="c", access_token_secret="d")
    sandbox = Sandbox(keys=keys, username="mine")
    assert (sandbox.keys, sandbox.username) == (keys, "mine")
    assert sandbox.keys_of("mine") == keys


def test_the_clock_can_be_shifted_frozen_and_advanced() -> None:
    noon = datetime(2026, 8, 1, 12, tzinfo=UTC)
    sandbox = Sandbox(clock=lambda: noon)
    sandbox.configure(clock_offset_seconds=-60)
    assert (noon - sandbox.now).total_seconds() == 60
    sandbox.configure(clock="2026-09-01T00:00:00+02:00")
    sandbox.advance(0.5)
    assert sandbox.now == datetime(2026, 8, 31, 22, 0, 0, 500_000, tzinfo=UTC)
    sandbox.configure(clock=None)
    assert (noon - sandbox.now).total_seconds() == 60
    with pytest.raises(ControlError, match="naive"):
        _ = Sandbox(clock=lambda: datetime(2026, 8, 1)).now  # noqa: DTZ001 - the refused case


def test_the_client_mirrors_the_control_api(sandbox: Sandbox) -> None:
    control = SandboxControl(sandbox.base_url)
    fault = control.arm("fail_503", count=None, probability=0.5, endpoint="*")
    assert (fault["left"], fault["stores"]) == (None, False)
    control.disarm()
    assert control.state()["faults"] == []
    control.configure(visibility_delay=0.5)
    control.advance(1)
    control.add_account("other", name="An Other")
    post = control.add_post("hi", account="other")
    assert control.posts() == (post,)
    control.set_metrics(post.id, like_count=2)
    assert control.state()["posts"][0]["metrics"]["like_count"] == 2
    control.delete_post(post.id)
    assert control.posts() == ()
    assert control.calls() == {}
    control.reset()
    assert [account["username"] for account in control.state()["accounts"]] == ["sandbox_bot"]


@pytest.mark.parametrize(
    ("method", "action", "body", "told"),
    [
        ("POST", "faults", {"kind": "explode"}, "known kinds: 402, 429_code_88"),
        ("POST", "faults", {"kind": "402", "endpoint": "POST /tweets"}, "POST /2/tweets"),
        ("POST", "faults", {"kind": "402", "count": 0}, "count must be a whole number of at least 1"),
        ("POST", "faults", {"kind": "402", "probability": 2}, "from 0 to 1"),
        ("POST", "faults", {"kind": "402", "after": -1}, "after must be"),
        ("POST", "faults", {"kind": "402", "seconds": "x"}, "seconds must be"),
        ("POST", "faults", {"kind": "402", "headers": {"a": 1}}, "headers must map"),
        ("POST", "faults", {"kind": "402", "times": 1}, "known names: account, after, count"),
        ("POST", "faults", {"kind": "402", "account": "nobody"}, "known accounts: sandbox_bot"),
        ("POST", "faults", {"kind": "refuse_connection", "account": "sandbox_bot"}, "leave account out"),
        ("POST", "settings", {"delay": 1}, "visibility_delay"),
        ("POST", "settings", {"visibility_delay": -1}, "at least 0"),
        ("POST", "settings", {"visibility_delay": True}, "at least 0"),
        ("POST", "settings", {"referenced_key": "x"}, "referenced_posts"),
        ("POST", "settings", {"credits": 0.1}, "as a string"),
        ("POST", "settings", {"credits": "much"}, "as a string"),
        ("POST", "settings", {"prices": {"tweet": "1"}}, "post_with_url"),
        ("POST", "settings", {"limits": {"POST /2/tweet": {}}}, "POST /2/tweets"),
        ("POST", "settings", {"limits": {"POST /2/tweets": {"day": 1}}}, "user_24hour"),
        ("POST", "settings", {"limits": {"POST /2/tweets": {"user_24hour": -1}}}, "whole number"),
        ("POST", "settings", {"monthly": {"likes": 1}}, "posts, reads"),
        ("POST", "settings", {"clock": "yesterday"}, "ISO 8601"),
        ("POST", "settings", {"clock": "2026-08-01T00:00:00"}, "time zone"),
        ("POST", "accounts", {"username": "not a name"}, "letters, digits"),
        ("POST", "accounts", {"username": "Sandbox_Bot"}, "taken"),
        ("POST", "posts", {"text": ""}, "text must be"),
        ("POST", "posts", {"text": "a", "account": "nobody"}, "known accounts: sandbox_bot"),
        ("POST", "posts", {"text": "a", "reply_to": "1"}, "live post"),
        ("DELETE", "posts/1", {}, "no live post"),
        ("POST", "posts/1/metrics", {"like_count": 1}, "no live post"),
    ],
)
def test_wrong_control_input_is_told_what_is_right(
    method: str, action: str, body: dict[str, Any], told: str, sandbox: Sandbox
) -> None:
    before = sandbox.state()
    answer = requests.request(method, f"{sandbox.base_url}/_sandbox/{action}", json=body, timeout=5)
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    after = sandbox.state()
    assert {**before, "now": None} == {**after, "now": None}


def test_settings_are_all_or_nothing(sandbox: Sandbox) -> None:
    with pytest.raises(ControlError):
        sandbox.configure(credits="5", visibility_delay=-1)
    assert sandbox.state()["credits"] is None


def test_broken_control_calls_are_told(sandbox: Sandbox) -> None:
    url = f"{sandbox.base_url}/_sandbox/"
    assert requests.post(f"{url}reset", data=b"{", timeout=5).status_code == 400
    assert requests.post(f"{url}reset", json=[1], timeout=5).status_code == 400
    missing = requests.get(f"{url}nothing", timeout=5)
    assert missing.status_code == 404
    assert "GET state" in missing.json()["error"]


def test_twenty_threads_post_at_once_and_nothing_is_lost(sandbox: Sandbox, speaker: Speaker) -> None:
    outcomes = []
    about = {"base_url": sandbox.base_url, "bearer_token": sandbox.bearer_token, **asdict(sandbox.keys)}

    def work(number: int) -> None:
        with speaker(about) as client:
            client.create_tweet(text=f"post {number}")
            try:
                client.create_tweet(text="the same")
                outcomes.append(201)
            except tweepy.Forbidden:
                outcomes.append(403)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [201] + [403] * 19
    assert len(sandbox.posts()) == 21

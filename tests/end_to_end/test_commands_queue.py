"""`queue`, `approve`, `reject`, `edit` and `schedule`, as a person uses them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.sandbox import Sandbox
from tests.end_to_end.conftest import Cli, Rows

REVIEW = {"BOT_MODE": "review"}


def drafted(cli: Cli, text: str, **more: str) -> str:
    """A text of a person's own that waits for approval; its id."""
    answer = cli.json("run-once", "--text", text, **REVIEW, **more)
    assert answer["outcome"] == "awaiting_approval"
    return str(answer["tweet"]["id"])


def texts(local_x: Sandbox) -> list[str]:
    return [post.text for post in local_x.posts()]


def queue(cli: Cli) -> list[dict[str, Any]]:
    drafts: list[dict[str, Any]] = cli.json("queue", **REVIEW)["drafts"]
    return drafts


def test_what_was_approved_is_posted_by_whoever_comes_next(cli: Cli, local_x: Sandbox) -> None:
    which = drafted(cli, "seen by a person")
    (one,) = queue(cli)
    assert one.keys() >= (
        {"id", "text", "status", "due_at", "format", "cost_usd", "source", "problems", "alternatives"}
    )
    assert (one["id"], one["status"], one["cost_usd"]) == (which, "awaiting_approval", "0.015")

    assert cli.json("approve", which[:6], **REVIEW)["status"] == "approved"
    assert texts(local_x) == []
    cli("reconcile", **REVIEW)

    assert texts(local_x) == ["seen by a person"]
    assert queue(cli) == []


def test_a_changed_text_awaits_approval_again(cli: Cli, local_x: Sandbox) -> None:
    which = drafted(cli, "before")
    cli.json("approve", which, **REVIEW)
    changed = cli.json("edit", which, "--text", "after", **REVIEW)
    cli("reconcile", **REVIEW)
    assert (changed["text"], changed["status"], texts(local_x)) == ("after", "awaiting_approval", [])


def test_what_the_guard_refuses_changes_nothing_and_says_so(cli: Cli) -> None:
    which = drafted(cli, "before")
    refused = cli("edit", which, "--text", "x" * 281, **REVIEW)
    assert refused.code == 3
    assert "not changed: the guard refuses the text" in refused.out
    assert "the weighted length is 281, 1 over 280" in refused.out
    assert queue(cli)[0]["text"] == "before"


def test_a_rejected_text_is_gone_and_why_tells_the_reason(cli: Cli) -> None:
    which = drafted(cli, "dull")
    assert cli.json("reject", which, "--because", "too dull", **REVIEW)["status"] == "rejected"
    assert queue(cli) == []
    newest = cli.json("why", "--last", "1")["decisions"][0]
    assert (newest["kind"], newest["verdict"], newest["reason"], newest["tweet"]) == (
        *("operator", "rejected", "too dull"),
        which,
    )


def test_a_text_is_scheduled_on_the_profiles_wall_clock_and_moved(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    rows.execute("UPDATE profiles SET timezone = 'Asia/Tokyo'")
    day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()

    made = cli.json("schedule", "--at", f"{day} 18:00", "--text", "good evening")
    assert made["due_at"] == f"{day}T09:00:00Z"

    moved = cli.json("queue", "move", made["id"][:8], "--to", f"{day} 20:00+01:00")
    assert moved["due_at"] == f"{day}T19:00:00Z"
    assert "moved to" in cli("queue", "move", moved["slot"], "--to", f"{day} 21:00").out
    assert "skipped" in cli("queue", "skip", moved["slot"]).out
    assert cli.json("queue", "--json", "show", made["id"])["due_at"] is None
    assert cli.json("queue", "drop", made["id"])["status"] == "rejected"
    assert cli("queue").out.startswith("nothing is in the queue")


def test_a_profile_that_is_named_goes_by_its_own_wall_clock_and_mode(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    rows.execute("UPDATE profiles SET timezone = 'Asia/Tokyo', mode = 'review'")
    there = {"BOT_TIMEZONE": "America/New_York", "BOT_MODE": "auto"}
    day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()

    named = ("--profile", "sandbox_bot")
    made = cli.json("schedule", *named, "--at", f"{day} 18:00", "--text", "good evening", **there)

    assert (made["due_at"], made["status"]) == (f"{day}T09:00:00Z", "awaiting_approval")
    assert cli.json("status", *named, **there)["mode"] == "review"
    assert cli.json("status", **there)["mode"] == "auto"


def test_a_text_that_the_guard_refuses_is_not_scheduled(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    refused = cli("schedule", "--at", "2199-01-01 12:00", "--text", " ")
    assert (refused.code, refused.out) == (3, "not scheduled: the text is empty: say something\n")
    assert rows.count("posting_schedule") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("approve", "abcd"), 2, "nothing in the queue has the id abcd - `queue` lists what is not sent yet"),
        (("approve", "x"), 2, "an id has 4 to 36 of 0-9, a-f and -, as `queue` shows it"),
        (("schedule", "--at", "tomorrow", "--text", "a"), 2, "is no moment like '2026-12-24 18:00'"),
        (("schedule", "--at", "2020-01-01", "--text", "a"), 1, "2020-01-01 00:00 UTC is over"),
        (("reject", "abcd"), 2, "required: --because"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(
    cli: Cli, arguments: tuple[str, ...], code: int, said: str
) -> None:
    cli.json("run-once")
    answered = cli(*arguments)
    assert (answered.code, answered.out) == (code, "")
    assert said in answered.err
    assert "Traceback" not in answered.err


def test_without_a_profile_there_is_nothing_to_steer(cli: Cli) -> None:
    for call in (("queue",), ("approve", "abcd"), ("schedule", "--at", "now", "--text", "a")):
        answered = cli(*call)
        assert (answered.code, "there is no profile yet" in answered.err) == (2, True)


def test_the_queue_on_a_terminal_names_each_posts_moment_and_what_to_do(cli: Cli) -> None:
    first, second = drafted(cli, "one"), drafted(cli, "two https://example.com")
    told = cli("queue", **REVIEW).out
    assert told.splitlines() == [
        f"{first[:8]}  awaiting approval  as soon as it may  $0.015",
        "one",
        "",
        f"{second[:8]}  awaiting approval  as soon as it may  $0.20",
        "two https://example.com",
        "",
        "2 wait for you: approve ID, reject ID --because T, edit ID --text T",
    ]

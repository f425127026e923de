"""`run-once`: one post now, and everything it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from bot.sandbox import Sandbox
from tests.end_to_end.conftest import NO_KEYS, Cli, Rows, events, one_object, said

Texts = Callable[[], list[str]]

ANSWER = {"outcome", "reason", "profile", "tweet", "parts", "queued", "decision", "timings_ms", "cost_usd"}
TWEET = {"id", "x_tweet_id", "text", "status"}
DECISION = {"verdict", "limit", "used", "cap", "until", "reason"}
TIMINGS = {"prepare", "publish", "store", "total"}


def test_the_answer_has_the_contracts_keys(cli: Cli) -> None:
    answer = replace(cli, cold=True).json("run-once")

    assert answer.keys() == ANSWER
    assert answer["outcome"] == "posted"
    assert answer["reason"] is None
    assert answer["profile"] == "sandbox_bot"
    assert answer["cost_usd"] == "0.015"
    assert answer["tweet"].keys() >= TWEET
    assert answer["tweet"]["status"] == "posted"
    assert answer["decision"].keys() == DECISION
    assert answer["decision"] | {"reason": ""} == {
        "verdict": "allow",
        "limit": "posts_24h",
        "used": 0,
        "cap": 17,
        "until": None,
        "reason": "",
    }
    assert answer["timings_ms"].keys() == TIMINGS
    assert all(spent > 0 for spent in answer["timings_ms"].values())


def test_what_is_live_on_x_is_what_the_row_says(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    answer = cli.json("run-once")

    (live,) = local_x.posts()
    row = rows.one("SELECT * FROM tweets")
    assert row["text"] == live.text == answer["tweet"]["text"]
    assert row["x_tweet_id"] == live.id == answer["tweet"]["x_tweet_id"]
    assert row["status"] == "posted"
    assert abs(row["posted_at"] - live.created_at) < timedelta(seconds=10)
    assert row["idempotency_key"]
    assert str(row["id"]) == answer["tweet"]["id"]
    assert local_x.calls["POST /2/tweets 201"] == 1


def test_the_text_comes_from_the_source_that_row_and_answer_name(cli: Cli, rows: Rows) -> None:
    answer = cli.json("run-once")

    named = rows.one("SELECT source FROM tweets")["source"]
    assert named == answer["tweet"]["source"]
    assert named["location"].endswith("tides.md")
    assert named["title"].startswith("Tides")


def test_the_ledger_holds_the_post_as_settled_at_its_price(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")

    call = rows.one("SELECT * FROM api_calls WHERE kind = 'post'")
    assert call["state"] == "settled"
    assert call["cost_usd"] == Decimal("0.015")
    assert call["units"] == 1
    assert call["tweet_id"] == rows.one("SELECT id FROM tweets")["id"]
    assert rows.count("api_calls", "state = 'reserved'") == 0


def test_the_daily_row_counts_the_post_the_look_and_their_price(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")

    daily = rows.one(
        "SELECT sum(tweets_posted) AS posts, sum(reads_made) AS reads, sum(cost_usd) AS cost "
        "FROM api_usage_tracking WHERE api_type = 'twitter'"
    )
    # One look at the account whose keys these are costs 0.010, once.
    assert daily == {"posts": 1, "reads": 1, "cost": Decimal("0.025")}


def test_a_decision_row_says_why_it_was_posted(cli: Cli, rows: Rows) -> None:
    answer = cli.json("run-once")

    row = rows.one("SELECT * FROM decisions WHERE kind = 'publish'")
    assert row["verdict"] == "allow"
    assert row["limit_name"] == "posts_24h"
    assert (row["used"], row["cap"]) == (0, 17)
    assert row["reason"] == answer["decision"]["reason"]
    assert str(row["tweet_id"]) == answer["tweet"]["id"]


def test_a_second_run_posts_another_text_and_does_not_ask_x_again_who_it_is(
    cli: Cli, local_x: Sandbox, texts: Texts
) -> None:
    cli.json("run-once")
    second = cli.json("run-once")

    assert second["decision"]["used"] == 1
    assert len(set(texts())) == 2
    assert local_x.calls["GET /2/users/me 200"] == 1


def test_above_the_cap_it_waits_until_the_first_post_is_a_day_old(cli: Cli, rows: Rows, texts: Texts) -> None:
    cli.json("run-once", X_POSTS_PER_24H="1")
    first = rows.one("SELECT at FROM api_calls WHERE kind = 'post'")["at"]

    answer = cli.json_ending(3, "run-once", X_POSTS_PER_24H="1")

    assert answer["outcome"] == "waiting"
    assert answer["reason"] == "posts_24h"
    decision = answer["decision"]
    assert (decision["verdict"], decision["limit"]) == ("wait", "posts_24h")
    assert (decision["used"], decision["cap"]) == (1, 1)
    until = datetime.fromisoformat(decision["until"])
    assert timedelta(0) <= until - (first + timedelta(hours=24)) <= timedelta(seconds=1)
    assert len(texts()) == 1
    assert rows.one("SELECT verdict FROM decisions ORDER BY last_at DESC LIMIT 1")["verdict"] == "wait"


def test_a_budget_that_is_too_small_for_a_post_waits(cli: Cli, texts: Texts) -> None:
    answer = cli.json_ending(3, "run-once", BOT_MONTHLY_BUDGET_USD="0.02")

    assert answer["outcome"] == "waiting"
    assert answer["decision"]["limit"] == "budget_usd"
    assert answer["decision"]["cap"] == "0.02"
    assert texts() == []


def test_ones_own_text_is_posted_as_it_is(cli: Cli, texts: Texts) -> None:
    answer = cli.json("run-once", "--text", "High water at noon, and a spring tide by Friday.")

    assert texts() == ["High water at noon, and a spring tide by Friday."]
    assert answer["tweet"]["text"] == texts()[0]


def test_a_text_with_a_link_costs_what_x_charges_for_links(cli: Cli, rows: Rows) -> None:
    answer = cli.json("run-once", "--text", "Tide tables: https://example.org/tides")

    assert answer["cost_usd"] in {"0.2", "0.20", "0.200"}
    assert rows.one("SELECT cost_usd FROM api_calls WHERE kind = 'post'")["cost_usd"] == Decimal("0.2")


def test_two_texts_are_a_thread(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    answer = cli.json("run-once", "--text", "The tide comes in.", "--text", "And it goes out again.")

    root, reply = local_x.posts()
    assert (root.text, reply.text) == ("The tide comes in.", "And it goes out again.")
    assert root.reply_to is None
    assert reply.reply_to == root.id
    assert answer["tweet"]["x_tweet_id"] == root.id
    parts = rows.select("SELECT part, status, x_tweet_id, thread_id FROM tweets ORDER BY part")
    assert [(one["part"], one["status"], one["x_tweet_id"]) for one in parts] == [
        (1, "posted", root.id),
        (2, "posted", reply.id),
    ]
    assert parts[0]["thread_id"] == parts[1]["thread_id"]


def test_a_thread_shows_all_its_parts_with_their_ids(cli: Cli, local_x: Sandbox) -> None:
    answer = cli.json("run-once", "--text", "The tide comes in.", "--text", "And it goes out again.")

    live = local_x.posts()
    assert [(one["text"], one["x_tweet_id"]) for one in answer["parts"]] == [
        (one.text, one.id) for one in live
    ]
    shown = cli("run-once", "--text", "Springs follow.", "--text", "Neaps come after.").out
    for one in local_x.posts()[2:]:
        assert one.text in shown
        assert one.id in shown


def test_the_room_shown_counts_the_post(cli: Cli) -> None:
    assert "posts_24h: 1 of 17 used" in cli("run-once").out
    assert "posts_24h: 2 of 2 used" in cli("run-once", X_POSTS_PER_24H="2").out


def test_a_text_that_has_to_wait_is_not_kept_and_the_answer_says_how_to_keep_it(cli: Cli, rows: Rows) -> None:
    result = cli("run-once", "--text", "Ebb at nine.", "--text", "Flood at three.", X_POSTS_PER_24H="0")

    assert result.code == 3
    assert "not kept" in result.out
    assert "--queue" in result.out
    assert [row["status"] for row in rows.select("SELECT status FROM tweets")] == ["rejected", "rejected"]
    assert cli.json("status")["open"] == {}


def test_a_queued_text_goes_now_when_it_may(cli: Cli, texts: Texts) -> None:
    answer = cli.json("run-once", "--queue", "--text", "Ebb at nine.")

    assert (answer["outcome"], answer["queued"]) == ("posted", False)
    assert texts() == ["Ebb at nine."]


def test_a_queued_text_that_has_to_wait_is_kept_and_posted_once_it_may(
    cli: Cli, rows: Rows, texts: Texts
) -> None:
    answer = cli.json_ending(3, "run-once", "--queue", "--text", "Ebb at nine.", X_POSTS_PER_24H="0")

    assert (answer["outcome"], answer["queued"], answer["tweet"]["status"]) == ("waiting", True, "approved")
    assert "queued" in cli("run-once", "--queue", "--text", "Flood at three.", X_POSTS_PER_24H="0").out
    assert (
        rows.select("SELECT origin::text, status::text FROM tweets")
        == [{"origin": "manual", "status": "approved"}] * 2
    )

    cli("reconcile")

    assert texts() == ["Ebb at nine."]
    assert rows.count("tweets", "status = 'approved'") == 1


def test_a_text_queued_while_paused_waits_for_the_resume(cli: Cli, rows: Rows, texts: Texts) -> None:
    cli.json("run-once")
    cli.json("pause")

    answer = cli.json_ending(3, "run-once", "--queue", "--text", "Ebb at nine.")

    assert (answer["reason"], answer["queued"]) == ("paused", True)
    assert len(texts()) == 1
    assert rows.count("tweets", "status = 'approved'") == 1


def test_a_text_queued_in_review_mode_awaits_approval(cli: Cli, texts: Texts) -> None:
    answer = cli.json("run-once", "--queue", "--text", "Ebb at nine.", BOT_MODE="review")

    assert answer["outcome"] == "awaiting_approval"
    assert texts() == []


def test_a_queued_text_that_x_can_not_take_now_stays_queued(cli: Cli, local_x: Sandbox, texts: Texts) -> None:
    cli.json("run-once")
    local_x.arm("429_without_headers", endpoint="POST /2/tweets", count=1)

    answer = cli.json_ending(3, "run-once", "--queue", "--text", "Ebb at nine.")

    assert (answer["outcome"], answer["queued"]) == ("waiting", True)
    assert len(texts()) == 1


def test_a_failure_is_told_once(cli: Cli) -> None:
    result = cli("run-once", BOT_SOURCES="/nowhere/tides.md")

    shown = result.out + "\n".join(said(result))
    assert shown.count("no source could be read") == 1


def test_a_thread_names_the_price_of_all_its_parts(cli: Cli) -> None:
    answer = cli.json("run-once", "--text", "The tide comes in.", "--text", "And it goes out again.")

    assert Decimal(answer["cost_usd"]) == Decimal("0.030")


def test_a_thread_that_does_not_fit_under_the_cap_is_not_begun(cli: Cli, texts: Texts) -> None:
    answer = cli.json_ending(3, "run-once", "--text", "One.", "--text", "Two.", X_POSTS_PER_24H="1")

    assert answer["outcome"] == "waiting"
    assert texts() == []


def test_the_same_text_again_is_rejected(cli: Cli, rows: Rows, texts: Texts) -> None:
    cli.json("run-once", "--text", "Low water at six.")

    answer = cli.json_ending(3, "run-once", "--text", "  Low water   at six. ")

    assert answer["outcome"] == "rejected"
    assert answer["reason"] == "duplicate"
    assert texts() == ["Low water at six."]
    assert rows.count("decisions", "verdict = 'rejected'") == 1


def test_a_text_that_had_to_wait_can_be_wished_for_again(cli: Cli, texts: Texts) -> None:
    cli.json_ending(3, "run-once", "--text", "Ebb at nine.", X_POSTS_PER_24H="0")

    assert cli("run-once", "--text", "Ebb at nine.").code == 0
    assert texts() == ["Ebb at nine."]


def test_a_text_tried_in_a_dry_run_can_be_posted_for_real(cli: Cli, texts: Texts) -> None:
    cli.json("run-once", "--text", "Flood at ten.", BOT_MODE="dry-run")

    assert cli("run-once", "--text", "Flood at ten.").code == 0
    assert texts() == ["Flood at ten."]


def test_a_text_above_280_is_rejected_before_anybody_is_asked(
    cli: Cli, local_x: Sandbox, texts: Texts
) -> None:
    answer = cli.json_ending(3, "run-once", "--text", "tide " * 57)

    assert answer["outcome"] == "rejected"
    assert answer["reason"] == "length"
    assert texts() == []
    assert not any(name.startswith("POST") for name in local_x.calls)


def test_a_topic_picks_what_the_post_is_about(cli: Cli, rows: Rows) -> None:
    answer = cli.json("run-once", "--topic", "mills")

    assert answer["tweet"]["source"]["title"].endswith("Tide mills")
    assert rows.one("SELECT topic FROM tweets")["topic"] == "mills"


def test_a_topic_that_no_source_has_is_said_and_nothing_posted(cli: Cli, texts: Texts) -> None:
    result = cli("run-once", "--topic", "volcanoes")

    assert result.code == 1
    assert "volcanoes" in result.out + result.err
    assert texts() == []


def test_a_profile_that_is_not_there_is_a_wrong_call(cli: Cli, texts: Texts) -> None:
    cli.json("run-once")
    assert cli.json("run-once", "--profile", "@Sandbox_Bot")["profile"] == "sandbox_bot"

    result = cli("run-once", "--profile", "@nobody")

    assert result.code == 2
    assert result.out == ""
    (line,) = said(result)
    assert "@nobody" in line
    assert "@sandbox_bot" in line
    assert len(texts()) == 2


def test_a_person_reads_text_source_id_and_price(cli: Cli, local_x: Sandbox) -> None:
    result = cli("run-once")

    assert result.code == 0
    (live,) = local_x.posts()
    shown = " ".join(result.out.split())
    assert result.out.startswith("posted as @sandbox_bot\n")
    assert live.text in shown
    assert live.id in shown
    # A long path is broken anywhere.
    assert "tides.md" in "".join(shown.split())
    assert "$0.015" in shown


def test_start_up_says_that_the_database_is_connected(cli: Cli) -> None:
    assert "database_connected" in events(cli("run-once"))


def test_when_the_sources_are_used_up_it_says_so(cli: Cli, texts: Texts) -> None:
    note = cli.process.folder / "note.md"
    note.write_text("A coast meets two high tides in a little under twenty-five hours.\n")
    cli.json("run-once", BOT_SOURCES=str(note))

    answer = cli.json_ending(1, "run-once", BOT_SOURCES=str(note))

    assert (answer["outcome"], answer["reason"]) == ("failed", "sources_used_up")
    assert len(texts()) == 1


def test_a_dry_run_sends_nothing(cli: Cli, rows: Rows, texts: Texts) -> None:
    answer = cli.json("run-once", BOT_MODE="dry-run")

    assert answer["outcome"] == "dry_run"
    assert answer["decision"]["verdict"] == "allow"
    assert answer["tweet"]["x_tweet_id"] is None
    assert answer["tweet"]["text"]
    assert answer["cost_usd"] == "0.00"
    assert texts() == []
    assert rows.count("api_calls", "kind = 'post'") == 0


def test_a_dry_run_needs_no_keys(cli: Cli, local_x: Sandbox) -> None:
    answer = cli.json("run-once", BOT_MODE="dry-run", **NO_KEYS)

    assert answer["outcome"] == "dry_run"
    assert local_x.calls == {}


def test_after_a_dry_run_without_keys_the_real_account_takes_over(cli: Cli, rows: Rows, texts: Texts) -> None:
    cli.json("run-once", BOT_MODE="dry-run", **NO_KEYS)

    answer = cli.json("run-once")

    assert (answer["outcome"], answer["profile"]) == ("posted", "sandbox_bot")
    assert len(texts()) == 1
    assert rows.count("profiles") == 1


def test_in_review_mode_the_draft_waits_for_a_person(cli: Cli, rows: Rows, texts: Texts) -> None:
    answer = cli.json("run-once", BOT_MODE="review")

    assert answer["outcome"] == "awaiting_approval"
    assert answer["tweet"]["status"] == "awaiting_approval"
    assert rows.one("SELECT status FROM tweets")["status"] == "awaiting_approval"
    assert rows.count("api_calls", "kind = 'post'") == 0
    assert texts() == []


def test_a_paused_profile_does_not_post_until_it_is_resumed(cli: Cli, texts: Texts) -> None:
    cli.json("run-once")
    assert cli.json("pause", "--reason", "holidays")["paused"] is True

    paused = cli("run-once", "--json")
    told = cli("run-once")
    status = cli("status")

    answer = one_object(paused)
    assert (paused.code, answer["outcome"], answer["reason"]) == (3, "waiting", "paused")
    assert told.code == 3
    assert "holidays" in told.out
    assert "resume" in told.out
    assert "holidays" in status.out
    assert len(texts()) == 1

    assert cli.json("resume")["paused"] is False
    assert cli.json("run-once")["outcome"] == "posted"
    assert len(texts()) == 2


def test_a_reason_with_brackets_is_shown_as_it_was_given(cli: Cli) -> None:
    cli.json("run-once")
    cli.json("pause", "--reason", "see [/notes] [bold]first[/bold]")

    for command in ("status", "run-once"):
        assert "see [/notes] [bold]first[/bold]" in cli(command).out


def test_a_paused_run_once_leaves_a_decision_row(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    cli.json("pause")
    before = rows.count("decisions")

    cli.json_ending(3, "run-once")

    assert rows.count("decisions") == before + 1


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_without_a_profile_there_is_nothing_to_pause(cli: Cli, local_x: Sandbox, command: str) -> None:
    result = cli(command)

    assert result.code == 2
    assert len(said(result)) == 1
    assert "no profile" in result.err
    assert local_x.calls == {}

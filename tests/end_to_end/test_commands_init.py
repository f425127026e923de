"""`init`: a profile and its plan, set up before anything else or changed later."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from uuid import uuid4

import pytest
from sqlalchemy import text

from bot.sandbox import Sandbox
from tests.end_to_end.conftest import NO_KEYS, Cli, Rows
from tests.support.processes import BotProcess
from tests.support.supabase import signed_in

FLAGS = ("--handle", "ada", "--timezone", "Asia/Tokyo", "--mode", "review", "--topics", "tides, mills")


def test_what_was_set_up_is_what_the_first_post_goes_by(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    made = cli.json("init", *FLAGS, "--posts-per-day", "7")
    assert made["profile"] == made["profile"] | {"handle": "ada", "timezone": "Asia/Tokyo", "mode": "review"}
    assert made["plan"] == made["plan"] | {"topics": ["tides", "mills"], "posts_per_day": 7}

    posted = cli.json("run-once")

    assert posted["outcome"] == "awaiting_approval"
    assert rows.count("profiles") == 1
    assert rows.one("SELECT x_user_id FROM profiles")["x_user_id"] == local_x.user_id
    assert cli.json("status")["mode"] == "review"


def test_the_environment_goes_before_it_and_is_named(cli: Cli) -> None:
    told = cli("init", *FLAGS, BOT_TIMEZONE="Europe/Berlin")
    assert told.out.splitlines() == [
        "@ada: review, 4 posts a day between 08:00 and 22:00, Asia/Tokyo",
        "topics: tides, mills",
        "BOT_TIMEZONE is set, and goes before what `init` says",
    ]


def test_a_profile_without_a_name_takes_its_accounts(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    cli.json("init")
    cli.json("run-once")
    assert rows.one("SELECT handle FROM profiles")["handle"] == local_x.username


def test_a_second_call_changes_what_it_names(cli: Cli, rows: Rows) -> None:
    first = cli.json("init", *FLAGS)
    second = cli.json("init", "--mode", "auto")
    assert second["profile"] == first["profile"] | {"mode": "auto"}
    assert (second["plan"], second["user"]) == (first["plan"], first["user"])
    assert rows.count("profiles") == 1


def test_what_the_worker_made_is_set_up_further(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    cli.json("run-once")
    changed = cli.json("init", "--timezone", "Asia/Tokyo")
    assert (changed["profile"]["handle"], changed["profile"]["timezone"]) == (local_x.username, "Asia/Tokyo")
    assert rows.count("profiles") == 1


@pytest.fixture
def stranger(rows: Rows) -> str:
    """Who signed in, and set a profile up with the account's own handle."""
    person = uuid4()
    with signed_in(rows.engine, user=person) as connection:
        connection.execute(text("SELECT finalize_onboarding(jsonb_build_object('handle', 'sandbox_bot'))"))
    return str(person)


def test_what_a_stranger_set_up_gets_no_account_until_it_is_taken_over(
    cli: Cli, rows: Rows, stranger: str
) -> None:
    cli.json("run-once")
    bound = "SELECT auth_user_id::text AS who FROM profiles WHERE x_user_id IS NOT NULL"
    assert rows.one(bound)["who"] != stranger
    assert rows.count("profiles") == 2


def test_a_command_that_names_no_profile_acts_on_no_strangers(cli: Cli, rows: Rows, stranger: str) -> None:
    for call in (("pause",), ("schedule", "--at", "now", "--text", "a"), ("queue",)):
        answered = cli(*call)
        assert (answered.code, "there is no profile yet" in answered.err) == (2, True)
    assert rows.count("profiles", f"paused AND auth_user_id = '{stranger}'") == 0


def test_a_named_account_is_not_a_stranger_of_the_same_name(cli: Cli, rows: Rows, stranger: str) -> None:
    cli.json("run-once")
    cli.json("pause", "--profile", "sandbox_bot")
    assert rows.one("SELECT auth_user_id::text AS who FROM profiles WHERE paused")["who"] != stranger


def test_a_dry_run_is_no_strangers_either(cli: Cli, rows: Rows, stranger: str) -> None:
    assert cli.json("run-once", BOT_MODE="dry-run", **NO_KEYS)["profile"] == "dry-run"
    assert rows.count("profiles", f"auth_user_id <> '{stranger}'") == 1


def test_a_strangers_profile_that_is_named_is_refused_with_the_way_to_take_it_over(
    cli: Cli, rows: Rows, stranger: str
) -> None:
    refused = cli("run-once", "--profile", "sandbox_bot")
    assert refused.code == 2
    assert "was set up by a person who signed in, and has no keys yet" in refused.err

    cli.json("init", "--user", stranger)
    assert cli.json("run-once", "--profile", "sandbox_bot")["outcome"] == "posted"
    assert rows.count("profiles") == 1


def test_whoever_runs_the_bot_says_whose_profile_it_is(cli: Cli, rows: Rows) -> None:
    person = str(uuid4())
    assert cli.json("init", "--user", person)["user"] == person
    cli.json("run-once")
    assert rows.one("SELECT auth_user_id::text AS who FROM profiles")["who"] == person


def test_the_accounts_profile_is_given_to_a_person_and_not_a_second_one_made(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    person = str(uuid4())
    assert cli.json("init", "--user", person)["profile"]["handle"] == "sandbox_bot"
    assert [row["who"] for row in rows.select("SELECT auth_user_id::text AS who FROM profiles")] == [person]


def test_a_person_with_a_profile_gets_no_second_account(cli: Cli, stranger: str) -> None:
    cli.json("run-once")
    refused = cli("init", "--user", stranger)
    assert (refused.code, refused.out) == (2, "")
    assert f"{stranger} has a profile already, @sandbox_bot - remove one of the two" in refused.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--handle", "a b"), "a handle has up to 15 letters, digits and underscores"),
        (("--timezone", "Mars"), "'Mars' is no IANA time zone like Europe/Berlin"),
        (("--posts-per-day", "101"), "is not a whole number from 0 to 100"),
        (("--topics", ",".join("t" * 101 for _ in range(2))), "topics: they are too many or too long"),
        (("--user", "ada"), "give the id that the person signs in with, a UUID"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(
    cli: Cli, rows: Rows, flags: tuple[str, ...], said: str
) -> None:
    answered = cli("init", *flags)
    assert (answered.code, answered.out) == (2, "")
    assert said in answered.err
    assert rows.count("profiles") == 0


def test_on_a_terminal_it_asks_and_nothing_said_keeps_what_is_shown(
    bot_process: BotProcess, rows: Rows
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "init"],
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        env=bot_process.full_environment(),
        text=True,
    )
    os.write(ours, b"grace\n\nreview\nships, bugs\n\n")
    out, _ = process.communicate(timeout=60)
    os.close(theirs)
    asked = os.read(ours, 10_000).decode()
    os.close(ours)

    assert process.returncode == 0, asked
    assert out.startswith("@grace: review, 4 posts a day between 08:00 and 22:00, UTC\ntopics: ships, bugs\n")
    assert "its time zone, like Europe/Berlin [UTC]:" in asked
    assert rows.count("profiles") == 1

"""`usage`, `status`, `check`, `doctor` and the help: looking costs nothing and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from bot import __version__
from bot.sandbox import Sandbox
from tests.end_to_end.conftest import Cli, Rows, one_object
from tests.support.processes import BotProcess

COMMANDS = (
    *("run", "run-once", "status", "usage", "why", "reconcile", "check", "doctor", "pause", "resume"),
    *("queue", "approve", "reject", "edit", "schedule", "init", "plan"),
)


def limits(answer: dict[str, object]) -> dict[str, dict[str, object]]:
    listed: list[dict[str, object]] = answer["limits"]  # type: ignore[assignment]  # JSON
    return {str(one["name"]): one for one in listed}


def test_a_zone_that_there_is_not_hides_nothing(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    rows.execute("UPDATE profiles SET timezone = 'Nowhere/There'")

    for command in ("status", "usage", "why"):
        answered = cli(command)
        assert (answered.code, "UTC" in answered.out) == (0, True)


def test_usage_made_elsewhere_counts_from_then_on(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    rows.execute("SELECT track_twitter_usage(2, 10)")

    answer = cli.json("usage")

    assert answer.keys() >= {"as_of", "limits", "month"}
    assert all(
        one.keys() == {"name", "used", "cap", "remaining", "window", "scope", "resets_at"}
        for one in answer["limits"]
    )
    assert answer["month"].keys() >= {"cost_usd", "budget_usd", "forecast_usd", "days_left"}
    day = limits(answer)["posts_24h"]
    assert (day["used"], day["cap"], day["remaining"], day["window"]) == (2, 17, 15, "24h")
    used_at = rows.one("SELECT min(at) AS at FROM api_calls WHERE kind = 'post'")["at"]
    assert datetime.fromisoformat(str(day["resets_at"])) == used_at + timedelta(hours=24)
    assert limits(answer)["reads_month"]["used"] == 10
    assert datetime.fromisoformat(answer["as_of"]).utcoffset() == timedelta(0)
    assert local_x.calls == {}
    assert rows.count("profiles") == 0


def test_a_post_adds_to_usage_made_elsewhere(cli: Cli, rows: Rows) -> None:
    rows.execute("SELECT track_twitter_usage(2, 10)")
    assert cli.json("run-once")["decision"]["used"] == 2

    assert limits(cli.json("usage"))["posts_24h"]["used"] == 3


def test_usage_made_elsewhere_can_use_up_the_cap(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    rows.execute("SELECT track_twitter_usage(17, 0)")

    answer = cli.json_ending(3, "run-once")

    assert (answer["outcome"], answer["decision"]["limit"]) == ("waiting", "posts_24h")
    assert local_x.posts() == ()


def test_usage_tells_money_as_exact_text(cli: Cli) -> None:
    cli.json("run-once")

    month = cli.json("usage", BOT_MONTHLY_BUDGET_USD="25")["month"]

    assert Decimal(month["cost_usd"]) == Decimal("0.025")
    assert isinstance(month["cost_usd"], str)
    assert Decimal(month["budget_usd"]) == 25
    assert isinstance(month["days_left"], int)


def test_usage_shows_the_budget_to_a_person_exactly(cli: Cli) -> None:
    cli.json("run-once")

    shown = cli("usage", BOT_MONTHLY_BUDGET_USD="25").out

    assert "0.025" in shown
    assert "25.00" in shown


def test_without_caps_usage_says_none(cli: Cli) -> None:
    day = limits(cli.json("usage", X_POSTS_PER_24H="none"))["posts_24h"]

    assert (day["cap"], day["remaining"]) == (None, None)


def test_status_before_the_first_run_says_what_to_do(cli: Cli, local_x: Sandbox) -> None:
    result = cli("status")

    assert result.code == 0
    assert "run-once" in result.out
    assert local_x.calls == {}
    assert cli.json("status")["profile"] is None


def test_status_shows_the_last_post(cli: Cli) -> None:
    posted = cli.json("run-once")

    status = cli.json("status")

    assert status["profile"] == "sandbox_bot"
    assert status["mode"] == "auto"
    assert status["last_post"]["x_tweet_id"] == posted["tweet"]["x_tweet_id"]
    assert status["unknown"] == 0
    assert posted["tweet"]["text"] in " ".join(cli("status").out.split())


def test_status_tells_the_mode_in_force(cli: Cli) -> None:
    cli.json("run-once")

    assert cli.json("status", BOT_MODE="dry-run")["mode"] == "dry-run"
    assert "dry-run" in cli("status", BOT_MODE="dry-run").out.splitlines()[0]


def test_a_paused_profile_is_not_allowed_to_post(cli: Cli) -> None:
    cli.json("run-once")
    cli.json("pause", "--reason", "storm")

    decision = cli.json("status")["decision"]

    assert (decision["verdict"], decision["limit"]) == ("wait", "paused")
    assert "storm" in decision["reason"]
    assert "allow" not in cli("status").out


def test_status_says_until_when_nothing_is_posted(cli: Cli) -> None:
    cli.json("run-once")

    shown = cli("status", X_POSTS_PER_24H="1").out

    assert "wait: posts_24h: 1 of 1 used" in shown
    assert "\nuntil " in shown
    assert "until" not in cli("status", X_POSTS_PER_24H="9").out


def test_status_says_whether_a_worker_is_alive(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    assert cli.json("status")["worker"] == {"alive": False, "since": None, "last_beat": None, "mode": None}
    assert "none runs" in cli("status").out

    rows.execute(
        "INSERT INTO workers (holder, host, pid, started_at, beat_at) "
        "VALUES ('here:1:a', 'here', 1, now() - interval '3 hours', now() - interval '12 minutes')"
    )
    silent = cli.json("status")["worker"]
    assert (silent["alive"], silent["since"] is not None) == (False, True)
    assert "no beat for 12 min" in cli("status").out

    rows.execute("UPDATE workers SET beat_at = now() - interval '100 seconds'")
    assert cli.json("status")["worker"]["alive"] is True
    assert "in mode auto" in cli("status", BOT_MODE="dry-run").out

    rows.execute("UPDATE workers SET stopped_at = now()")
    assert cli.json("status")["worker"]["alive"] is False
    assert "none runs" in cli("status").out


@pytest.mark.parametrize("command", ["status", "usage", "why", "run-once"])
def test_moments_are_in_the_profiles_zone(cli: Cli, command: str) -> None:
    cli.json("run-once", BOT_TIMEZONE="Asia/Tokyo")

    shown = cli(command, X_POSTS_PER_24H="1").out

    assert "JST" in shown
    assert "UTC" not in shown
    assert "EAT" in cli(command, X_POSTS_PER_24H="1", BOT_TIMEZONE="Africa/Nairobi").out


def test_why_tells_the_last_decisions_newest_first(cli: Cli) -> None:
    cli.json("run-once")
    cli.json_ending(3, "run-once", X_POSTS_PER_24H="1")

    result = cli("why", "--last", "1")

    assert result.code == 0
    assert "posts_24h: 1 of 1 used" in " ".join(result.out.split())
    shown = cli("why").out
    assert shown.index("wait") < shown.index("allow")


def test_reconcile_finds_nothing_to_settle_after_a_clean_post(cli: Cli, local_x: Sandbox) -> None:
    cli.json("run-once")

    result = cli("reconcile", "--json")

    assert result.code == 0, result.out + result.err
    assert one_object(result)
    assert len(local_x.posts()) == 1


def test_looking_changes_no_row(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    before = {table: rows.select(f"SELECT * FROM {table}") for table in rows.tables}

    for command in ("status", "usage", "why"):
        cli.json(command)

    assert {table: rows.select(f"SELECT * FROM {table}") for table in rows.tables} == before


def test_status_loads_neither_the_model_nor_a_web_server_nor_a_page_reader(bot_process: BotProcess) -> None:
    script = (
        "import json, runpy, sys\n"
        "sys.argv = ['bot', 'status', '--json']\n"
        "try:\n"
        "    runpy.run_module('bot', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=bot_process.full_environment(OPENAI_API_KEY="sk-test"),
        cwd=bot_process.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "bot.engine.reports" in loaded
    heavy = {"openai", "trafilatura", "uvicorn", "fastapi", "starlette", "aiohttp", "flask", "http.server"}
    assert not loaded & (heavy | {"bot.sandbox.server", "bot.web", "tweepy", "alembic", "apscheduler"})


def test_a_good_text_is_valid(bare: Cli) -> None:
    answer = bare.json("check", "Hello, tides")

    assert answer == {"valid": True, "weighted_length": 12, "problems": []}
    told = bare("check", "Hello, tides")
    assert (told.code, told.err) == (0, "")
    assert "12 of 280" in told.out


@pytest.mark.parametrize(
    ("text", "rule"), [("x" * 281, "length"), ("", "empty"), ("$AAPL and $MSFT", "cashtags")]
)
def test_a_bad_text_is_not_valid_and_says_why(bare: Cli, text: str, rule: str) -> None:
    answer = bare.json_ending(3, "check", text)

    assert answer.keys() == {"valid", "weighted_length", "problems"}
    assert answer["valid"] is False
    (problem,) = answer["problems"]
    assert problem.keys() == {"rule", "message"}
    assert problem["rule"] == rule
    assert problem["message"]
    assert bare("check", text).code == 3


def test_weights_are_xs_own(bare: Cli) -> None:
    assert bare.json("check", "https://example.org/" + "a" * 200)["weighted_length"] == 23
    assert bare.json("check", "潮汐")["weighted_length"] == 4


@pytest.mark.parametrize(
    "address", [None, "postgresql://nobody@127.0.0.1:1/none", "mysql://nobody:secretword@127.0.0.1/none"]
)
def test_a_check_needs_no_database(bare: Cli, address: str | None) -> None:
    answer = bare.json("check", "Hello", DATABASE_URL=address)

    assert answer["valid"] is True
    assert not (bare.process.folder / "data").exists()


def test_the_doctor_finds_a_good_set_up_good_and_posts_nothing(cli: Cli, local_x: Sandbox) -> None:
    answer = cli.json("doctor")

    assert answer.keys() == {"ok", "checks"}
    assert answer["ok"] is True
    assert all(one.keys() == {"name", "status", "detail", "fix"} for one in answer["checks"])
    named = {one["name"]: one["status"] for one in answer["checks"]}
    assert {"database", "schema", "constraints", "redis", "x_keys", "language_model", "clock"} <= named.keys()
    assert "fail" not in named.values()
    assert named["language_model"] == "warn"
    assert all(one["fix"] for one in answer["checks"] if one["status"] == "warn")
    assert not any(name.startswith("POST") for name in local_x.calls)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(bare: Cli, command: str) -> None:
    result = bare(*command.split(), "--help", BOT_POSTS_PER_DAY="lots")

    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("usage: bot")
    assert not command or "--json" in result.out


def test_the_help_lists_every_command(bare: Cli) -> None:
    first_words = {line.split()[0] for line in bare("--help").out.splitlines() if line.startswith("    ")}

    assert set(COMMANDS) <= first_words


def test_no_command_at_all_shows_the_help(bare: Cli) -> None:
    result = bare()

    assert (result.code, result.out) == (2, "")
    assert "doctor" in result.err


def test_a_text_is_read_from_standard_input(bare: Cli) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check", "-", "--json"],
        env=bare.process.full_environment(),
        cwd=bare.process.folder,
        input=b"Hello, tides\n",
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert json.loads(done.stdout) == {"valid": True, "weighted_length": 12, "problems": []}


def test_standard_input_that_is_no_text_is_one_line(bare: Cli) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check", "-"],
        env=bare.process.full_environment(),
        cwd=bare.process.folder,
        input=b"\xff\xfe",
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().splitlines() == [
        "bot check: standard input is not UTF-8 - give the text in UTF-8"
    ]


def test_the_operator_attests_what_no_api_shows(cli: Cli, rows: Rows) -> None:
    before = {one["name"]: one for one in cli.json("doctor")["checks"]}
    assert "doctor --attest automated_label" in before["automated_label"]["fix"]

    after = {one["name"]: one for one in cli.json("doctor", "--attest", "automated_label,owns_app")["checks"]}

    assert after["automated_label"]["status"] == "ok"
    assert {row["key"]: row["value"] for row in rows.select("SELECT key, value FROM bot_config")} == {
        "automated_label": True,
        "owns_app": True,
    }


def test_what_can_not_be_attested_is_refused_with_what_can(cli: Cli, rows: Rows) -> None:
    result = cli("doctor", "--attest", "automated_label,honesty")

    assert (result.code, result.out) == (2, "")
    assert "owns_app" in result.err
    assert rows.count("bot_config") == 0


@pytest.mark.parametrize(
    "call",
    [
        ("nonsense",),
        ("run-once", "--text", "Ebb.", "--topic", "tides"),
        ("run-once", "--texts", "x", "--nope"),
        ("check",),
        ("run-once", "--text"),
    ],
)
def test_a_wrong_call_shows_the_usage(bare: Cli, call: tuple[str, ...]) -> None:
    result = bare(*call)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("usage: bot")


def test_the_version_is_told(bare: Cli) -> None:
    result = bare("--version")

    assert (result.code, result.out, result.err) == (0, f"bot {__version__}\n", "")

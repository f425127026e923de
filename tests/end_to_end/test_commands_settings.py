"""What is set wrong or missing: one clear line, the right exit code, and nothing posted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

from bot.sandbox import Sandbox
from tests.end_to_end.conftest import NO_KEYS, Cli, Rows, events, one_object, said
from tests.support.processes import ROOT

Texts = Callable[[], list[str]]


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("BOT_POSTS_PER_DAY", "lots", "whole number"),
        ("BOT_POSTS_PER_DAY", "-1", "whole number"),
        ("BOT_TIMEZONE", "Mars/Olympus", "IANA"),
        ("BOT_TIMEZONE", "Europe/Berln", "IANA"),
        ("BOT_MODE", "fast", "dry-run"),
        ("X_API_BASE_URL", "nonsense", "http"),
        ("OPENAI_BASE_URL", "ftp://models.example", "http"),
        ("X_POSTS_PER_24H", "1.5", "whole number"),
        ("BOT_MONTHLY_BUDGET_USD", "cheap", "dollars"),
        ("LOG_LEVEL", "loud", "DEBUG"),
        ("LOG_FORMAT", "xml", "json"),
    ],
)
def test_a_value_that_can_not_be_read_is_named_with_what_would_be_right(
    bare: Cli, name: str, value: str, right: str
) -> None:
    result = bare("run-once", **{name: value})

    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert name in line
    assert value in line
    assert right in line


@pytest.mark.parametrize(
    "address",
    [
        "mysql://bot:hunter2hunter2@db.example/bot",
        "hunter2hunter2",
        "postgresql://bot:hunter2hunter2@db.example:port/bot",
        "postgresql://bot:hunter2hunter2@[::1/bot",
    ],
)
@pytest.mark.parametrize("command", ["run-once", "status"])
def test_an_address_that_is_no_postgresql_is_named_without_its_password(
    bare: Cli, address: str, command: str
) -> None:
    result = bare(command, DATABASE_URL=address)

    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert "DATABASE_URL" in line
    assert "postgresql://" in line
    assert "hunter2" not in result.err


@pytest.mark.parametrize("address", ["nonsense", "http://:hunter2hunter2@127.0.0.1"])
def test_an_address_that_is_no_redis_is_named_without_its_password(cli: Cli, address: str) -> None:
    result = cli("run-once", REDIS_URL=address)

    assert "hunter2" not in result.err
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert "REDIS_URL" in line


def test_every_wrong_value_is_named_at_once(bare: Cli) -> None:
    result = bare("status", BOT_MODE="fast", BOT_TIMEZONE="Mars/Olympus")

    (line,) = result.err.splitlines()
    assert "BOT_MODE" in line
    assert "BOT_TIMEZONE" in line


@pytest.mark.parametrize(
    "name", ["BOT_MODE", "BOT_TIMEZONE", "OPENAI_MODEL", "LOG_LEVEL", "BOT_POSTS_PER_DAY"]
)
def test_a_key_in_the_wrong_place_is_not_repeated(bare: Cli, name: str) -> None:
    result = bare("status", **{name: "sk-proj-AbC123dEf456GhI789jKl"})

    assert (result.code, result.out) == (2, "")
    assert name in result.err
    assert "AbC123" not in result.err


@pytest.mark.parametrize(
    "call", [("status", "KEY"), ("KEY",), ("why", "--last", "KEY"), ("usage", "--profile", "KEY")]
)
def test_a_key_among_the_arguments_is_not_repeated(bare: Cli, call: tuple[str, ...]) -> None:
    result = bare(*(one.replace("KEY", "AbC123dEf456GhI789jKl") for one in call))

    assert (result.code, result.out) == (2, "")
    assert "AbC123" not in result.err


def test_the_option_that_is_wrong_is_named(bare: Cli) -> None:
    result = bare("accounts", "add", "--posts-per-day", "1000")

    assert (result.code, result.out) == (2, "")
    assert "argument --posts-per-day: '1000' is not a whole number from 0 to 100" in result.err


def test_a_digit_that_is_no_number_is_told_like_any_wrong_count(bare: Cli) -> None:
    result = bare("why", "--last", "²")

    assert (result.code, result.out) == (2, "")
    assert "is not a whole number from 1 to 1000" in result.err


@pytest.mark.parametrize("command", ["run-once", "doctor", "run", "check"])
def test_a_proxy_that_can_not_be_read_is_one_line(cli: Cli, local_x: Sandbox, command: str) -> None:
    arguments = ("check", "Hello") if command == "check" else (command,)

    result = cli(*arguments, HTTP_PROXY="http://ada:hunter2@[::1")

    assert (result.code, result.out) == (2, "")
    (line,) = said(result)
    assert "HTTP_PROXY" in line
    assert "hunter2" not in line
    assert local_x.calls == {}


def test_a_proxy_that_is_not_there_is_one_line_too(cli: Cli, closed_port: int) -> None:
    proxy = f"http://ada:hunter2@127.0.0.1:{closed_port}"

    result = cli("run-once", HTTP_PROXY=proxy, X_API_BASE_URL="http://x.example.invalid")

    assert result.code == 1
    assert "X can't be reached" in result.err
    assert "hunter2" not in result.out + result.err


def test_a_variable_that_nobody_knows_is_a_warning_once_with_the_nearest(bare: Cli) -> None:
    (bare.process.folder / ".env").write_text("OPENAI_APIKEY=hunter2hunter2\n")

    result = bare("check", "Hello", BOT_MOED="review")

    assert result.code == 0
    lines = [json.loads(line) for line in result.err.splitlines()]
    assert [(one["event"], one["variable"], one["did_you_mean"]) for one in lines] == [
        ("setting_unknown", "BOT_MOED", "BOT_MODE"),
        ("setting_unknown", "OPENAI_APIKEY", "OPENAI_API_KEY"),
    ]
    assert "hunter2" not in result.err


@pytest.mark.parametrize("command", ["run-once", "doctor", "status"])
def test_the_password_of_an_address_of_x_or_the_model_is_not_shown(
    cli: Cli, closed_port: int, command: str
) -> None:
    result = cli(
        command,
        X_API_BASE_URL=f"http://ada:hunter2hunter2@127.0.0.1:{closed_port}",
        OPENAI_BASE_URL=f"http://hunter3hunter3@127.0.0.1:{closed_port}/v1?api_key=hunter4hunter4",
        OPENAI_API_KEY="sk-model-key-1a2b3c4d5e",
        LOG_LEVEL="DEBUG",
    )

    assert "hunter" not in result.out + result.err


@pytest.mark.parametrize("command", [("run",), ("check", "Hello"), ("doctor",)])
def test_every_command_stops_at_a_wrong_value(bare: Cli, command: tuple[str, ...]) -> None:
    result = bare(*command, BOT_MODE="fast")

    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1


def test_a_wrong_value_is_one_object_for_a_program(bare: Cli) -> None:
    answer = bare.json_ending(2, "run-once", BOT_MODE="fast")

    assert "BOT_MODE" in answer["message"]


def test_an_empty_value_counts_as_not_set(cli: Cli) -> None:
    assert cli.json("run-once", BOT_MODE="", X_POSTS_PER_24H="", REDIS_URL="")["outcome"] == "posted"


def test_a_file_beside_it_sets_what_the_environment_does_not(cli: Cli, texts: Texts) -> None:
    (cli.process.folder / ".env").write_text("BOT_MODE=dry-run\nX_POSTS_PER_24H=3\n")

    answer = cli.json("run-once")

    assert (answer["outcome"], answer["decision"]["cap"]) == ("dry_run", 3)
    assert texts() == []


@pytest.mark.parametrize("command", ["run-once", "status", "usage", "run"])
def test_a_database_that_is_down_is_named(cli: Cli, local_x: Sandbox, closed_port: int, command: str) -> None:
    address = f"postgresql://bot:hunter2hunter2@127.0.0.1:{closed_port}/bot"

    result = cli(command, DATABASE_URL=address)

    assert (result.code, result.out) == (1, "")
    (line,) = said(result)
    assert "127.0.0.1" in line
    assert "DATABASE_URL" in line
    assert "hunter2" not in result.err
    assert local_x.calls == {}


def test_the_doctor_says_that_the_database_is_down(cli: Cli, closed_port: int) -> None:
    answer = cli.json_ending(1, "doctor", DATABASE_URL=f"postgresql://bot@127.0.0.1:{closed_port}/bot")

    (check,) = [one for one in answer["checks"] if one["name"] == "database"]
    assert check["status"] == "fail"
    assert "DATABASE_URL" in check["fix"]


@pytest.mark.parametrize("command", ["run-once", "status", "usage", "run", "pause"])
def test_a_database_without_tables_asks_for_the_migration(
    cli: Cli, local_x: Sandbox, empty_url: URL, command: str
) -> None:
    result = cli(command, DATABASE_URL=empty_url.render_as_string(hide_password=False))

    assert (result.code, result.out) == (1, "")
    (line,) = said(result)
    assert "alembic upgrade head" in line
    assert local_x.calls == {}


def test_doctor_finds_no_constraint_good_on_tables_that_are_not_there(cli: Cli, empty_url: URL) -> None:
    answer = cli.json_ending(1, "doctor", DATABASE_URL=empty_url.render_as_string(hide_password=False))

    (check,) = (one for one in answer["checks"] if one["name"] == "constraints")
    assert (check["status"], check["fix"]) == ("fail", "run: alembic upgrade head")
    assert "api_usage_tracking" in check["detail"]


@pytest.mark.parametrize(
    ("address", "wrong", "right"),
    [
        ("postgresql://bot:hidden-pw@127.0.0.1:{port}/bot", "127.0.0.1/bot does not answer", "DATABASE_URL"),
        ("mysql://bot:hidden-pw@127.0.0.1/bot", "mysql://", "postgresql://"),
        ("hidden-pw", "DATABASE_URL can't be read", "postgresql://"),
    ],
)
def test_a_migration_that_finds_no_database_says_so_in_one_line(
    cli: Cli, closed_port: int, address: str, wrong: str, right: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), "upgrade", "head"],
        env=cli.process.full_environment(DATABASE_URL=address.format(port=closed_port)),
        cwd=cli.process.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    (line,) = (done.stdout + done.stderr).splitlines()
    assert wrong in line
    assert right in line
    assert "hidden-pw" not in line


def test_an_older_schema_asks_for_the_migration(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    rows.execute("UPDATE alembic_version SET version_num = '0000'")

    result = cli("run-once")

    assert result.code == 1
    (line,) = said(result)
    assert "0000" in line
    assert "alembic upgrade head" in line
    assert local_x.calls == {}
    checks = {one["name"]: one for one in cli.json_ending(1, "doctor")["checks"]}
    assert checks["schema"]["status"] == "fail"
    assert "alembic upgrade head" in checks["schema"]["fix"]


@pytest.mark.parametrize("command", ["run-once", "run", "reconcile"])
def test_missing_keys_are_named(cli: Cli, local_x: Sandbox, command: str) -> None:
    result = cli(command, **NO_KEYS)

    assert (result.code, result.out) == (2, "")
    (line,) = said(result)
    for name in NO_KEYS:
        assert name in line
    assert local_x.calls == {}


def test_only_the_missing_key_is_named(cli: Cli) -> None:
    (line,) = said(cli("run-once", X_API_SECRET=None))

    assert "X_API_SECRET" in line
    assert "X_API_KEY" not in line


def test_the_doctor_names_missing_keys(cli: Cli) -> None:
    checks = {one["name"]: one for one in cli.json_ending(1, "doctor", **NO_KEYS)["checks"]}

    assert checks["x_keys"]["status"] == "fail"
    assert all(name in checks["x_keys"]["detail"] for name in NO_KEYS)


def test_the_doctor_calls_no_keys_good_that_x_has_just_refused(cli: Cli) -> None:
    cli.json("run-once")
    wrong = {"X_API_SECRET": "not-the-secret"}
    cli.json_ending(1, "run-once", "--text", "Once more", **wrong)

    checks = {one["name"]: one for one in cli.json_ending(1, "doctor", **wrong)["checks"]}

    assert checks["x_keys"]["status"] == "fail"
    assert "X refused (keys_invalid)" in checks["x_keys"]["detail"]
    assert "X_API_SECRET" in checks["x_keys"]["fix"]
    assert "resume" in checks["x_keys"]["fix"]
    cli.json("resume")
    checks = {one["name"]: one for one in cli.json("doctor")["checks"]}
    assert checks["x_keys"]["status"] == "ok"
    assert "not asked again" in checks["x_keys"]["detail"]


def test_once_missing_keys_are_set_it_posts(cli: Cli, texts: Texts) -> None:
    cli.json("run-once")
    assert cli("run-once", **NO_KEYS).code in {1, 2}

    result = cli("run-once")

    assert result.code == 0, result.out
    assert len(texts()) == 2


@pytest.mark.parametrize(
    ("command", "name"), [*(("run-once", name) for name in NO_KEYS), ("run", "X_ACCESS_TOKEN_SECRET")]
)
def test_wrong_keys_are_said_and_not_shown(cli: Cli, local_x: Sandbox, command: str, name: str) -> None:
    result = cli(command, **{name: "wrong-wrong-wrong"})

    assert (result.code, result.out) == (1, "")
    (line,) = said(result)
    assert "401" in line
    assert name in line
    assert "wrong-wrong-wrong" not in result.err
    assert local_x.posts() == ()


def test_keys_that_went_bad_close_the_account_until_an_operator_resumes(cli: Cli, texts: Texts) -> None:
    cli.json("run-once")
    refused = cli.json_ending(1, "run-once", X_API_SECRET="wrong-wrong-wrong")
    assert (refused["outcome"], refused["reason"]) == ("failed", "keys_invalid")

    closed = cli.json_ending(3, "run-once")
    assert closed["outcome"] == "waiting"
    assert "keys" in closed["reason"]

    assert cli.json("resume")["blocks_lifted"] == 1
    assert cli.json("run-once")["outcome"] == "posted"
    assert len(texts()) == 2


def test_the_person_who_waits_for_closed_keys_is_told_how_to_go_on(cli: Cli) -> None:
    cli.json("run-once")
    cli.json_ending(1, "run-once", X_API_SECRET="wrong-wrong-wrong")

    assert "resume" in cli("run-once").out


@pytest.mark.parametrize("command", [("run-once", "--json"), ("run-once", "--json", "--text", "Ebb.")])
def test_a_run_once_that_fails_before_a_profile_is_known_answers_in_the_contracts_shape(
    cli: Cli, command: tuple[str, ...]
) -> None:
    result = cli(*command, X_API_SECRET="wrong-wrong-wrong")

    answer = one_object(result)
    assert result.code == 1
    assert answer["outcome"] == "failed"
    assert answer["reason"] == "keys_invalid"
    assert answer["tweet"] is None


@pytest.mark.parametrize("source", ["/nowhere/tides.md", "SITE/nothing.md", "gopher://example.org/tides"])
def test_a_source_that_gives_nothing_is_named(cli: Cli, texts: Texts, site: str, source: str) -> None:
    place = source.replace("SITE", site)

    result = cli("run-once", "--json", BOT_SOURCES=place)

    answer = one_object(result)
    assert result.code == 1
    assert (answer["outcome"], answer["reason"]) == ("failed", "source_unreadable")
    assert place in result.out + result.err
    # In the line for people: ids and moments of log lines may hold any digits.
    assert ("404" in result.err.splitlines()[-1]) == ("SITE" in source)
    assert texts() == []


def test_no_source_at_all_names_the_setting(cli: Cli, texts: Texts) -> None:
    result = cli("run-once", BOT_SOURCES=None)

    assert result.code == 1
    assert "BOT_SOURCES" in result.out
    assert texts() == []


def test_a_bad_source_beside_a_good_one_is_a_warning(cli: Cli, texts: Texts, site: str) -> None:
    result = cli("run-once", BOT_SOURCES=f"{site}/nothing.md, {site}/tides.md")

    assert result.code == 0
    assert "source_unreadable" in events(result)
    assert f"{site}/nothing.md" in result.err
    assert len(texts()) == 1


def test_the_password_of_a_source_is_not_shown(cli: Cli, site: str) -> None:
    place = site.replace("http://", "http://reader:hunter2hunter2@")

    result = cli("run-once", BOT_SOURCES=f"{place}/nothing.md?token=hunter3hunter3")

    assert result.code == 1
    assert "nothing.md" in result.out
    assert "hunter" not in result.out + result.err


def test_a_data_folder_that_can_not_be_made_is_named(cli: Cli) -> None:
    blocked = Path(cli.process.folder) / "a-file"
    blocked.write_text("")

    result = cli("status", DATABASE_URL=None, BOT_DATA_DIR=str(blocked / "data"))

    assert (result.code, result.out) == (2, "")
    (line,) = said(result)
    assert "BOT_DATA_DIR" in line

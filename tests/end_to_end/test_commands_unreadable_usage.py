"""Never blind: when usage can't be read nothing is posted, and the way out is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.sandbox import Sandbox
from tests.end_to_end.conftest import Cli, Rows, one_object

Texts = Callable[[], list[str]]

CONSTRAINT = "uq_api_usage_tracking_date_api_type"
RENAME = "ALTER TABLE api_usage_tracking RENAME TO api_usage_tracking_gone"
BREAKS = {
    "table": (RENAME, "api_usage_tracking"),
    "ledger": ("ALTER TABLE api_calls RENAME TO api_calls_gone", "api_calls"),
    "constraint": (f"ALTER TABLE api_usage_tracking DROP CONSTRAINT {CONSTRAINT}", CONSTRAINT),
    "trigger": ("DROP TRIGGER keep_daily_rows ON api_calls", "keep_daily_rows"),
    "disabled trigger": ("ALTER TABLE api_calls DISABLE TRIGGER keep_daily_rows", "keep_daily_rows"),
}


@pytest.fixture(params=BREAKS)
def broken(request: pytest.FixtureRequest, rows: Rows) -> tuple[Callable[[], None], str]:
    """A way to break what usage stands on, and the name of what is then missing."""
    statement, name = BREAKS[request.param]
    return lambda: rows.execute(statement), name


def test_nothing_is_posted_and_what_is_missing_is_named(
    cli: Cli, texts: Texts, broken: tuple[Callable[[], None], str]
) -> None:
    cli.json("run-once")
    break_it, name = broken
    break_it()

    result = cli("run-once", "--json")

    answer = one_object(result)
    assert result.code == 1
    assert (answer["outcome"], answer["reason"]) == ("failed", "usage_unreadable")
    assert name in result.out + result.err
    assert len(texts()) == 1


@pytest.mark.parametrize("kind", ["table", "constraint", "trigger"])
def test_before_any_profile_x_is_not_even_asked_who_this_is(
    cli: Cli, rows: Rows, local_x: Sandbox, kind: str
) -> None:
    statement, name = BREAKS[kind]
    rows.execute(statement)

    result = cli("run-once")

    assert result.code == 1
    assert name in result.out + result.err
    assert local_x.calls == {}


def test_a_person_reads_what_is_missing(cli: Cli, rows: Rows) -> None:
    cli.json("run-once")
    statement, name = BREAKS["constraint"]
    rows.execute(statement)

    told = cli("run-once")

    assert told.code == 1
    assert name in " ".join(told.out.split())
    assert "run: " in told.out


def test_usage_says_that_it_can_not_be_read(cli: Cli, rows: Rows) -> None:
    statement, name = BREAKS["constraint"]
    rows.execute(statement)

    result = cli("usage", "--json")

    assert result.code == 1
    assert name in result.err
    assert one_object(result)["error"] == "usage_unreadable"


@pytest.mark.parametrize("kind", ["table", "constraint", "trigger"])
def test_the_doctor_fails_the_check_and_prints_the_mend(cli: Cli, rows: Rows, kind: str) -> None:
    statement, name = BREAKS[kind]
    rows.execute(statement)

    result = cli("doctor", "--json")

    answer = one_object(result)
    assert (result.code, answer["ok"]) == (1, False)
    failed = [one for one in answer["checks"] if one["status"] == "fail"]
    assert any(name in one["detail"] or name in one["fix"] for one in failed)
    assert all(one["fix"] for one in failed)


def mend_of(answer: dict[str, list[dict[str, str]]], word: str) -> str:
    """The statement that the doctor tells an operator to run."""
    fixes = [one["fix"] for one in answer["checks"] if one["status"] == "fail" and one["fix"]]
    return next(fix for fix in fixes if word in fix).removeprefix("run: ")


@pytest.mark.parametrize(
    ("kind", "word"),
    [("constraint", "ADD CONSTRAINT"), ("trigger", "TRIGGER"), ("disabled trigger", "TRIGGER")],
)
def test_after_the_doctors_mend_it_posts_again(
    cli: Cli, rows: Rows, texts: Texts, kind: str, word: str
) -> None:
    rows.execute(BREAKS[kind][0])
    mend = mend_of(cli.json_ending(1, "doctor"), word)

    rows.execute(mend)

    assert cli.json("doctor")["ok"] is True
    assert cli.json("run-once")["outcome"] == "posted"
    assert len(texts()) == 1


def test_with_its_name_back_the_table_counts_what_it_counted(cli: Cli, rows: Rows, texts: Texts) -> None:
    rows.execute("SELECT track_twitter_usage(2, 0)")
    rows.execute(RENAME)
    assert cli("run-once").code == 1

    rows.execute("ALTER TABLE api_usage_tracking_gone RENAME TO api_usage_tracking")

    assert cli.json("run-once")["decision"]["used"] == 2
    assert len(texts()) == 1

"""The publishing benchmark: what it counts, what it calls missed, and when it has no figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert

from benchmarks.publishing_bench import PostsDiffer, StatementCounter, compare
from benchmarks.publishing_figures import Case, Effort, Result
from bot.core.states import TweetStatus
from bot.store.manager import DatabaseManager
from bot.store.rows.posting import CONFIG

ROOT = Path(__file__).resolve().parents[1]
ROW = {
    "latency_ms",
    "threads",
    "profiles",
    "bare_per_s",
    "engine_per_s",
    "ratio",
    "ratio_min",
    "ratio_max",
    "statements_per_post",
    "transactions_per_post",
}


def measured(*, ratio: float = 0.5, statements: int = 300) -> Result:
    """A round of a hundred posts that took the bare loop a second."""
    return Result(
        case=Case(
            name="batch",
            latency_ms=0,
            threads=1,
            profiles=32,
            least_ratio=0.45,
            most={"statements_per_post": 3, "transactions_per_post": 0.1},
        ),
        profiles=32,
        load=0.0,
        bare=[Effort(posts=100, seconds=1.0)],
        engine=[Effort(posts=100, seconds=1.0 / ratio)],
        statements=statements,
        transactions=10,
    )


def test_publishing_is_measured_and_told_as_json() -> None:
    command = [sys.executable, "-m", "benchmarks", "publishing", "--json", "--case", "batch"]
    done = subprocess.run(
        [*command, "--posts", "2", "--rounds", "1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    (row,) = json.loads(done.stdout)["rows"]
    assert row.keys() >= ROW
    assert (row["profiles"], row["posts"], row["rounds"]) == (2, 2, 1)
    assert row["statements_per_post"] > row["transactions_per_post"] > 0
    assert done.returncode == (1 if row["missed"] else 0), done.stderr


def test_what_is_at_its_target_is_met() -> None:
    assert measured(ratio=0.45).missed == []


def test_a_ratio_a_hair_below_its_target_is_missed_and_not_rounded_up() -> None:
    result = measured(ratio=0.44999)
    assert result.missed == ["ratio"]
    assert "0.449 (0.449 to 0.449); target at least 0.45: MISSED" in result.as_text()


def test_a_cost_a_hair_above_its_target_is_missed_and_not_rounded_down() -> None:
    result = measured()
    result.transactions = 11
    result.statements = 300_001
    result.engine *= 1000
    result.bare *= 1000
    assert result.missed == ["statements_per_post"]
    assert "3.001 a post; target at most 3: MISSED" in result.as_text()


def test_figures_are_the_medians_and_extremes_of_the_rounds() -> None:
    result = measured()
    result.bare = [Effort(posts=100, seconds=seconds) for seconds in (1.0, 2.0, 4.0)]
    result.engine = [Effort(posts=100, seconds=seconds) for seconds in (10.0, 4.0, 5.0)]
    row = result.as_json()
    assert (row["bare_min"], row["bare_per_s"], row["bare_max"]) == (25.0, 50.0, 100.0)
    assert (row["ratio_min"], row["ratio"], row["ratio_max"]) == (0.1, 0.4, 0.8)


@pytest.mark.parametrize(
    "live", [[("a", "1")], [("a", "1"), ("b", "2"), ("b", "3")], [("a", "1"), ("c", "2")]]
)
def test_a_text_that_is_not_live_exactly_once_leaves_no_figures(live: list[tuple[str, str]]) -> None:
    with pytest.raises(PostsDiffer):
        compare(["a", "b"], live)


@pytest.mark.parametrize("rows", [[], [("a", TweetStatus.UNKNOWN, None)], [("a", TweetStatus.POSTED, "2")]])
def test_rows_that_do_not_tell_of_the_posts_leave_no_figures(rows: list[tuple[str, str, str | None]]) -> None:
    compare(["a"], [("a", "1")], [("a", TweetStatus.POSTED, "1")])
    with pytest.raises(PostsDiffer):
        compare(["a"], [("a", "1")], rows)


def test_every_statement_of_a_transaction_counts_also_past_sqlalchemy(manager: DatabaseManager) -> None:
    counter = StatementCounter.of(manager)
    with manager.transaction():
        pass
    bounds = counter.statements
    with manager.transaction() as tx:
        tx.connection.exec_driver_sql("SELECT 1")
        driver = tx.connection.connection.cursor()
        driver.execute("SELECT 2")
        driver.executemany("SELECT %s", [(3,), (4,)])
        tx.connection.execute(insert(CONFIG).values(key="a", value=1))
    assert bounds > 0
    assert (counter.statements, counter.transactions) == (2 * bounds + 5, 2)

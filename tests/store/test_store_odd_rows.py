"""Moments and amounts that nothing can be weighed with: refused, and named where they are older."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from bot.core.errors import RowUnreadable, UsageUnreadable
from bot.core.model import Profile
from bot.core.spending.limits import CREATE_POST
from bot.store.manager import DatabaseManager
from tests.store.rows import NOW, a_call, a_decision, a_window, a_wish, usage_of

MOMENTS = ["infinity", "-infinity", "9999-12-31 23:59:59+00"]
COLUMNS = [
    "api_calls.at",
    "posting_schedule.due_at",
    "rate_windows.resets_at",
    "rate_windows.seen_at",
    "decisions.at",
    "decisions.last_at",
    "decisions.until",
]


@pytest.fixture
def rows(manager: DatabaseManager, profile: Profile) -> DatabaseManager:
    """A row in each table that is weighed."""
    with manager.transaction() as tx:
        plan = tx.plans.start(profile.id, posts_per_day=1)
        tx.slots.add(profile.id, plan, [a_wish(NOW)])
        tx.ledger.reserve(a_call(profile.id))
        tx.rates.saw(profile.id, CREATE_POST, [a_window()], now=NOW)
        tx.decisions.record(a_decision(profile.id, kind="start"))
    return manager


def from_before(manager: DatabaseManager, table: str, change: str) -> None:
    """Makes rows odd as they may have been before there was a rule against it."""
    with manager.transaction() as tx:
        for rule in ("moments", "finite"):
            tx.connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_{rule}"))
        tx.connection.execute(text(change))


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_moment_that_is_none_is_refused(rows: DatabaseManager, column: str, moment: str) -> None:
    table, _, name = column.partition(".")
    with pytest.raises(IntegrityError, match=f"ck_{table}_moments"), rows.transaction() as tx:
        tx.connection.execute(text(f"UPDATE {table} SET {name} = '{moment}'"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE api_calls SET cost_usd = 'NaN'",
        "UPDATE api_usage_tracking SET cost_usd = 'NaN'",
        "UPDATE decisions SET used = 'NaN'",
        "UPDATE decisions SET cap = 'Infinity'",
    ],
)
def test_an_amount_that_is_none_is_refused(rows: DatabaseManager, change: str) -> None:
    with pytest.raises(IntegrityError, match="finite"), rows.transaction() as tx:
        tx.connection.execute(text(change))


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_odd_moment_of_the_ledger_makes_usage_unreadable_by_name(
    rows: DatabaseManager, profile: Profile, moment: str
) -> None:
    from_before(rows, "api_calls", f"UPDATE api_calls SET at = '{moment}'")
    with pytest.raises(UsageUnreadable, match="the table api_calls holds") as caught:
        usage_of(rows, profile)

    assert "\n" not in caught.value.line
    assert "nothing is posted" in caught.value.line
    with rows.transaction() as tx:
        found = tx.connection.execute(text(caught.value.fix.partition(": ")[2].replace("*", "id")))
        assert len(found.all()) == 1


@pytest.mark.parametrize("moment", ["infinity", "9999-12-31 23:59:59+00"])
def test_an_odd_start_makes_usage_unreadable_by_name(
    rows: DatabaseManager, profile: Profile, moment: str
) -> None:
    from_before(rows, "decisions", f"UPDATE decisions SET at = '{moment}'")
    with pytest.raises(UsageUnreadable, match="the table decisions holds"):
        usage_of(rows, profile)


def test_an_odd_cost_of_before_is_named_with_what_mends_it(rows: DatabaseManager, profile: Profile) -> None:
    from_before(rows, "api_usage_tracking", "SELECT 1")
    from_before(rows, "api_calls", "UPDATE api_calls SET cost_usd = 'NaN'")
    with pytest.raises(UsageUnreadable, match=r"api_usage_tracking holds.*NaN is no amount") as caught:
        usage_of(rows, profile)

    with rows.transaction() as tx:
        tx.connection.exec_driver_sql(caught.value.fix.removeprefix("run: "))
    assert usage_of(rows, profile).cost_month == 0


@pytest.mark.parametrize("moment", ["infinity", "9999-12-31 23:59:59+00"])
def test_an_odd_slot_of_before_is_named(rows: DatabaseManager, profile: Profile, moment: str) -> None:
    from_before(
        rows, "posting_schedule", f"UPDATE posting_schedule SET status = 'claimed', due_at = '{moment}'"
    )
    with pytest.raises(RowUnreadable, match="the table posting_schedule holds"), rows.transaction() as tx:
        tx.slots.claimed(profile.id)


@pytest.mark.parametrize("change", ["last_at = 'infinity'", "last_at = '9999-01-01+00'", "used = 'NaN'"])
def test_an_odd_decision_of_before_is_named(rows: DatabaseManager, profile: Profile, change: str) -> None:
    from_before(rows, "decisions", f"UPDATE decisions SET {change}")
    with pytest.raises(RowUnreadable, match="the table decisions holds"), rows.transaction() as tx:
        tx.decisions.last(profile.id, limit=9)


def test_a_sum_beyond_what_a_moment_can_be_is_one_line_too(rows: DatabaseManager) -> None:
    with pytest.raises(RowUnreadable, match="date value out of range"), rows.transaction():
        _ = NOW.max - (NOW.min - NOW.max)

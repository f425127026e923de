"""Usage that can't be read is an error that names the mend, never `0 used`."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import URL, text

from bot.core.errors import UsageUnreadable
from bot.core.model import Profile, TweetId
from bot.core.spending.limits import Spent
from bot.store.foundations import missing_foundations
from bot.store.manager import DatabaseManager
from tests.store.rows import HOUR, NOW, a_call, plain_connection
from tests.support.databases import admin

CONSTRAINT = "uq_api_usage_tracking_date_api_type"
DAMAGE = {
    "daily table renamed": (
        "ALTER TABLE api_usage_tracking RENAME TO elsewhere",
        "the table api_usage_tracking is missing",
    ),
    "ledger renamed": ("ALTER TABLE api_calls RENAME TO elsewhere", "the table api_calls is missing"),
    "constraint dropped": (f"ALTER TABLE api_usage_tracking DROP CONSTRAINT {CONSTRAINT}", CONSTRAINT),
    "trigger dropped": ("DROP TRIGGER keep_daily_rows ON api_calls", "keep_daily_rows"),
    "trigger disabled": ("ALTER TABLE api_calls DISABLE TRIGGER keep_daily_rows", "keep_daily_rows"),
    "every trigger disabled": ("ALTER TABLE api_calls DISABLE TRIGGER USER", "keep_daily_rows"),
    "an app's trigger disabled": (
        "ALTER TABLE api_calls DISABLE TRIGGER keep_app_usage_at_update",
        "keep_app_usage",
    ),
    "an app's trigger dropped": ("DROP TRIGGER keep_app_usage_at_insert ON api_calls", "keep_app_usage"),
    "apps renamed": ("ALTER TABLE app_usage RENAME TO elsewhere", "the table app_usage is missing"),
    "trigger for replicas only": (
        "ALTER TABLE api_calls ENABLE REPLICA TRIGGER keep_daily_rows",
        "keep_daily_rows",
    ),
    "column renamed": ("ALTER TABLE api_calls RENAME COLUMN units TO amount", "units"),
    "cost renamed": ("ALTER TABLE api_usage_tracking RENAME COLUMN cost_usd TO cost", "cost_usd"),
    "windows renamed": ("ALTER TABLE rate_windows RENAME TO elsewhere", "rate_windows"),
    "decisions renamed": ("ALTER TABLE decisions RENAME TO elsewhere", "decisions"),
}
MENDED_BY_SQL = (
    *("constraint dropped", "trigger dropped", "trigger disabled", "every trigger disabled"),
    *("an app's trigger disabled", "an app's trigger dropped"),
)


def by_hand(url: URL, fix: str) -> None:
    """Runs a printed mend as an operator would."""
    with plain_connection(url) as connection:
        connection.execute(text(fix.removeprefix("run: ")))


@pytest.fixture
def damage(manager: DatabaseManager, profile: Profile, database_url: URL) -> Callable[[str], UsageUnreadable]:
    """Breaks the tables after one post was reserved, and gives what reading them says then."""
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=NOW - HOUR))

    def break_it(how: str) -> UsageUnreadable:
        admin(database_url, DAMAGE[how][0])
        with pytest.raises(UsageUnreadable) as caught, manager.transaction() as tx:
            tx.ledger.usage(profile.id, now=NOW)
        return caught.value

    return break_it


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_named_and_nothing_is_posted(damage: Callable[[str], UsageUnreadable], how: str) -> None:
    error = damage(how)

    assert error.code == "usage_unreadable"
    assert DAMAGE[how][1] in str(error)
    assert "nothing is posted" in str(error)
    assert "\n" not in error.line


@pytest.mark.parametrize("how", MENDED_BY_SQL)
def test_the_printed_mend_mends(
    damage: Callable[[str], UsageUnreadable],
    manager: DatabaseManager,
    profile: Profile,
    database_url: URL,
    how: str,
) -> None:
    error = damage(how)

    by_hand(database_url, error.fix)

    with manager.transaction() as tx:
        assert tx.ledger.usage(profile.id, now=NOW).posts == (Spent(at=NOW - HOUR),)
        # The ledger moves the daily row again.
        tx.ledger.reserve(a_call(profile.id, at=NOW))
        assert tx.ledger.usage(profile.id, now=NOW).posts_month == 2
        assert tx.connection.scalar(text("SELECT sum(tweets_posted) FROM api_usage_tracking")) == 2
        assert tx.connection.scalar(text("SELECT sum(tweets_posted) FROM app_usage")) == 2


@pytest.mark.parametrize("how", ["daily table renamed", "ledger renamed"])
def test_a_renamed_table_is_mended_by_its_old_name(
    damage: Callable[[str], UsageUnreadable],
    manager: DatabaseManager,
    profile: Profile,
    database_url: URL,
    how: str,
) -> None:
    error = damage(how)
    assert "give the table its name back" in error.fix

    admin(database_url, f"ALTER TABLE elsewhere RENAME TO {DAMAGE[how][0].split()[2]}")

    with manager.transaction() as tx:
        assert tx.ledger.usage(profile.id, now=NOW).posts == (Spent(at=NOW - HOUR),)


def test_constraint_and_trigger_together_are_both_named_and_mended_one_after_the_other(
    damage: Callable[[str], UsageUnreadable], manager: DatabaseManager, profile: Profile, database_url: URL
) -> None:
    admin(database_url, DAMAGE["trigger dropped"][0])
    error = damage("constraint dropped")
    assert CONSTRAINT in str(error)
    assert "keep_daily_rows" in str(error)

    by_hand(database_url, error.fix)
    with pytest.raises(UsageUnreadable) as caught, manager.transaction() as tx:
        tx.ledger.usage(profile.id, now=NOW)
    by_hand(database_url, caught.value.fix)

    with manager.transaction() as tx:
        assert tx.ledger.usage(profile.id, now=NOW).posts_month == 1


def test_a_unique_index_in_the_constraints_place_is_enough(
    manager: DatabaseManager, profile: Profile, database_url: URL
) -> None:
    admin(
        database_url,
        DAMAGE["constraint dropped"][0],
        "CREATE UNIQUE INDEX by_hand ON api_usage_tracking (date, api_type)",
    )

    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=NOW - HOUR))
        assert tx.ledger.usage(profile.id, now=NOW).posts_month == 1


def test_a_partial_index_is_not_the_constraint(
    damage: Callable[[str], UsageUnreadable], database_url: URL
) -> None:
    admin(
        database_url,
        "CREATE UNIQUE INDEX partial ON api_usage_tracking (date, api_type) WHERE api_type = 'twitter'",
        "CREATE INDEX not_unique ON api_usage_tracking (date, api_type)",
    )

    assert CONSTRAINT in str(damage("constraint dropped"))


@pytest.mark.parametrize("look", ["open calls of a tweet", "orphans"])
def test_a_ledger_that_cannot_be_read_is_named_by_every_look_at_it(
    manager: DatabaseManager, profile: Profile, database_url: URL, look: str
) -> None:
    admin(database_url, DAMAGE["ledger renamed"][0])

    with pytest.raises(UsageUnreadable, match="api_calls"), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        if look == "orphans":
            tx.ledger.orphans(profile.id, before=NOW)
        else:
            tx.ledger.of_tweet(TweetId(uuid4()))


def test_foundations_stand_in_a_migrated_database(standing: DatabaseManager) -> None:
    with standing.transaction() as tx:
        assert missing_foundations(tx.connection) == []


def test_nothing_is_posted_where_the_database_lets_no_trigger_fire(
    manager: DatabaseManager, profile: Profile, database_url: URL
) -> None:
    admin(database_url, f'ALTER DATABASE "{database_url.database}" SET session_replication_role = replica')
    manager.close()

    refused = pytest.raises(UsageUnreadable, match="session_replication_role is replica")
    with refused as caught, manager.transaction() as tx:
        tx.ledger.usage(profile.id, now=NOW)
    assert "RESET session_replication_role" in caught.value.fix

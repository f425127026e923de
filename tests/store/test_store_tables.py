"""What users may rely on of the tables, and what the database keeps by itself."""

from __future__ import annotations

import importlib
import pkgutil
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Select, Update, select, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.types import NullType

from bot import store
from bot.core.model import Profile
from bot.core.states import TweetStatus
from bot.store.manager import DatabaseManager
from bot.store.rows.base import METADATA
from bot.store.rows.posting import PROFILES, SLOTS
from tests.store.rows import HOUR, NOW, a_posted, a_tweet, a_wish, one_row_everywhere

PROMISED: dict[str, tuple[set[str], set[tuple[str, ...]]]] = {
    "profiles": ({"id", "auth_user_id", "handle", "timezone", "mode"}, {("auth_user_id",)}),
    "members": ({"profile_id", "auth_user_id", "role"}, {("profile_id", "auth_user_id")}),
    "credentials": ({"profile_id"}, set()),
    "plans": ({"id", "profile_id", "status"}, set()),
    "posting_schedule": ({"id", "profile_id", "due_at", "status"}, {("profile_id", "due_at")}),
    "tweets": (
        {
            "id",
            "profile_id",
            "slot_id",
            "idempotency_key",
            "part",
            "text",
            "status",
            "x_tweet_id",
            "posted_at",
        },
        {("idempotency_key",), ("x_tweet_id",)},
    ),
    "content_performance": (set(), set()),
    "learning_data": (set(), set()),
    "analytics": (set(), set()),
    "bot_config": (set(), set()),
    "api_usage_tracking": (
        {"date", "api_type", "tweets_posted", "reads_made", "cost_usd"},
        {("date", "api_type")},
    ),
    "api_calls": (set(), set()),
    "decisions": (set(), set()),
    "leases": (set(), set()),
    "conversations": (set(), set()),
    "messages": (set(), set()),
}


@pytest.mark.parametrize("table", PROMISED)
def test_a_promised_table_has_its_columns_and_unique_constraints(
    standing: DatabaseManager, table: str
) -> None:
    columns, unique = PROMISED[table]
    with standing.engine.connect() as connection:
        found = set(
            connection.scalars(
                text(
                    "SELECT attname FROM pg_attribute "
                    "WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
                ),
                {"table": table},
            )
        )
        definitions = connection.scalars(
            text(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE conrelid = to_regclass(:table) AND contype = 'u'"
            ),
            {"table": table},
        ).all()

    assert {"created_at", "updated_at"} | columns <= found
    constraints = {
        tuple(re.findall(r"\w+", one.removeprefix("UNIQUE")))
        for one in definitions
        if one.startswith("UNIQUE (")
    }
    assert unique <= constraints


def test_a_profile_has_at_most_one_active_plan(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.plans.start(profile.id, posts_per_day=4)

    another = text("INSERT INTO plans (profile_id, status) VALUES (:profile, CAST(:status AS plan_status))")
    with manager.transaction() as tx:
        for status in ("archived", "archived", "draft", "draft"):
            tx.connection.execute(another, {"profile": profile.id, "status": status})
    with pytest.raises(IntegrityError, match="uq_plans_one_active_per_profile"), manager.transaction() as tx:
        tx.connection.execute(another, {"profile": profile.id, "status": "active"})


def test_two_profiles_each_have_an_active_plan(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.plans.start(profile.id, posts_per_day=1)
        tx.plans.start(neighbour.id, posts_per_day=2)

    with manager.transaction() as tx:
        plans = [tx.plans.active(one.id) for one in (profile, neighbour)]
    assert [plan.posts_per_day for plan in plans if plan] == [1, 2]


@pytest.mark.parametrize("column", ["idempotency_key", "x_tweet_id"])
def test_no_two_tweets_share_a_key_or_an_id_of_x(
    manager: DatabaseManager, profile: Profile, neighbour: Profile, column: str
) -> None:
    with pytest.raises(IntegrityError, match=f"uq_tweets_{column}"), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        for index, owner in enumerate((profile, neighbour)):
            same: dict[str, Any] = {"idempotency_key": f"key-{index}", "x_tweet_id": f"{index}"}
            tx.tweets.add(a_posted(owner.id, **same | {column: "same"}))


def test_a_posted_tweet_needs_its_id(manager: DatabaseManager, profile: Profile) -> None:
    with pytest.raises(IntegrityError, match="ck_tweets_posted_has_id"), manager.transaction() as tx:
        tx.tweets.add(a_tweet(profile.id, status=TweetStatus.POSTED))


def test_updated_at_and_created_at_are_kept_by_the_database(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        one_row_everywhere(tx, "ada")
        tx.config.put("paused", value=False)
        tx.connection.execute(text("SELECT track_twitter_usage(1, 1)"))
        before = {table: _stamps(tx.connection, table)["created_at"] for table in METADATA.tables}

    wrong = {}
    with manager.transaction() as tx:
        begun = tx.connection.scalar(text("SELECT now()"))
        for table in METADATA.tables:
            # Daily rows are written by the ledger's trigger, and by no hand.
            touch = f"UPDATE {table} SET updated_at = 'epoch', created_at = 'epoch'"
            if table == "api_usage_tracking":
                touch = "SELECT track_twitter_usage(1, 0)"
            savepoint = tx.connection.begin_nested()
            tx.connection.execute(text(touch))
            after = _stamps(tx.connection, table)
            savepoint.rollback()
            if begun not in after["updated_at"] or after["created_at"] != before[table]:
                wrong[table] = after

    assert all(before.values())
    assert wrong == {}


def _stamps(connection: Connection, table: str) -> dict[str, set[datetime]]:
    rows = connection.execute(text(f"SELECT created_at, updated_at FROM {table}")).all()
    return {
        "created_at": {row.created_at for row in rows},
        "updated_at": {row.updated_at for row in rows},
    }


def test_a_moment_refuses_a_naive_datetime(manager: DatabaseManager, profile: Profile) -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(StatementError, match="naive datetime"), manager.transaction() as tx:
        tx.slots.overdue(profile.id, now=naive)
    with pytest.raises(StatementError, match="naive datetime"), manager.transaction() as tx:
        tx.connection.execute(SLOTS.insert().values(profile_id=profile.id, due_at=naive))


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/St_Johns", "UTC"])
def test_a_moment_comes_back_in_utc_whatever_the_session_and_the_writer_say(
    manager: DatabaseManager, profile: Profile, zone: str
) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
    with manager.transaction() as tx:
        tx.connection.execute(text(f"SET LOCAL TimeZone = '{zone}'"))
        plan = tx.plans.start(profile.id, posts_per_day=1)
        tx.slots.add(profile.id, plan, [a_wish(local)])
        (slot,) = tx.slots.upcoming(profile.id, after=NOW - HOUR, before=NOW)
        created = tx.connection.scalar(select(PROFILES.c.created_at))

    assert slot.due_at == NOW
    assert slot.due_at.tzinfo is UTC
    assert isinstance(created, datetime)
    assert created.tzinfo is UTC


def test_a_deleted_profile_takes_its_rows_along_but_not_what_is_not_its_own(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        gone = one_row_everywhere(tx, "ada")
        tx.connection.execute(text("DELETE FROM profiles WHERE id = :id"), {"id": gone})
        left = {
            table: tx.connection.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in sorted(METADATA.tables)
        }

    assert {table for table, count in left.items() if count} == {
        "api_calls",
        "api_usage_tracking",
        "app_usage",
        "workers",
    }


def test_ids_are_made_by_the_database_where_a_hand_leaves_them_out(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        row = tx.connection.execute(
            text(
                "INSERT INTO profiles (auth_user_id, handle) VALUES (:user, 'eve') RETURNING id, mode::text"
            ),
            {"user": uuid4()},
        ).one()

    assert row.id is not None
    assert row.mode == "auto"


def test_every_value_of_a_statement_that_is_built_once_has_its_type() -> None:
    """A column that names another table takes its type from there, once that table is known."""
    rooms = [
        importlib.import_module(f"bot.store.{room.name}") for room in pkgutil.iter_modules(store.__path__)
    ]
    statements = {
        f"{room.__name__}.{name}": value
        for room in rooms
        for name, value in vars(room).items()
        if isinstance(value, (Select, Update))
    }
    assert len(statements) > 10
    untyped = {
        f"{name}: {bind.key}"
        for name, statement in statements.items()
        for bind in statement.compile(dialect=PGDialect()).binds.values()  # type: ignore[no-untyped-call]  # as SQLAlchemy wrote it
        if isinstance(bind.type, NullType)
    }
    assert untyped == set()

"""Row level security: whoever is signed in sees and changes only what is theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bot.core.errors import BotError, UsageUnreadable
from bot.core.model import ProfileId
from bot.store.base import Base
from bot.store.ledger import LedgerTable
from bot.store.manager import DatabaseManager
from tests.store.rows import NOW, daily_rows, ledger_sums, one_row_everywhere

WORKERS_OWN = {"api_usage_tracking", "bot_config"}
# Seen by their owner, written by the worker alone.
READ_ONLY = {"api_calls", "rate_windows", "decisions", "leases"}
OWNED = sorted(set(Base.metadata.tables) - WORKERS_OWN)


Users = dict[str, tuple[ProfileId, UUID]]


@pytest.fixture
def users(manager: DatabaseManager) -> Users:
    with manager.transaction() as tx:
        ids = [one_row_everywhere(tx, handle) for handle in ("ada", "bob")]
        tx.config.put("paused", value=True)
        profiles = {profile.id: profile for profile in tx.profiles.all()}
        return {profiles[one].handle: (one, profiles[one].auth_user_id) for one in ids}


@pytest.fixture
def stranger(manager: DatabaseManager) -> Iterator[str]:
    """A role with every right on every table, as Supabase's `authenticated` has."""
    role = f"stranger_{uuid4().hex[:12]}"
    with manager.transaction() as tx:
        tx.connection.execute(text(f"CREATE ROLE {role}"))
        tx.connection.execute(
            text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        )
        tx.connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"))
    yield role
    with manager.transaction() as tx:
        tx.connection.execute(text(f"DROP OWNED BY {role}"))
        tx.connection.execute(text(f"DROP ROLE {role}"))


@contextmanager
def signed_in(manager: DatabaseManager, role: str, user: UUID | None) -> Iterator[Connection]:
    with manager.engine.connect() as connection, connection.begin():
        if user is not None:
            claims = json.dumps({"sub": str(user), "role": "authenticated"})
            connection.execute(
                text("SELECT set_config('request.jwt.claims', :claims, true)"), {"claims": claims}
            )
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        yield connection


def ids_in(connection: Connection, table: str) -> set[str]:
    return set(connection.scalars(text(f"SELECT ctid::text FROM {table}")))


def ids_of(manager: DatabaseManager, table: str, profile: ProfileId) -> set[str]:
    """The profile's rows, seen by the owner of the tables."""
    owned = {
        "profiles": "id = :profile",
        "content_performance": "tweet_id IN (SELECT id FROM tweets WHERE profile_id = :profile)",
        "messages": "conversation_id IN (SELECT id FROM conversations WHERE profile_id = :profile)",
    }.get(table, "profile_id = :profile")
    with manager.transaction() as tx:
        return set(
            tx.connection.scalars(text(f"SELECT ctid::text FROM {table} WHERE {owned}"), {"profile": profile})
        )


def test_row_level_security_is_on_for_every_table(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        off = tx.connection.scalars(
            text(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relrowsecurity "
                "AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
            )
        ).all()

    assert off == []


def test_one_sees_exactly_ones_own_rows(manager: DatabaseManager, users: Users, stranger: str) -> None:
    for profile, user in users.values():
        own = {table: ids_of(manager, table, profile) for table in OWNED}
        assert all(own.values())
        with signed_in(manager, stranger, user) as connection:
            assert {table: ids_in(connection, table) for table in OWNED} == own


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("user", [None, uuid4()], ids=["nobody", "somebody else"])
def test_nobody_else_sees_a_row(manager: DatabaseManager, stranger: str, user: UUID | None) -> None:
    with signed_in(manager, stranger, user) as connection:
        seen = {table: ids_in(connection, table) for table in Base.metadata.tables}

    assert [table for table, rows in seen.items() if rows] == []


def test_the_workers_own_tables_are_closed_to_everybody_signed_in(
    manager: DatabaseManager, users: Users, stranger: str
) -> None:
    for table in WORKERS_OWN:
        with manager.transaction() as tx:
            assert ids_in(tx.connection, table)
        with signed_in(manager, stranger, users["ada"][1]) as connection:
            assert ids_in(connection, table) == set()
            assert connection.execute(text(f"UPDATE {table} SET updated_at = now()")).rowcount == 0
            assert connection.execute(text(f"DELETE FROM {table}")).rowcount == 0


def test_one_changes_ones_own_rows(manager: DatabaseManager, users: Users, stranger: str) -> None:
    profile, user = users["ada"]
    tables = sorted(set(OWNED) - READ_ONLY)
    own = {table: len(ids_of(manager, table, profile)) for table in tables}
    with signed_in(manager, stranger, user) as connection:
        changed = {
            table: connection.execute(text(f"UPDATE {table} SET updated_at = now()")).rowcount
            for table in tables
        }

    assert changed == own


def test_what_was_spent_and_decided_is_not_ones_own_to_change(
    manager: DatabaseManager, users: Users, stranger: str
) -> None:
    _, user = users["ada"]
    with signed_in(manager, stranger, user) as connection:
        for table in sorted(READ_ONLY):
            assert connection.execute(text(f"UPDATE {table} SET updated_at = now()")).rowcount == 0
            assert connection.execute(text(f"DELETE FROM {table}")).rowcount == 0


@pytest.mark.parametrize("deed", ["UPDATE {} SET updated_at = now()", "DELETE FROM {}"])
def test_one_changes_nobody_elses_rows(
    manager: DatabaseManager, users: Users, stranger: str, deed: str
) -> None:
    others = {table: ids_of(manager, table, users["bob"][0]) for table in OWNED}
    for table in OWNED:
        try:
            with signed_in(manager, stranger, users["ada"][1]) as connection:
                assert connection.execute(text(deed.format(table))).rowcount <= 1
        except DBAPIError as refused:
            assert "row-level security" in str(refused)  # noqa: PT017 - refusing is right too

    assert {table: ids_of(manager, table, users["bob"][0]) for table in OWNED} == others


def test_a_row_cannot_be_given_to_another(manager: DatabaseManager, users: Users, stranger: str) -> None:
    for table in sorted(set(OWNED) - READ_ONLY - {"profiles", "content_performance", "messages"}):
        with (
            pytest.raises(DBAPIError, match=r"row-level security"),
            signed_in(manager, stranger, users["ada"][1]) as connection,
        ):
            connection.execute(text(f"UPDATE {table} SET profile_id = :other"), {"other": users["bob"][0]})


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM api_calls",
        "UPDATE api_calls SET units = 0, cost_usd = 0",
        "UPDATE api_calls SET state = 'released'",
        """
        INSERT INTO api_calls (profile_id, api, kind, endpoint, units, cost_usd, at)
        SELECT id, 'twitter', 'post', 'mine', 1, 0, now() FROM profiles
        """,
    ],
)
def test_whatever_a_user_does_to_the_ledger_the_daily_rows_stay_its_sums(
    manager: DatabaseManager, users: Users, stranger: str, statement: str
) -> None:
    try:
        with signed_in(manager, stranger, users["ada"][1]) as connection:
            connection.execute(text(statement))
    except DBAPIError as refused:
        assert "row-level security" in str(refused) or "permission denied" in str(refused)  # noqa: PT017 - refusing is one of two right answers

    with manager.transaction() as tx:
        assert daily_rows(tx.connection) == ledger_sums(tx.connection)


def test_a_role_from_which_rows_are_hidden_reads_no_usage_rather_than_none_used(
    manager: DatabaseManager, users: Users, stranger: str
) -> None:
    # A DATABASE_URL whose role does not own the tables: the sums would be of rows it may not see.
    with (
        pytest.raises(BotError) as caught,
        manager.translated(),
        signed_in(manager, stranger, None) as connection,
    ):
        LedgerTable(connection).usage(users["ada"][0], now=NOW)

    assert isinstance(caught.value, UsageUnreadable)

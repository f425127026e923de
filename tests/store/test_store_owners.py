"""Row level security: whoever is signed in sees what is theirs, and changes nothing by hand.

Each test runs on a platform that grants everything on everything to whoever is signed in.
"""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from bot.core.errors import BotError, DatabaseUnavailable, UsageUnreadable
from bot.core.model import ProfileId
from bot.store.ledger import LedgerTable
from bot.store.manager import DatabaseManager
from bot.store.schema import HEAD, revision
from tests.store.rows import NOW, daily_rows, ledger_sums, one_row_everywhere
from tests.support.databases import admin
from tests.support.supabase import GRANT_EVERYTHING, signed_in

# Tables in which nobody who is signed in sees a row: of no profile, or of what nobody else may have.
WORKERS_OWN = {
    *("alembic_version", "api_usage_tracking", "app_usage", "bot_config", "credentials", "workers"),
}
WRITES = ("INSERT", "UPDATE", "DELETE")

Users = dict[str, tuple[ProfileId, UUID]]


@pytest.fixture
def users(manager: DatabaseManager) -> Users:
    """Two people, each with a profile that has a row in every table."""
    with manager.transaction() as tx:
        ids = [one_row_everywhere(tx, handle) for handle in ("ada", "bob")]
        tx.config.put("paused", value=True)
        profiles = {profile.id: profile for profile in tx.profiles.all()}
        return {profiles[one].handle: (one, profiles[one].auth_user_id) for one in ids}


@pytest.fixture(params=["as migrated", "everything granted again"])
def granted(request: pytest.FixtureRequest, users: Users, manager: DatabaseManager) -> Users:
    """Rights as the migration leaves them, and as a platform's remedy for "permission denied" does."""
    if request.param != "as migrated":
        with manager.transaction() as tx:
            for statement in GRANT_EVERYTHING:
                tx.connection.execute(text(statement))
    return users


def tables(manager: DatabaseManager) -> list[str]:
    """From the catalogue, so that a table of tomorrow is asked too."""
    with manager.transaction() as tx:
        return list(
            tx.connection.scalars(
                text(
                    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') "
                    "AND relnamespace = 'public'::regnamespace ORDER BY 1"
                )
            )
        )


def rows_in(connection: Connection, table: str) -> set[str]:
    """The rows that may be read; none where the table may not be."""
    savepoint = connection.begin_nested()
    try:
        return set(connection.scalars(text(f"SELECT ctid::text FROM {table}")))
    except ProgrammingError as refused:
        assert "permission denied for table" in str(refused)  # noqa: PT017 - being refused is right too
        savepoint.rollback()
        return set()


def rows_of(manager: DatabaseManager, table: str, profile: ProfileId, user: UUID) -> set[str]:
    """The profile's rows that a person may read, seen by the owner of the tables."""
    owned = {
        "profiles": "id = :profile",
        "content_performance": "tweet_id IN (SELECT id FROM tweets WHERE profile_id = :profile)",
        "messages": "conversation_id IN (SELECT id FROM conversations WHERE profile_id = :profile)",
        # Who else may see the profile is nobody's to read.
        "members": "profile_id = :profile AND auth_user_id = :user",
    }.get(table, "profile_id = :profile")
    with manager.transaction() as tx:
        return set(
            tx.connection.scalars(
                text(f"SELECT ctid::text FROM {table} WHERE {owned}"),
                {"profile": profile} | ({"user": user} if ":user" in owned else {}),
            )
        )


def was_let_in(connection: Connection, table: str, verb: str) -> bool:
    """Whether the verb got past rights and policies; what it then meets is another matter."""
    column = connection.scalar(
        text("SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum = 1"),
        {"table": table},
    )
    statement = {
        "INSERT": f"INSERT INTO {table} DEFAULT VALUES",
        "UPDATE": f"UPDATE {table} SET {column} = {column}",
        "DELETE": f"DELETE FROM {table}",
        "TRUNCATE": f"TRUNCATE {table} CASCADE",
    }[verb]
    savepoint = connection.begin_nested()
    try:
        done = connection.execute(text(statement))
    except DBAPIError as error:
        said = str(error)
        return not ("permission denied for table" in said or "violates row-level security policy" in said)
    else:
        return verb == "TRUNCATE" or done.rowcount != 0
    finally:
        savepoint.rollback()


def test_every_table_has_row_level_security_and_rows_to_try_it_on(
    manager: DatabaseManager, users: Users
) -> None:
    with manager.transaction() as tx:
        off = tx.connection.scalars(
            text(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relrowsecurity "
                "AND relnamespace = 'public'::regnamespace"
            )
        ).all()
        empty = [table for table in tables(manager) if not rows_in(tx.connection, table)]

    assert off == []
    assert empty == [], "one_row_everywhere adds a row to each table"
    assert len(users) == 2


def readable(manager: DatabaseManager, profile: ProfileId, user: UUID) -> dict[str, set[str]]:
    """What a person who may read the profile should see of every table."""
    return {
        table: set() if table in WORKERS_OWN else rows_of(manager, table, profile, user)
        for table in tables(manager)
    }


def test_one_sees_exactly_ones_own_rows(manager: DatabaseManager, granted: Users) -> None:
    for profile, user in granted.values():
        own = readable(manager, profile, user)
        assert {table for table, rows in own.items() if not rows} == WORKERS_OWN | {"members"}
        with signed_in(manager.engine, user=user) as connection:
            assert {table: rows_in(connection, table) for table in own} == own


@pytest.mark.parametrize("role", ["owner", "editor", "viewer"])
def test_a_member_sees_exactly_what_the_profiles_owner_sees(
    manager: DatabaseManager, granted: Users, role: str
) -> None:
    profile, owner = granted["ada"]
    member = join(manager, profile, role)
    shared = readable(manager, profile, member)
    assert {table for table, rows in shared.items() if not rows} == WORKERS_OWN
    with signed_in(manager.engine, user=member) as connection:
        assert {table: rows_in(connection, table) for table in shared} == shared
    with signed_in(manager.engine, user=owner) as connection:
        assert {table: rows_in(connection, table) for table in shared} == shared | {"members": set()}


def test_who_is_a_member_no_longer_sees_nothing_any_more(manager: DatabaseManager, granted: Users) -> None:
    member = join(manager, granted["ada"][0])
    with manager.transaction() as tx:
        tx.connection.execute(text("DELETE FROM members WHERE auth_user_id = :user"), {"user": member})
    with signed_in(manager.engine, user=member) as connection:
        assert {table for table in tables(manager) if rows_in(connection, table)} == set()


def test_a_person_is_a_member_of_a_profile_once(manager: DatabaseManager, users: Users) -> None:
    profile, other = users["ada"][0], users["bob"][0]
    member = join(manager, profile)
    join(manager, other, user=member)
    with pytest.raises(IntegrityError, match="uq_members_profile_id_auth_user_id"):
        join(manager, profile, "owner", user=member)


def join(
    manager: DatabaseManager, profile: ProfileId, role: str = "viewer", *, user: UUID | None = None
) -> UUID:
    """Makes somebody a member of the profile."""
    member = user or uuid4()
    with manager.transaction() as tx:
        tx.connection.execute(
            text(
                "INSERT INTO members (profile_id, auth_user_id, role) "
                "VALUES (:profile, :user, CAST(:role AS member_role))"
            ),
            {"profile": profile, "user": member, "role": role},
        )
    return member


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("user", [None, uuid4()], ids=["nobody", "a stranger"])
def test_nobody_else_sees_a_row(manager: DatabaseManager, role: str, user: UUID | None) -> None:
    with signed_in(manager.engine, role, user) as connection:
        seen = {table for table in tables(manager) if rows_in(connection, table)}

    assert seen == set()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("who", ["nobody", "a stranger", "the owner", "a member"])
def test_nobody_but_the_worker_writes(manager: DatabaseManager, granted: Users, role: str, who: str) -> None:
    member = join(manager, granted["ada"][0], "owner")
    user = {"nobody": None, "a stranger": uuid4(), "the owner": granted["ada"][1], "a member": member}[who]
    if role == "anon":
        user = None
    with signed_in(manager.engine, role, user) as connection:
        open_doors = [
            (table, verb)
            for table in tables(manager)
            for verb in WRITES
            if was_let_in(connection, table, verb)
        ]

    assert open_doors == []


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_what_no_policy_sees_is_not_granted(manager: DatabaseManager, users: Users, role: str) -> None:
    with signed_in(manager.engine, role, users["ada"][1]) as connection:
        emptied = [table for table in tables(manager) if was_let_in(connection, table, "TRUNCATE")]
        rights = connection.execute(
            text(
                "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
                "WHERE grantee = current_user AND table_schema = 'public' AND privilege_type <> 'SELECT'"
            )
        ).all()
        sequences = connection.scalars(
            text(
                "SELECT seqrelid::regclass::text FROM pg_sequence "
                "WHERE has_sequence_privilege(seqrelid, 'USAGE, UPDATE')"
            )
        ).all()

    assert (emptied, rights, sequences) == ([], [], [])


@pytest.mark.parametrize("role", ["postgres", "service_role"])
def test_the_worker_and_a_servers_own_key_reach_everything(
    manager: DatabaseManager, users: Users, role: str
) -> None:
    assert users
    with signed_in(manager.engine, role) as connection:
        unseen = [table for table in tables(manager) if not rows_in(connection, table)]
        closed = [
            (table, verb)
            for table in tables(manager)
            for verb in WRITES
            if not was_let_in(connection, table, verb)
        ]
        connection.execute(text("SELECT track_twitter_usage(2, 10)"))
        assert daily_rows(connection) == ledger_sums(connection)

    assert unseen == []
    # What a hand writes into a daily row becomes rows of the ledger, and nothing added is no row.
    assert closed == [("api_usage_tracking", "INSERT"), ("api_usage_tracking", "UPDATE")]


@pytest.mark.parametrize(
    "claims",
    [
        "",
        "{",
        "null",
        "7",
        '"sub"',
        '["sub"]',
        "{}",
        '{"sub": null}',
        '{"sub": ""}',
        '{"sub": 7}',
        '{"sub": "somebody"}',
        '{"sub": {"sub": "x"}}',
        '{"sub": "\\u0000"}',
        "[" * 100_000,
    ],
    ids=lambda claims: claims[:20] or "empty",
)
def test_claims_that_name_nobody_are_nobodys(manager: DatabaseManager, users: Users, claims: str) -> None:
    assert users
    with signed_in(manager.engine, claims=claims) as connection:
        assert connection.scalar(text("SELECT current_auth_user_id()")) is None
        assert rows_in(connection, "tweets") == set()


def test_who_is_signed_in_is_asked_once_a_statement(manager: DatabaseManager, users: Users) -> None:
    with signed_in(manager.engine, user=users["ada"][1]) as connection:
        plan = connection.scalars(text("EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM tweets")).all()

    asked = [line.strip() for line in plan if "current_auth_user_id" in line]
    assert asked
    # What is asked in a condition is asked for each row.
    assert {line.partition(":")[0] for line in asked} == {"Output"}
    assert any("InitPlan" in line for line in plan)


def test_a_role_from_which_rows_are_hidden_reads_no_usage_rather_than_none_used(
    manager: DatabaseManager, users: Users
) -> None:
    # A DATABASE_URL whose role does not own the tables: the sums would be of rows it may not see.
    with (
        pytest.raises(BotError) as caught,
        manager.translated(),
        signed_in(manager.engine) as connection,
    ):
        LedgerTable(connection).usage(users["ada"][0], now=NOW)

    assert isinstance(caught.value, UsageUnreadable)


def test_a_role_from_which_the_revision_is_hidden_hears_so_and_not_that_there_are_no_tables(
    manager: DatabaseManager, database_url: URL
) -> None:
    name = f"reader_{uuid4().hex[:12]}"
    admin(database_url, f"CREATE ROLE {name} LOGIN", f"GRANT SELECT ON alembic_version TO {name}")
    reader = DatabaseManager(database_url.set(username=name))
    with pytest.raises(DatabaseUnavailable, match="row-level security policy for table") as caught:
        revision(reader)
    reader.close()
    admin(database_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")

    assert caught.value.fix == "grant the bot's role its rights"
    assert revision(manager) == HEAD

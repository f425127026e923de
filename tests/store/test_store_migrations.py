from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, inspect, text

from bot.store.manager import DatabaseManager
from bot.store.rows.base import METADATA
from bot.store.schema import HEAD, migrate, require_head, revision
from tests.store.conftest import OwnServer
from tests.store.rows import NOW, ROOT, one_row_everywhere, plain_connection, usage_of
from tests.support.databases import admin
from tests.support.processes import eventually

OURS = """
SELECT 'table' AS kind, relname AS name FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic_version%'
UNION ALL SELECT 'type', typname FROM pg_type
 WHERE typnamespace = 'public'::regnamespace AND typname NOT LIKE '%alembic_version'
UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'policy', polname FROM pg_policy
UNION ALL SELECT 'trigger', tgname FROM pg_trigger WHERE NOT tgisinternal
"""
# What both a migration and the models can say of a table. How a key counts up is left out:
# IDENTITY is the standard's word for what SQLAlchemy still writes as a sequence.
PORTRAIT = {
    "columns": """
        SELECT attrelid::regclass || '.' || attname,
               format_type(atttypid, atttypmod) || ' ' || CASE WHEN attnotnull THEN 'NOT NULL' ELSE 'NULL' END
               || ' ' || coalesce(nullif(pg_get_expr(adbin, adrelid), format(
                   'nextval(''%s_%s_seq''::regclass)', attrelid::regclass, attname)), 'no default')
          FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
          LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
           AND relname <> 'alembic_version'
    """,
    "constraints": """
        SELECT conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
           AND conname NOT LIKE 'alembic_version%' AND contype <> 'n'
    """,
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
         WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    """,
    "enums": """
        SELECT typname, string_agg(enumlabel, ' ' ORDER BY enumsortorder)
          FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid GROUP BY typname
    """,
}
EVERYTHING = {
    **PORTRAIT,
    "triggers": """
        SELECT tgrelid::regclass || ' ' || tgname, pg_get_triggerdef(oid)
          FROM pg_trigger WHERE NOT tgisinternal
    """,
    "functions": """
        SELECT proname, concat_ws(' / ', prosrc, prosecdef, proconfig) FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace
    """,
    "row level security": """
        SELECT relname, relrowsecurity || ' ' || relforcerowsecurity FROM pg_class
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    """,
    "policies": """
        SELECT tablename || ' ' || policyname, concat_ws(' / ', cmd, roles, qual, with_check) FROM pg_policies
    """,
}


def ours(url: URL) -> set[tuple[str, str]]:
    with plain_connection(url) as connection:
        return {(row.kind, row.name) for row in connection.execute(text(OURS))}


def portrait(connection: Connection, queries: dict[str, str]) -> dict[str, dict[str, str]]:
    return {
        what: {str(name): str(meaning) for name, meaning in connection.execute(text(query))}
        for what, query in queries.items()
    }


def alembic_command(
    url: URL, scheme: str = "postgresql", place: Path = ROOT / "alembic.ini"
) -> subprocess.Popen[str]:
    address = url.set(drivername=scheme).render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "-c", str(place), "upgrade", "head"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def copied_migrations(folder: Path, further: str) -> Path:
    """An `alembic.ini` beside the migrations and one more that does `further`."""
    shutil.copy(ROOT / "alembic.ini", folder)
    shutil.copytree(ROOT / "alembic", folder / "alembic")
    (folder / "alembic" / "versions" / "further.py").write_text(
        f"from alembic import op\nrevision, down_revision = 'further', '{HEAD}'\n"
        f"def upgrade():\n    {further}\n"
    )
    return folder / "alembic.ini"


def downgrade(manager: DatabaseManager, target: str) -> None:
    _to(manager, target, command.downgrade)


def upgrade(manager: DatabaseManager, target: str) -> None:
    _to(manager, target, command.upgrade)


def _to(manager: DatabaseManager, target: str, move: Callable[[Config, str], None]) -> None:
    config = Config(ROOT / "alembic.ini")
    with manager.engine.connect() as connection:
        config.attributes["connection"] = connection
        move(config, target)
        connection.commit()


@pytest.fixture
def opened(empty_url: URL) -> Any:
    manager = DatabaseManager(empty_url)
    yield manager
    manager.close()


def test_an_empty_database_is_brought_to_head(opened: DatabaseManager) -> None:
    migrate(opened)

    assert revision(opened) == HEAD


def test_migrating_again_changes_nothing(opened: DatabaseManager) -> None:
    migrate(opened)
    with opened.engine.connect() as connection:
        before = portrait(connection, EVERYTHING)

    migrate(opened)

    with opened.engine.connect() as connection:
        assert portrait(connection, EVERYTHING) == before


def test_down_to_base_leaves_nothing_of_ours(opened: DatabaseManager, empty_url: URL) -> None:
    migrate(opened)
    assert ours(empty_url)

    downgrade(opened, "base")

    assert ours(empty_url) == set()
    assert revision(opened) is None


def test_up_after_down_gives_the_same_schema(opened: DatabaseManager) -> None:
    migrate(opened)
    with opened.engine.connect() as connection:
        before = portrait(connection, EVERYTHING)

    downgrade(opened, "base")
    migrate(opened)

    with opened.engine.connect() as connection:
        assert portrait(connection, EVERYTHING) == before


@pytest.fixture
def platform(platform_url: URL) -> Iterator[DatabaseManager]:
    """A database without tables, on a platform that grants everything to whoever is signed in."""
    manager = DatabaseManager(platform_url)
    yield manager
    manager.close()


# Rows of two profiles as the first tables took them: ada's own, and bob's that name ada's.
FIRST_ROWS = """
INSERT INTO profiles (id, auth_user_id, handle)
VALUES ('a0000000-0000-4000-8000-000000000000', gen_random_uuid(), 'ada'),
       ('b0000000-0000-4000-8000-000000000000', gen_random_uuid(), 'bob');
INSERT INTO plans (id, profile_id) SELECT id, id FROM profiles;
INSERT INTO posting_schedule (id, profile_id, plan_id, due_at)
SELECT id, id, {plan}, '2026-11-17 15:30+00' FROM profiles;
INSERT INTO tweets (id, profile_id, text, slot_id) SELECT id, id, handle, {other} FROM profiles;
INSERT INTO tweets (profile_id, text, thread_id, part)
SELECT id, 'a part', {other}, 1 + ascii(handle) FROM profiles;
INSERT INTO api_calls (profile_id, tweet_id, api, kind, endpoint, units, cost_usd, at)
SELECT id, {other}, 'twitter', 'post', 'x', 1, 0.015, '2026-11-17 15:30+00' FROM profiles;
INSERT INTO decisions (profile_id, slot_id, tweet_id, at, last_at, kind, verdict, reason)
SELECT id, {other}, {other}, now(), now(), 'post', 'x', 'x' FROM profiles;
INSERT INTO decisions (tweet_id, at, last_at, kind, verdict, reason)
SELECT id, now(), now(), 'post', 'x', 'nobody' FROM profiles WHERE handle = 'bob';
"""
REFERENCES = """
SELECT 'posting_schedule.plan_id', array_agg(plan_id ORDER BY profile_id) FROM posting_schedule
UNION ALL SELECT 'tweets.slot_id', array_agg(slot_id ORDER BY profile_id) FROM tweets WHERE part = 1
UNION ALL SELECT 'tweets.thread_id', array_agg(thread_id ORDER BY profile_id) FROM tweets WHERE part > 1
UNION ALL SELECT 'api_calls.tweet_id', array_agg(tweet_id ORDER BY profile_id) FROM api_calls
UNION ALL SELECT 'decisions.slot_id', array_agg(slot_id ORDER BY profile_id) FROM decisions
UNION ALL SELECT 'decisions.tweet_id', array_agg(tweet_id ORDER BY profile_id) FROM decisions
"""
ADA = UUID("a0000000-0000-4000-8000-000000000000")


def test_rows_stay_and_references_to_another_profile_are_emptied_aloud(
    platform: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade(platform, "0001")
    with platform.engine.begin() as connection:
        first = portrait(connection, EVERYTHING)
        connection.exec_driver_sql(FIRST_ROWS.format(plan=f"'{ADA}'", other=f"'{ADA}'"))
        written = counts(connection)

    upgrade(platform, "head")

    with platform.engine.begin() as connection:
        # Two posts of a day, of no known app.
        assert counts(connection) == written | {"app_usage": 1}
        assert connection.execute(text("SELECT app, tweets_posted FROM app_usage")).all() == [("", 2)]
        left = {name: [one for one in ids if one] for name, ids in connection.execute(text(REFERENCES))}
        assert [(name, ids) for name, ids in left.items() if ids != [ADA]] == []
        assert connection.scalar(text("SELECT tweets_posted FROM api_usage_tracking")) == 2
    notices = [one.getMessage() for one in caplog.records if "another profile's row" in one.getMessage()]
    assert len(notices) == len(left)
    assert "tweets.slot_id named another profile's row 1 times; it is empty there now" in notices

    downgrade(platform, "0001")
    with platform.engine.begin() as connection:
        assert portrait(connection, EVERYTHING) == first
        assert counts(connection) == written
    caplog.clear()
    upgrade(platform, "head")
    assert "another profile's row" not in caplog.text


def test_a_profile_that_the_bot_may_not_have_made_is_pointed_out(
    platform: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade(platform, "0001")
    with platform.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            INSERT INTO profiles (auth_user_id, handle, x_user_id)
            VALUES (gen_random_uuid(), 'asked', '1'), (gen_random_uuid(), 'planted', '2'),
                   (gen_random_uuid(), 'nameless', NULL);
            INSERT INTO api_calls (profile_id, api, kind, endpoint, units, cost_usd, state, at)
            SELECT id, 'twitter', 'read', 'GET /2/users/me', 1, 0.01, 'settled', now()
              FROM profiles WHERE handle = 'asked';
            """
        )

    upgrade(platform, "head")

    (told,) = [one.getMessage() for one in caplog.records if "never asked X" in one.getMessage()]
    assert "@planted" in told


def counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has, of those that are there and not empty."""
    present = set(inspect(connection).get_table_names()) & set(METADATA.tables)
    found = {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in present}
    return {table: count for table, count in found.items() if count}


def test_a_worker_half_way_through_a_transaction_is_waited_for_and_not_held_up(
    platform: DatabaseManager,
) -> None:
    upgrade(platform, "0001")
    with ThreadPoolExecutor(1) as threads, platform.engine.connect() as worker:
        worker.begin()
        worker.execute(text("SELECT * FROM tweets"))
        migrating = threads.submit(upgrade, platform, "head")
        eventually(lambda: sleeps_between_tries(platform))
        # In the other order than the migration's: held tables would wait for each other.
        worker.execute(text("INSERT INTO profiles (auth_user_id, handle) VALUES (gen_random_uuid(), 'ada')"))
        worker.execute(text("SELECT * FROM decisions, plans, posting_schedule"))
        worker.commit()
        migrating.result(timeout=60)

    assert revision(platform) == HEAD


def sleeps_between_tries(manager: DatabaseManager) -> bool:
    with manager.engine.connect() as connection:
        return bool(
            connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event = 'PgSleep'"
                )
            )
        )


def test_an_owner_that_may_make_no_roles_gets_the_same_schema_and_a_working_bot(
    own_server: OwnServer, manager: DatabaseManager
) -> None:
    admin(own_server.url, "CREATE ROLE plain LOGIN", "CREATE DATABASE plain OWNER plain")
    plain = DatabaseManager(own_server.url.set(database="plain", username="plain"))
    migrate(plain)
    with plain.engine.connect() as connection:
        roles = connection.scalars(text("SELECT rolname FROM pg_roles WHERE rolname = 'authenticated'")).all()
        found = portrait(connection, EVERYTHING)
    with manager.engine.connect() as connection:
        assert found == portrait(connection, EVERYTHING)
    assert roles == []
    with plain.transaction() as tx:
        one_row_everywhere(tx, "ada")
        tx.connection.execute(text("SELECT track_twitter_usage(2, 10)"))
    with plain.transaction() as tx:
        profile = tx.profiles.all()[0]
    assert usage_of(plain, profile, NOW).posts_month == 3
    plain.close()


def test_a_role_that_owns_nothing_works_with_grants_and_bypassrls(
    manager: DatabaseManager, database_url: URL
) -> None:
    name = f"worker_{uuid4().hex[:12]}"
    admin(
        database_url,
        f"CREATE ROLE {name} LOGIN BYPASSRLS",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}",
    )
    worker = DatabaseManager(database_url.set(username=name))
    require_head(worker)
    with worker.transaction() as tx:
        one_row_everywhere(tx, "ada")
    with manager.transaction() as tx:
        profile = tx.profiles.all()[0]
    assert usage_of(worker, profile, NOW).posts_month == 1
    worker.close()
    admin(database_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_down_to_base_works_with_rows_in_the_tables(manager: DatabaseManager, database_url: URL) -> None:
    with manager.transaction() as tx:
        profile = tx.profiles.create(handle="ada", x_user_id=None, timezone="UTC", mode="auto")
        tx.plans.start(profile.id, posts_per_day=4)
        tx.connection.execute(text("SELECT track_twitter_usage(2, 10)"))

    downgrade(manager, "base")

    assert ours(database_url) == set()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_the_alembic_command_takes_database_url(empty_url: URL, scheme: str) -> None:
    done = alembic_command(empty_url, scheme)
    _, err = done.communicate(timeout=60)

    assert done.returncode == 0, err
    with plain_connection(empty_url) as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD


def test_two_releases_at_once_both_succeed(empty_url: URL) -> None:
    both = [alembic_command(empty_url) for _ in range(2)]
    ends = [(one.communicate(timeout=60)[1], one.returncode) for one in both]

    assert [code for _, code in ends] == [0, 0], ends
    with plain_connection(empty_url) as connection:
        assert connection.scalars(text("SELECT version_num FROM alembic_version")).all() == [HEAD]


def test_a_release_without_a_server_shows_no_password(tmp_path: Path) -> None:
    nowhere = URL.create("postgresql", "ada", "hunter2hunter2", database="bot", query={"host": str(tmp_path)})
    done = alembic_command(nowhere)
    out, err = done.communicate(timeout=60)

    assert done.returncode != 0
    assert "hunter2hunter2" not in out + err


def test_head_is_alembics_head() -> None:
    script = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))

    assert script.get_heads() == [HEAD]


def test_alembic_finds_no_difference_from_the_models(manager: DatabaseManager) -> None:
    with manager.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_tables_made_from_the_models_look_the_same_in_the_catalogue(
    manager: DatabaseManager, empty_url: URL
) -> None:
    from_models = DatabaseManager(empty_url)
    with from_models.engine.begin() as connection:
        METADATA.create_all(connection)
        expected = portrait(connection, PORTRAIT)
    from_models.close()

    with manager.engine.connect() as connection:
        found = portrait(connection, PORTRAIT)

    assert expected["enums"]
    key = "api_usage_tracking.id"
    assert expected["columns"].pop(key).startswith("bigint NOT NULL")
    assert found["columns"].pop(key).startswith("bigint NOT NULL")
    assert found == expected


def test_every_enum_has_exactly_the_models_values(manager: DatabaseManager) -> None:
    modelled: dict[str, list[str]] = defaultdict(list)
    for column in (column for table in METADATA.tables.values() for column in table.columns):
        values = getattr(column.type, "enums", None)
        if values:
            modelled[str(column.type.name)] = list(values)  # type: ignore[attr-defined]  # an Enum has a name

    with manager.engine.connect() as connection:
        rows = connection.execute(text(PORTRAIT["enums"]))
        assert {name: labels.split() for name, labels in rows} == dict(modelled)


def test_a_failed_migration_keeps_the_ones_before_it(empty_url: URL, tmp_path: Path) -> None:
    place = copied_migrations(tmp_path, "op.execute('CREATE TABLE half (id int)'); op.execute('SELECT 1/0')")
    done = alembic_command(empty_url, place=place)
    _, err = done.communicate(timeout=60)

    assert done.returncode != 0
    assert "division by zero" in err
    with plain_connection(empty_url) as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD
        assert connection.scalar(text("SELECT to_regclass('half')")) is None


def test_the_release_lock_holds_between_migrations_and_keeps_no_statement_short(
    empty_url: URL, tmp_path: Path
) -> None:
    held = "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted) AS held"
    seen = f"CREATE TABLE seen AS SELECT current_setting('statement_timeout') AS patience, {held}"
    place = copied_migrations(tmp_path, f'op.execute("{seen}")')
    done = alembic_command(empty_url, place=place)
    _, err = done.communicate(timeout=60)

    assert done.returncode == 0, err
    with plain_connection(empty_url) as connection:
        assert connection.execute(text("SELECT patience, held FROM seen")).one() == ("0", 1)


def test_alembic_needs_no_installed_bot_from_any_folder(empty_url: URL, tmp_path: Path) -> None:
    # -I -S take the editable install away; what is left are the libraries.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    start = "import sys; sys.path += sys.argv.pop(1).split(':'); from alembic.config import main; main()"
    for words in (["upgrade", "head"], ["check"], ["downgrade", "base"]):
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                start,
                ":".join(libraries),
                "-c",
                str(ROOT / "alembic.ini"),
                *words,
            ],
            cwd=tmp_path,
            env={**os.environ, "DATABASE_URL": empty_url.render_as_string(hide_password=False)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, text

from bot.store.base import Base
from bot.store.manager import DatabaseManager
from bot.store.schema import HEAD, migrate, revision
from tests.store.rows import ROOT, plain_connection

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
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
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


def alembic_command(url: URL, scheme: str = "postgresql") -> subprocess.Popen[str]:
    address = url.set(drivername=scheme).render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def downgrade(manager: DatabaseManager, target: str) -> None:
    config = Config(ROOT / "alembic.ini")
    with manager.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, target)
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


def test_down_to_base_works_with_rows_in_the_tables(manager: DatabaseManager, database_url: URL) -> None:
    with manager.transaction() as tx:
        profile = tx.profiles.create(handle="ada", x_user_id=None, timezone="UTC", mode="auto")
        tx.profiles.start_plan(profile.id, posts_per_day=4)
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
        assert compare_metadata(context, Base.metadata) == []


def test_tables_made_from_the_models_look_the_same_in_the_catalogue(
    manager: DatabaseManager, empty_url: URL
) -> None:
    from_models = DatabaseManager(empty_url)
    with from_models.engine.begin() as connection:
        Base.metadata.create_all(connection)
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
    for column in (column for table in Base.metadata.tables.values() for column in table.columns):
        values = getattr(column.type, "enums", None)
        if values:
            modelled[str(column.type.name)] = list(values)  # type: ignore[attr-defined]  # an Enum has a name

    with manager.engine.connect() as connection:
        rows = connection.execute(text(PORTRAIT["enums"]))
        assert {name: labels.split() for name, labels in rows} == dict(modelled)

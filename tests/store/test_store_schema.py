from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, text

from bot.core.errors import SchemaOutdated
from bot.store.manager import DatabaseManager
from bot.store.rows.base import METADATA
from bot.store.schema import (
    HEAD,
    UPSERT_TARGETS,
    migrations_folder,
    missing_constraints,
    missing_tables,
    require_head,
    revision,
)
from bot.store.troubles import upgrade_command
from tests.support.databases import admin


def test_a_migrated_database_lacks_nothing(manager: DatabaseManager) -> None:
    require_head(manager)

    assert missing_tables(manager) == []
    assert missing_constraints(manager) == []


def test_an_empty_database_has_no_revision_and_lacks_every_table(empty_url: URL) -> None:
    manager = DatabaseManager(empty_url)

    assert revision(manager) is None
    assert missing_tables(manager) == sorted(METADATA.tables)
    assert refusal(manager).line.endswith("has no tables yet - run: alembic upgrade head")
    manager.close()


def test_an_installed_package_names_the_settings_that_alembic_needs(tmp_path: Path) -> None:
    package = tmp_path / "site packages" / "bot"
    package.mkdir(parents=True)
    assert upgrade_command(package) == "alembic upgrade head"

    (package / "alembic.ini").touch()
    assert upgrade_command(package) == f"alembic -c '{package}/alembic.ini' upgrade head"


def refusal(manager: DatabaseManager) -> SchemaOutdated:
    with pytest.raises(SchemaOutdated) as caught:
        require_head(manager)
    return caught.value


def test_another_revision_is_named_with_the_one_that_is_needed(
    manager: DatabaseManager, database_url: URL
) -> None:
    admin(database_url, "UPDATE alembic_version SET version_num = '0000'")

    error = refusal(manager)

    assert "is at revision 0000" in str(error)
    assert f"needs {HEAD}" in str(error)
    assert error.fix == "run: alembic upgrade head"


@pytest.mark.parametrize("table", ["tweets", "api_usage_tracking", "messages"])
def test_a_renamed_table_is_missed(manager: DatabaseManager, database_url: URL, table: str) -> None:
    admin(database_url, f"ALTER TABLE {table} RENAME TO elsewhere")

    assert missing_tables(manager) == [table]


@pytest.mark.parametrize("table", sorted(UPSERT_TARGETS))
def test_a_dropped_unique_constraint_is_missed(
    manager: DatabaseManager, database_url: URL, table: str
) -> None:
    columns = ", ".join(UPSERT_TARGETS[table])
    with manager.engine.connect() as connection:
        name = connection.scalar(
            text(
                "SELECT conname FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) "
                "AND contype IN ('u', 'p') AND pg_get_constraintdef(oid) LIKE :columns"
            ),
            {"table": table, "columns": f"%({columns})"},
        )
    admin(database_url, f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    assert missing_constraints(manager) == [f"{table} ({columns})"]


def test_a_unique_index_serves_as_well_as_a_constraint(manager: DatabaseManager, database_url: URL) -> None:
    admin(
        database_url,
        "ALTER TABLE api_usage_tracking DROP CONSTRAINT uq_api_usage_tracking_date_api_type",
        "CREATE UNIQUE INDEX mended_by_hand ON api_usage_tracking (date, api_type)",
    )

    assert missing_constraints(manager) == []


def test_the_migrations_are_found_beside_the_package() -> None:
    assert (migrations_folder() / "alembic.ini").is_file()
    assert (migrations_folder() / "alembic" / "versions").is_dir()

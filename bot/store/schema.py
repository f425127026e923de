"""Whether the database has the schema that this version needs, and how it gets it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from bot.core.errors import SchemaOutdated
from bot.store import troubles
from bot.store.manager import DatabaseManager
from bot.store.rows.base import METADATA

# The newest migration; a test compares it with alembic's own head, so that commands which only
# look need not load alembic.
HEAD = "0018"
UPGRADE = f"run: {troubles.UPGRADE}"
_REVISION = text("SELECT version_num FROM alembic_version")

# What each `ON CONFLICT` in the store relies on; a test finds the upserts and compares.
UPSERT_TARGETS: dict[str, tuple[str, ...]] = {
    "api_usage_tracking": ("date", "api_type"),
    "app_usage": ("app", "date"),
    "bot_config": ("key",),
    "credentials": ("profile_id",),
    "leases": ("profile_id",),
    "posting_schedule": ("profile_id", "due_at"),
    "profiles": ("auth_user_id",),
    "rate_windows": ("profile_id", "endpoint", "name"),
    "workers": ("holder",),
}


def revision(manager: DatabaseManager) -> str | None:
    """The schema's revision, None before the first migration.

    Raises:
        DatabaseUnavailable: there is no answer.
    """
    with manager.translated(), manager.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(_REVISION)
        if found is None:
            # No row is there, or this role may not see it: then it hears so.
            connection.execute(text("SET LOCAL row_security = off"))
            found = connection.scalar(_REVISION)
    return found


def require_head(manager: DatabaseManager) -> None:
    """Stops a command that needs a newer or older schema.

    Raises:
        SchemaOutdated: naming what was found and what is needed.
        DatabaseUnavailable: there is no answer.
    """
    found = revision(manager)
    if found == HEAD:
        return
    if found is None:
        raise SchemaOutdated(f"the database at {manager.place} has no tables yet", fix=UPGRADE)
    raise SchemaOutdated(
        f"the schema at {manager.place} is at revision {found}, and this version needs {HEAD}", fix=UPGRADE
    )


def missing_tables(manager: DatabaseManager) -> Sequence[str]:
    """Tables that the bot uses and the database lacks."""
    with manager.translated():
        present = set(inspect(manager.engine).get_table_names())
    return sorted(set(METADATA.tables) - present)


def missing_constraints(manager: DatabaseManager) -> Sequence[str]:
    """Upsert targets without a unique constraint or index behind them, as `table (columns)`."""
    with manager.translated():
        inspector = inspect(manager.engine)
        present = set(inspector.get_table_names())
        return [
            f"{table} ({', '.join(columns)})"
            for table, columns in UPSERT_TARGETS.items()
            if table in present and columns not in _unique_columns(manager.engine, table)
        ]


def _unique_columns(engine: Engine, table: str) -> set[tuple[str, ...]]:
    inspector = inspect(engine)
    found = {tuple(inspector.get_pk_constraint(table)["constrained_columns"])}
    found |= {tuple(one["column_names"]) for one in inspector.get_unique_constraints(table)}
    found |= {
        tuple(name for name in one["column_names"] if name)
        for one in inspector.get_indexes(table)
        if one["unique"] and not one.get("dialect_options", {}).get("postgresql_where")
    }
    return found


def migrate(manager: DatabaseManager) -> None:
    """Brings the schema to the newest revision (`alembic upgrade head`)."""
    from alembic import command
    from alembic.config import Config

    place = migrations_folder()
    config = Config(place / "alembic.ini")
    with manager.translated(), manager.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def migrations_folder() -> Path:
    """Where `alembic.ini` is: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parents[1]
    return next(place for place in (package.parent, package) if (place / "alembic.ini").is_file())

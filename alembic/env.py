"""How alembic reaches the database: the bot's own settings, or the connection it was handed."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from bot.store.base import Base
from bot.store.connect import create_engine_for

# Two releases at once wait for each other here instead of racing to create the same table.
MIGRATION_LOCK = 7_305_991_204


def run(connection: Connection) -> None:
    """Runs the migrations in one transaction, one process at a time."""
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        # A migration may take longer than any statement of a tick.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        context.run_migrations()


def main() -> None:
    """Uses the connection in the configuration's attributes, else `DATABASE_URL`."""
    handed: Connection | None = context.config.attributes.get("connection")
    if handed is not None:
        run(handed)
        return
    from bot.bootstrap import release_database_url

    engine = create_engine_for(release_database_url())
    with engine.connect() as connection:
        run(connection)
        connection.commit()
    engine.dispose()


main()

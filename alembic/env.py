"""How alembic reaches the database: the bot's own settings, or the connection it was handed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

# In a checkout the bot lies beside this folder and need not be installed; a wheel carries this folder
# inside the bot. alembic.ini's prepend_sys_path can't tell the two apart.
ROOT = Path(__file__).resolve().parents[1]
if (ROOT / "bot").is_dir():
    sys.path.insert(0, str(ROOT))

# Two releases at once wait for each other here instead of racing to create the same table.
MIGRATION_LOCK = 7_305_991_204


def run(connection: Connection) -> None:
    """Runs each migration in a transaction of its own, one process at a time."""
    from bot.store.connect import MIGRATES
    from bot.store.rows.base import METADATA

    connection.execution_options(**{MIGRATES: True})
    context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=True)
    with (
        connection.engine.connect() as beside,
        _alone(beside.execution_options(**{MIGRATES: True})),
        context.begin_transaction(),
    ):
        context.run_migrations()


@contextmanager
def _alone(beside: Connection) -> Iterator[None]:
    """Holds the lock in a transaction beside the migrations' own: it outlasts theirs.

    A transaction pooler would leave a session's lock with somebody else.
    """
    with beside.begin():
        beside.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        yield


def main() -> None:
    """Uses the connection in the configuration's attributes, else `DATABASE_URL`.

    Raises:
        CommandError: there is no database to work on; alembic tells it in one line.
    """
    handed: Connection | None = context.config.attributes.get("connection")
    if handed is not None:
        run(handed)
        return
    from bot.bootstrap import release_database_url
    from bot.core.errors import BotError
    from bot.store.manager import DatabaseManager

    try:
        manager = DatabaseManager(release_database_url())
        manager.ping()
    except BotError as error:
        raise CommandError(error.line) from error
    with manager.engine.connect() as connection:
        run(connection)
        connection.commit()
    manager.close()


main()

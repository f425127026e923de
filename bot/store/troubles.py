"""What PostgreSQL's own codes of trouble mean for whoever runs the bot."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

import psycopg


class Trouble(NamedTuple):
    """What is wrong with a database that answers, and what to do."""

    what: str
    fix: str


_BUSY = Trouble(
    "is busy", "nothing: what failed is tried again; if it stays so, see pg_stat_activity for why"
)
READ_ONLY = Trouble(
    "is read-only",
    "let DATABASE_URL name the primary, or turn default_transaction_read_only off for the bot's role",
)
_FULL = Trouble("has no room left", "free space on its disk or give it a larger one")
_CROWDED = Trouble(
    "takes no more connections", "close other clients, raise max_connections, or put a pooler in between"
)

_ENDED = Trouble("ended the connection", "nothing where it is tried again; else start the command once more")
# A prepared statement says so once, and is planned anew.
_CHANGED = Trouble("was changed meanwhile", "nothing: what failed is tried again")

_BY_CODE = {
    psycopg.errors.FeatureNotSupported.sqlstate: _CHANGED,
    psycopg.errors.ReadOnlySqlTransaction.sqlstate: READ_ONLY,
    psycopg.errors.AdminShutdown.sqlstate: _ENDED,
    psycopg.errors.CrashShutdown.sqlstate: _ENDED,
    psycopg.errors.DiskFull.sqlstate: _FULL,
    psycopg.errors.TooManyConnections.sqlstate: _CROWDED,
    psycopg.errors.QueryCanceled.sqlstate: _BUSY,
    psycopg.errors.LockNotAvailable.sqlstate: _BUSY,
    psycopg.errors.DeadlockDetected.sqlstate: _BUSY,
    psycopg.errors.SerializationFailure.sqlstate: _BUSY,
    psycopg.errors.IdleInTransactionSessionTimeout.sqlstate: _BUSY,
}
# libpq gives errors of connecting no code, so their words have to do.
_BY_WORDS = {
    "too many clients": _CROWDED,
    "too many connections": _CROWDED,
    "remaining connection slots": _CROWDED,
    "no more connections allowed": _CROWDED,
}


def upgrade_command(package: Path) -> str:
    """What brings the schema up to date: an installed package carries the settings that alembic looks for.

    Args:
        package: where the bot's modules lie.
    """
    own = package / "alembic.ini"
    return f"alembic -c {shlex.quote(str(own))} upgrade head" if own.exists() else "alembic upgrade head"


UPGRADE = upgrade_command(Path(__file__).resolve().parents[1])


def trouble(cause: BaseException) -> Trouble | None:
    """What the driver's error means; None when nothing is known of it."""
    code = getattr(cause, "sqlstate", None)
    if code is not None:
        return _BY_CODE.get(code)
    said = str(cause)
    return next((meant for words, meant in _BY_WORDS.items() if words in said), None)

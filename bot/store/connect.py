"""How a database address becomes a SQLAlchemy engine that also works behind transaction poolers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from bot.core.errors import DatabaseUnavailable, SettingError
from bot.store.odd_rows import remember_statements

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_MS = 10_000
# How often a statement runs on a connection before it is prepared there: planning the larger ones
# takes longer than running them.
PREPARED_AFTER = 2
# A connection that a network forgot in silence is known for dead within half a minute; by itself
# the system would wait a quarter of an hour, and the worker with it.
LIVENESS = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
LOCK_TIMEOUT_MS = 8_000
BOUNDS = (
    f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS};"
    f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS};"
    f"SET LOCAL idle_in_transaction_session_timeout = {3 * STATEMENT_TIMEOUT_MS}"
)
# Who has waited for a lock must see what its holder wrote: under a stricter isolation, which a server,
# database or role may make its own default, all would go by how things were before they waited.
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
# What a server, database or role may have set otherwise, as the session says it: the only way of writing
# moments that the driver reads, and backslashes that stand for themselves.
NEEDED = {"DateStyle": "ISO", "standard_conforming_strings": "on"}
# A connection's execution option for a migration, which may take longer than any statement of a tick.
MIGRATES = "migrates"
PATIENCE = (
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s';"
    "SET LOCAL idle_in_transaction_session_timeout = 0"
)


def parse_url(address: str) -> URL:
    """Reads `postgres://`, `postgresql://` and `postgresql+psycopg://` addresses.

    Raises:
        SettingError: it is none of these, or not an address at all. The message names no password.
    """
    try:
        url = make_url(address.strip())
    except (ArgumentError, ValueError) as error:
        raise SettingError(
            "DATABASE_URL can't be read as an address",
            fix="give postgresql://USER:PASSWORD@HOST:5432/DATABASE",
        ) from error
    if url.drivername not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise SettingError(
            f"DATABASE_URL starts with {url.drivername}://, and the bot runs on PostgreSQL only",
            fix="give postgresql://USER:PASSWORD@HOST:5432/DATABASE",
        )
    # Supabase's copied addresses carry hints for another client library.
    return url.set(drivername="postgresql+psycopg").difference_update_query(
        ["pgbouncer", "connection_limit", "pool_timeout"]
    )


def create_engine_for(url: URL, *, pool_size: int = 5) -> Engine:
    """Makes the engine: pooled, with timeouts, and with prepared statements where nothing stands between.

    Prepared statements and session settings don't survive a transaction pooler, so the first are
    off behind any pooler and the second are set for each transaction.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        pool_recycle=1800,
        hide_parameters=True,
        connect_args={
            "prepare_threshold": None,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "client_encoding": "utf8",
            **LIVENESS,
        },
    )

    remember_statements(engine)

    # Before SQLAlchemy's own first look, which can't read what such a database says.
    @event.listens_for(engine, "connect", insert=True)
    def _require_utf8(connection: psycopg.Connection[Any], _record: object) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in {None, "UTF8"}:
            connection.close()
            raise DatabaseUnavailable(
                f"the database {url.database} is encoded in {encoding}, and posts need UTF8",
                fix=f"make it anew: createdb -E UTF8 -T template0 {url.database}",
            )

    @event.listens_for(engine, "connect")
    def _prepare_where_it_lasts(connection: psycopg.Connection[Any], _record: object) -> None:
        # The driver would begin each transaction by a way to the server of its own.
        connection.autocommit = True
        if _is_direct(connection):
            connection.prepare_threshold = PREPARED_AFTER

    @event.listens_for(engine, "begin")
    def _begin_within_bounds(connection: Connection) -> None:
        patient = connection.get_execution_options().get(MIGRATES)
        bounds = PATIENCE if patient else BOUNDS
        connection.exec_driver_sql(";".join((BEGIN, bounds, *_set_otherwise(connection))))

    return engine


def _is_direct(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server itself is at the other end: a pooler greets with a number of its own making."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        said = cursor.fetchone()
    return said == (connection.info.backend_pid,)


def _set_otherwise(connection: Connection) -> Iterator[str]:
    """Sets right what the session has otherwise than it is needed; the server tells when that changes."""
    driver: Any = connection.connection.dbapi_connection
    for name, needed in NEEDED.items():
        value = driver.info.parameter_status(name)
        if value is not None and not value.startswith(needed):
            yield f"SET LOCAL {name} = {needed}"

"""The one way to the rows: pool, transactions, health, and errors in the bot's own words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property

import psycopg
from sqlalchemy import URL, Connection, Engine, RootTransaction, exc
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from bot.core.errors import BotError, DatabaseUnavailable, SchemaOutdated
from bot.ports import Database, Transaction
from bot.store.connect import create_engine_for
from bot.store.credentials import CredentialTable
from bot.store.decisions import DecisionTable
from bot.store.due_work import DueWorkTable
from bot.store.leases import LeaseTable
from bot.store.ledger import LedgerTable
from bot.store.odd_rows import odd_rows_named
from bot.store.plans import PlanTable
from bot.store.profiles import ConfigTable, ProfileTable
from bot.store.rates import RateTable
from bot.store.sending import SendingTable
from bot.store.slots import SlotTable
from bot.store.troubles import READ_ONLY, UPGRADE, trouble
from bot.store.tweets import TweetTable
from bot.store.workers import WorkerTable

CONNECT_ATTEMPTS = 3


@dataclass(frozen=True)
class StoreTransaction(Transaction):
    """Every table, on one connection in one transaction."""

    connection: Connection

    @cached_property
    def profiles(self) -> ProfileTable:
        """Accounts."""
        return ProfileTable(self.connection)

    @cached_property
    def plans(self) -> PlanTable:
        """What they post about, and how often."""
        return PlanTable(self.connection)

    @cached_property
    def slots(self) -> SlotTable:
        """The posting schedule."""
        return SlotTable(self.connection)

    @cached_property
    def tweets(self) -> TweetTable:
        """Tweets from draft to live."""
        return TweetTable(self.connection)

    @cached_property
    def sending(self) -> SendingTable:
        """Posts that are ready, sent and made, many at a time."""
        return SendingTable(self.connection)

    @cached_property
    def ledger(self) -> LedgerTable:
        """What was spent."""
        return LedgerTable(self.connection)

    @cached_property
    def rates(self) -> RateTable:
        """What X's own headers and refusals last said."""
        return RateTable(self.connection)

    @cached_property
    def leases(self) -> LeaseTable:
        """One writer a profile."""
        return LeaseTable(self.connection)

    @cached_property
    def decisions(self) -> DecisionTable:
        """Why."""
        return DecisionTable(self.connection)

    @cached_property
    def due_work(self) -> DueWorkTable:
        """Whose work is due."""
        return DueWorkTable(self.connection)

    @cached_property
    def workers(self) -> WorkerTable:
        """Which workers live."""
        return WorkerTable(self.connection)

    @cached_property
    def config(self) -> ConfigTable:
        """Settings that an operator changes at run time."""
        return ConfigTable(self.connection)

    @cached_property
    def credentials(self) -> CredentialTable:
        """Profiles' own keys, encrypted."""
        return CredentialTable(self.connection)


class DatabaseManager(Database):
    """The data layer. Nothing in the bot reaches PostgreSQL but through it.

    A connection is tried again when none could be had: nothing has happened then. A transaction
    is never repeated on its own, because one that failed at its commit may have been kept.

    Attributes:
        spent_ms: milliseconds spent inside transactions so far.
    """

    def __init__(self, url: URL, *, pool_size: int = 5) -> None:
        self._engine = create_engine_for(url, pool_size=pool_size)
        self.spent_ms = 0.0
        self._place = f"{url.host or url.query.get('host', 'localhost')}/{url.database}"

    @property
    def engine(self) -> Engine:
        """For schema checks and migrations."""
        return self._engine

    @property
    def place(self) -> str:
        """Host and database, without user and password."""
        return self._place

    @contextmanager
    def transaction(self) -> Iterator[StoreTransaction]:
        """Begins a transaction; commits at the end of the block, rolls back when it raises.

        Raises:
            DatabaseUnavailable: the server can't be reached, or went away.
            SchemaOutdated: a table or column is missing.
            RowUnreadable: a row holds a moment or an amount that is none.
        """
        begun = time.perf_counter()
        try:
            with self.translated():
                connection, transaction = self._begin()
                with connection, transaction, odd_rows_named(connection):
                    yield StoreTransaction(connection)
        finally:
            self.spent_ms += (time.perf_counter() - begun) * 1000

    def ping(self) -> float:
        """Milliseconds that the smallest transaction takes.

        Raises:
            DatabaseUnavailable: there is no answer.
        """
        with self.translated():
            connection, transaction = self._begin()
            with connection, transaction:
                begun = time.perf_counter()
                connection.exec_driver_sql("SELECT 1")
                return (time.perf_counter() - begun) * 1000

    def require_writable(self) -> None:
        """Finds out without writing.

        Raises:
            DatabaseUnavailable: the server is a standby, or its transactions are read-only.
        """
        with self.transaction() as tx:
            said = tx.connection.exec_driver_sql("SHOW transaction_read_only").scalar_one()
        if said == "on":
            raise DatabaseUnavailable(f"the database at {self._place} {READ_ONLY.what}", fix=READ_ONLY.fix)

    def close(self) -> None:
        """Gives every connection back."""
        self._engine.dispose()

    def _begin(self) -> tuple[Connection, RootTransaction]:
        """A transaction whose first words, its bounds, were answered.

        A connection that the server has dropped meanwhile shows it here, where all can be tried
        again, so that none has to be asked whether it still stands.
        """
        for _ in range(CONNECT_ATTEMPTS - 1):
            with suppress(_NothingHappened):
                return self._try_to_begin()
        try:
            return self._try_to_begin()
        except _NothingHappened as error:
            raise error.cause from None

    def _try_to_begin(self) -> tuple[Connection, RootTransaction]:
        connection = None
        try:
            connection = self._engine.connect()
            return connection, connection.begin()
        except DBAPIError as error:
            if connection is not None:
                connection.close()
            if error.connection_invalidated or _is_transient(error):
                raise _NothingHappened(error) from error
            raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns the driver's errors into the bot's."""
        try:
            yield
        except ProgrammingError as error:
            raise _in_our_words(error, self._place) from error
        except (OperationalError, InterfaceError, exc.TimeoutError) as error:
            raise unavailable(error, self._place) from error
        except DBAPIError as error:
            if error.connection_invalidated or (error.orig and trouble(error.orig)):
                raise unavailable(error, self._place) from error
            raise


def unavailable(error: Exception, place: str) -> DatabaseUnavailable:
    """The database's absence or trouble as one line, without user or password."""
    cause = getattr(error, "orig", None) or error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    known = trouble(cause)
    if known is not None:
        return DatabaseUnavailable(f"the database at {place} {known.what}: {first}", fix=known.fix)
    return DatabaseUnavailable(
        f"the database at {place} does not answer: {first}",
        fix="start it, or correct DATABASE_URL",
    )


class _NothingHappened(Exception):
    """A transaction did not begin, and another try may."""

    def __init__(self, cause: DBAPIError) -> None:
        self.cause = cause
        super().__init__(str(cause))


def _is_transient(error: DBAPIError) -> bool:
    # A wrong password or a missing database stays wrong; a refused connection may pass. libpq gives
    # errors of connecting no code, so its words have to do.
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    said = str(error.orig)
    return "authentication failed" not in said and "does not exist" not in said


def _in_our_words(error: ProgrammingError, place: str) -> BotError:
    cause = error.orig
    first = str(cause).strip().splitlines()[0]
    if isinstance(
        cause,
        (
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedColumn,
            psycopg.errors.UndefinedObject,
            psycopg.errors.UndefinedFunction,
            psycopg.errors.InvalidColumnReference,
        ),
    ):
        return SchemaOutdated(f"the schema at {place} is not whole: {first}", fix=f"run: {UPGRADE}")
    fix = ""
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        fix = "grant the bot's role its rights"
    elif "connection option" in first:
        fix = "take the option out of DATABASE_URL"
    return DatabaseUnavailable(f"the database at {place} refuses: {first}", fix=fix)

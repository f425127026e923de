"""Rows that came before the rules against them, or past them: named, with the way to find them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DataError

from bot.core.errors import RowUnreadable
from bot.store.rows.base import EARLIEST, LATEST, METADATA, Amount, Moment, OddValue

_LAST = "last_statement"
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(\w+)")


def remember_statements(engine: Engine) -> None:
    """Has each connection know its last statement: the driver's errors don't tell whose rows they mean."""

    @event.listens_for(engine, "before_cursor_execute")
    def _remember(
        connection: Connection, _cursor: Any, statement: str, _values: Any, _context: Any, _many: bool
    ) -> None:
        connection.info[_LAST] = statement


@contextmanager
def odd_rows_named(connection: Connection) -> Iterator[None]:
    """Turns a value that can't be read, or weighed, into an error that names its table.

    Raises:
        RowUnreadable: with a query that finds the row.
    """
    try:
        yield
    except (OddValue, DataError, OverflowError) as error:
        cause = getattr(error, "orig", None) or error
        first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        named = error.table if isinstance(error, OddValue) else None
        names = [named] if named else _TABLE.findall(connection.info.get(_LAST, ""))
        table = next((name for name in names if name in METADATA.tables), None)
        if table is None:
            raise RowUnreadable(f"a row holds what can't be read: {first}") from error
        raise RowUnreadable(
            f"the table {table} holds what can't be read: {first}",
            fix=f"correct or delete what this finds: {_query(table)}",
        ) from error


def _query(table: str) -> str:
    columns = METADATA.tables[table].columns
    moments = ", ".join(one.name for one in columns if isinstance(one.type, Moment))
    amounts = ", ".join(one.name for one in columns if isinstance(one.type, Amount))
    odd = f"least({moments}) < '{EARLIEST:%Y-%m-%d}' OR greatest({moments}) >= '{LATEST:%Y-%m-%d}'"
    if amounts:
        odd += f" OR greatest({amounts}) >= 'Infinity'"
    return f"SELECT * FROM {table} WHERE {odd}"  # noqa: S608 - for a person to run, of the models' own names

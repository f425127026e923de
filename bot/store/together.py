"""Several selects as one statement, which takes one way to the server and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection, Enum, Numeric, ScalarSelect, Text, Uuid, cast, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import TypeEngine

from bot.store.constants import with_constants
from bot.store.rows.base import METADATA, Amount, Moment, OddValue

_FROM = re.compile(r"\bFROM\s+(\w+)")
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own

Rows = Sequence[Mapping[str, Any]]


class Together:
    """Selects that are answered by one statement, each with rows of its own.

    The server hands a select's rows over as one JSON array; here each value becomes again what its
    column's type says.

    Args:
        selects: what is asked, by name.
    """

    def __init__(self, **selects: SelectBase) -> None:
        self._asked = {name: _Asked.of(one) for name, one in selects.items()}
        self._statement = with_constants(
            select(*(_as_json(one).label(name) for name, one in selects.items()))
        )

    def read(self, connection: Connection, values: Mapping[str, Any]) -> Mapping[str, Rows]:
        """The rows of each select.

        Raises:
            OddValue: a value is none that its column may hold; it names the table.
        """
        told = connection.execute(self._statement, dict(values)).mappings().one()
        return {name: asked.rows(told[name]) for name, asked in self._asked.items()}


@dataclass(frozen=True)
class _Asked:
    """The first of the bot's tables that a select reads, and what makes a value of each column."""

    table: str | None
    readers: Mapping[str, Callable[[Any], Any]]

    @classmethod
    def of(cls, asked: SelectBase) -> Self:
        table = next((name for name in _FROM.findall(str(asked)) if name in METADATA.tables), None)
        return cls(table, {str(one.key): _reader(one.type) for one in asked.selected_columns})

    def rows(self, told: Sequence[Sequence[Any]]) -> Rows:
        try:
            return [
                {
                    name: None if value is None else read(value)
                    for (name, read), value in zip(self.readers.items(), row, strict=True)
                }
                for row in told
            ]
        except (ValueError, InvalidOperation) as error:
            raise OddValue(str(error), table=self.table) from error


def _as_json(asked: SelectBase) -> ScalarSelect[Any]:
    rows = asked.subquery()
    # As text, a figure keeps every digit.
    values = [cast(one, Text) if isinstance(one.type, Numeric | Amount) else one for one in rows.c]
    all_rows = func.coalesce(func.json_agg(func.json_build_array(*values)), func.json_build_array())
    return select(all_rows).scalar_subquery()


def _reader(kind: TypeEngine[Any]) -> Callable[[Any], Any]:
    """What makes of a value in JSON what the column's type says."""
    if isinstance(kind, Moment):
        return lambda said: kind.process_result_value(datetime.fromisoformat(said), _DIALECT)
    if isinstance(kind, Amount):
        return lambda said: kind.process_result_value(Decimal(said), _DIALECT)
    if isinstance(kind, Numeric):
        return Decimal
    if isinstance(kind, Uuid):
        return UUID
    if isinstance(kind, Enum) and kind.enum_class is not None:
        return kind.enum_class
    return _as_it_is


def _as_it_is(said: Any) -> Any:
    return said

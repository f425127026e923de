"""Rows that a statement is given when it is executed, however many: one array a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, column, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine


class GivenRows:
    """A statement's own rows.

    Args:
        types: each column's type, by its name.

    Attributes:
        table: what the statement selects from, or joins.
    """

    def __init__(self, **types: TypeEngine[Any]) -> None:
        self._names = tuple(types)
        arrays = (bindparam(f"given_{name}", type_=ARRAY(kind)) for name, kind in types.items())
        columns = (column(name, kind) for name, kind in types.items())
        self.table = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()

    def values(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """The rows, each with every column, as what the statement is executed with."""
        rows = list(rows)
        return {f"given_{name}": [row[name] for row in rows] for name in self._names}

    def of(self, records: Iterable[object]) -> dict[str, Any]:
        """The rows that records are, each with an attribute for every column."""
        records = list(records)
        return {f"given_{name}": [getattr(one, name) for one in records] for name in self._names}

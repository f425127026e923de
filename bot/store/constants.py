"""Statements whose constants stand in their text.

SQLAlchemy binds every value. One that never changes would be converted and sent anew with each
execution, much of what a long statement takes; and a planner that knows it finds more.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import BindParameter, ClauseElement, Select, literal_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.visitors import ExternallyTraversible, replacement_traverse

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


def with_constants(statement: Select[Any]) -> Select[Any]:
    """The statement with each value that it holds written out; what has only a name stays bound."""
    return cast("Select[Any]", replacement_traverse(statement, {}, _written_out))


def _written_out(element: ExternallyTraversible, **_: Any) -> ClauseElement | None:
    if not isinstance(element, BindParameter) or element.required or element.value is None:
        return None
    write = element.type.dialect_impl(_DIALECT).literal_processor(_DIALECT)
    if write is None:
        return None
    said = f"({', '.join(map(write, element.value))})" if element.expanding else write(element.value)
    return None if "%" in said else literal_column(said, element.type)

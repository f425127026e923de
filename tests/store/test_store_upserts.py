"""A unique constraint behind every ON CONFLICT of the source and of the SQL functions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.store.manager import DatabaseManager
from bot.store.rows import access, posting, spending
from bot.store.schema import UPSERT_TARGETS
from tests.store.rows import ROOT

IN_SQL = re.compile(
    r"INSERT\s+INTO\s+(\w+)(?:(?!INSERT\s+INTO).)*?ON\s+CONFLICT\s*\(([^)]*)\)", re.DOTALL | re.IGNORECASE
)
ANY_IN_SQL = re.compile(r"ON\s+CONFLICT", re.IGNORECASE)


@dataclass(frozen=True)
class Upsert:
    """`columns` is None where the statement names no target: any unique constraint of the table serves."""

    where: str
    table: str
    columns: tuple[str, ...] | None


def upserts_in(path: Path) -> Iterator[Upsert]:
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        conflicts = [call for call in calls if _called(call).startswith("on_conflict")]
        inserts = [call for call in calls if _called(call) == "upsert"]
        assert len(conflicts) <= len(inserts), f"{path.name}:{function.name}: which insert is it?"
        for conflict, insert in zip(conflicts, inserts, strict=False):
            yield Upsert(f"{path.name}:{function.name}", _table(insert), _target(conflict))


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _table(insert: ast.Call) -> str:
    row = insert.args[0]
    assert isinstance(row, ast.Name)
    room = next(room for room in (posting, spending, access) if hasattr(room, row.id))
    return str(getattr(room, row.id).name)


def _target(conflict: ast.Call) -> tuple[str, ...] | None:
    given = {one.arg: one.value for one in conflict.keywords}
    assert not conflict.args
    assert "constraint" not in given, "name the columns: an index serves as well as a constraint"
    elements = given.get("index_elements")
    if elements is None:
        assert _called(conflict) == "on_conflict_do_nothing"
        return None
    assert isinstance(elements, ast.List)
    return tuple(one.attr for one in elements.elts if isinstance(one, ast.Attribute))


UPSERTS = [found for path in sorted((ROOT / "bot" / "store").glob("*.py")) for found in upserts_in(path)]


def unique_columns(manager: DatabaseManager, table: str) -> list[tuple[str, ...]]:
    """What PostgreSQL itself would take as an arbiter: valid unique indexes without a condition."""
    with manager.engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT array(SELECT pg_get_indexdef(indexrelid, place, true) "
                "FROM generate_series(1, indnkeyatts) AS place) AS columns FROM pg_index "
                "WHERE indrelid = CAST(:table AS regclass) AND indisunique AND indisvalid "
                "AND indimmediate AND indpred IS NULL"
            ),
            {"table": table},
        )
        return [tuple(row.columns) for row in rows]


def test_the_walk_finds_the_upserts_that_are_there() -> None:
    source = "".join(path.read_text() for path in (ROOT / "bot" / "store").glob("*.py"))

    assert len(UPSERTS) == source.count(".on_conflict_do_") > 3


def test_nothing_but_the_store_writes_upserts() -> None:
    elsewhere = [
        path
        for path in (ROOT / "bot").rglob("*.py")
        if path.parent.name != "store"
        and ("on_conflict" in path.read_text() or ANY_IN_SQL.search(path.read_text()))
    ]

    assert elsewhere == []


@pytest.mark.parametrize("upsert", UPSERTS, ids=lambda one: one.where)
def test_an_upsert_has_its_unique_constraint(standing: DatabaseManager, upsert: Upsert) -> None:
    arbiters = unique_columns(standing, upsert.table)

    assert UPSERT_TARGETS[upsert.table] in arbiters
    assert upsert.columns is None or upsert.columns == UPSERT_TARGETS[upsert.table]


def test_an_upsert_in_an_sql_function_has_its_unique_constraint(standing: DatabaseManager) -> None:
    with standing.engine.connect() as connection:
        sources = connection.scalars(
            text("SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        ).all()
    found = [match for source in sources for match in IN_SQL.findall(source)]

    assert len(found) == sum(len(ANY_IN_SQL.findall(source)) for source in sources) > 0
    for table, columns in found:
        target = tuple(column.strip() for column in columns.split(","))
        assert target == UPSERT_TARGETS[table]
        assert target in unique_columns(standing, table)


def test_the_list_of_upserts_names_no_table_that_has_none(standing: DatabaseManager) -> None:
    with standing.engine.connect() as connection:
        sources = " ".join(
            connection.scalars(text("SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"))
        )

    in_functions = {table for table, _ in IN_SQL.findall(sources)}
    assert {upsert.table for upsert in UPSERTS} | in_functions == set(UPSERT_TARGETS)

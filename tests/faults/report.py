"""What the fault tests tell at the end of a run: the campaigns, and the matrix as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from tests.faults.cases import TIMELINE, Case, Cell, Form, Way

MATRIX_CELL = "fault_matrix_cell"
COLUMNS = (*(f"{form}/{way}" for form in Form for way in Way), TIMELINE)
CAMPAIGN = "fault_campaign"
Record = Callable[[str, object], None]


def told_of(case: Case, cell: Cell) -> dict[str, str]:
    """A cell of the table."""
    shown = f"{'WRONG ' if cell.problems else ''}{cell.end} {cell.seconds:.1f} s"
    return {"kind": case.kind, "column": case.column, "shown": shown}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the campaigns, and the matrix: how each struck tweet ended, and after how many seconds."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [told for report in reports for told in report.user_properties]
    campaigns = [str(value) for name, value in told if name == CAMPAIGN]
    cells = [value for name, value in told if name == MATRIX_CELL and isinstance(value, dict)]
    if campaigns or cells:
        terminalreporter.section("faults")
    for line in sorted(campaigns):
        terminalreporter.line(line)
    for line in _table(cells) if cells else ():
        terminalreporter.line(line)


def _table(cells: Sequence[Mapping[str, str]]) -> Iterator[str]:
    shown = {(cell["kind"], cell["column"]): cell["shown"] for cell in cells}
    columns = list(dict.fromkeys(column for column in COLUMNS if any(key[1] == column for key in shown)))
    rows = [["fault", *columns]]
    rows += [
        [kind, *(shown.get((kind, column), "") for column in columns)]
        for kind in sorted({key[0] for key in shown})
    ]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()

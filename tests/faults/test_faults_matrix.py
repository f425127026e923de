"""Whatever X does with a post, and whatever dies meanwhile: each text is live once, or never for a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.sandbox.faults import KINDS
from tests.faults.cases import CASES, CLOSED, REFUSED, Case, Cell, Form, Way
from tests.faults.report import MATRIX_CELL, Record


def test_no_fault_is_left_out() -> None:
    assert {case.kind for case in CASES} == set(KINDS)
    assert len(CASES) == len(KINDS) * len(Form) * len(Way)
    assert REFUSED.keys() | CLOSED.keys() <= set(KINDS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_text_is_live_once_or_never_for_a_reason(
    case: Case, play: Callable[[Case], Cell], record_property: Record
) -> None:
    about = {"kind": case.kind, "column": f"{case.form}/{case.way}"}
    cell = play(case)
    shown = f"{'WRONG ' if cell.problems else ''}{cell.end} {cell.seconds:.1f} s"
    record_property(MATRIX_CELL, about | {"shown": shown})
    assert cell.problems == ()

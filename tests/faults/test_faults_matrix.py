"""Whatever X does with a post, and whatever dies meanwhile: each text is live once, or never for a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.sandbox.faults import KINDS
from tests.faults.cases import CASES, CLOSED, REFUSED, Case, Cell, Form, Way
from tests.faults.report import MATRIX_CELL, Record, told_of


def test_no_fault_is_left_out() -> None:
    assert {case.kind for case in CASES} == set(KINDS)
    assert len(CASES) == len(KINDS) * len(Form) * len(Way)
    assert REFUSED.keys() | CLOSED.keys() <= set(KINDS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_text_is_live_once_or_never_for_a_reason(
    case: Case, play: Callable[[Case], Cell], record_property: Record
) -> None:
    cell = play(case)
    record_property(MATRIX_CELL, told_of(case, cell))
    assert cell.problems == ()

"""Whatever X does with a post, and whatever dies meanwhile: each text is live once, or never for a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import URL

from bot.sandbox.faults import KINDS
from tests.faults.cases import CASES, CLOSED, REFUSED, TIMELINE_CASES, Case, Cell, Form, Way
from tests.faults.report import MATRIX_CELL, Record, told_of
from tests.faults.rig import database
from tests.faults.streets import Street

Play = Callable[[Sequence[Case]], Street]


@pytest.fixture
def play(postgres_url: URL, template: str, tmp_path: Path, record_property: Record) -> Play:
    """Plays a column of the matrix; gives the street when it is over."""

    def played(cases: Sequence[Case]) -> Street:
        with ExitStack() as stack:
            url = stack.enter_context(database(postgres_url, template))
            street = Street(cases, tmp_path, url, stack)
            street.play()
        for case, cell in street.cells.items():
            record_property(MATRIX_CELL, told_of(case, cell))
        return street

    return played


def problems(cells: dict[Case, Cell]) -> dict[str, tuple[str, ...]]:
    return {case.kind: cell.problems for case, cell in cells.items() if cell.problems}


def test_no_fault_is_left_out() -> None:
    assert {case.kind for case in CASES} == {case.kind for case in TIMELINE_CASES} == set(KINDS)
    assert len(CASES) == len(KINDS) * len(Form) * len(Way)
    assert REFUSED.keys() | CLOSED.keys() <= set(KINDS)


@pytest.mark.long
@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("form", Form)
def test_each_text_is_live_once_or_never_for_a_reason(form: Form, way: Way, play: Play) -> None:
    street = play([case for case in CASES if (case.form, case.way) == (form, way)])

    assert problems(street.cells) == {}
    assert len(street.cells) == len(KINDS)


@pytest.mark.long
def test_a_live_post_is_not_sent_again_while_the_timeline_fails(play: Play) -> None:
    """A timeline that can't be read proves nothing."""
    street = play(TIMELINE_CASES)

    assert problems(street.cells) == {}
    assert {cell.end for cell in street.cells.values()} == {"adopted"}
    # Each text once, and once that of the account without trouble.
    assert street.heard == len(KINDS) + 1

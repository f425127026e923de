"""A timeline that can't be read proves nothing: a post that is live is never sent again because of it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.faults.cases import TIMELINE_CASES
from tests.faults.report import MATRIX_CELL, Record, told_of
from tests.faults.rig import database
from tests.faults.streets import Street


@pytest.mark.long
def test_a_live_post_is_not_sent_again_while_the_timeline_fails(
    postgres_url: URL, template: str, tmp_path: Path, record_property: Record
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(database(postgres_url, template))
        street = Street(TIMELINE_CASES, tmp_path, url, stack)
        cells = street.play()
        heard = street.rig.heard

    for case, cell in cells.items():
        record_property(MATRIX_CELL, told_of(case, cell))
    assert {case.kind: cell.problems for case, cell in cells.items() if cell.problems} == {}
    assert {cell.end for cell in cells.values()} == {"adopted"}
    # Each text once, and once that of the account without trouble.
    assert heard == len(TIMELINE_CASES) + 1

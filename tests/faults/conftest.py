"""Real servers, real processes, and X breaking in every way it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from bot.sandbox import Sandbox
from tests.faults.cases import CASES, Case, Cell
from tests.faults.rig import Rig, database
from tests.faults.streets import Board, play_street

NewRig = Callable[..., Rig]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves this folder out of what coverage counts: counting takes longer than the faults do."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture
def new_rig(postgres_url: URL, template: str, tmp_path: Path) -> Iterator[NewRig]:
    """Makes accounts of the test's own, each with a database and a sandbox."""
    with ExitStack() as stack:

        def make(**options: Any) -> Rig:
            knobs = {name: value for name, value in options.items() if name.isupper()}
            others = {name: value for name, value in options.items() if not name.isupper()}
            url = stack.enter_context(database(postgres_url, template))
            x = stack.enter_context(Sandbox())
            folder = tmp_path / url.database if url.database else tmp_path
            folder.mkdir()
            made = Rig(url=url, x=x, folder=folder, knobs=knobs, **others)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def rig(new_rig: NewRig) -> Rig:
    """One account with the usual knobs."""
    return new_rig()


@pytest.fixture(scope="session")
def play(
    request: pytest.FixtureRequest,
    postgres_url: URL,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Case], Cell]:
    """Gives a case's cell. Whoever asks first for one of a street plays all of it; the others wait."""
    wanted = [case for case in CASES if case in {_case(item) for item in request.session.items}]
    folder = tmp_path_factory.getbasetemp()
    alone = not hasattr(request.config, "workerinput")
    board = Board((folder if alone else folder.parent) / "fault-matrix")

    def cell(case: Case) -> Cell:
        name = f"{case.form}-{case.way}"
        if board.claim(name):
            cases = [one for one in wanted if (one.form, one.way) == (case.form, case.way)]
            home = tmp_path_factory.mktemp(name)
            play_street(
                cases, board=board, folder=home, new_database=lambda: database(postgres_url, template)
            )
        return board.read(case)

    return cell


def _case(item: pytest.Item) -> Case | None:
    """The case that a test stands for, if it stands for one."""
    spec = getattr(item, "callspec", None)
    return None if spec is None else spec.params.get("case")

"""Real servers, real processes, and X breaking in every way it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from bot.sandbox import Sandbox
from tests.faults.cases import CASES, Case, Cell, Form, Way
from tests.faults.lanes import Board, Lane
from tests.faults.rig import Rig, database

# In this order every second or third one is as much work as the others.
LANES = (
    (Form.SINGLE, Way.GOES_ON),
    (Form.THREAD, Way.GOES_ON),
    (Form.SINGLE, Way.SECOND),
    (Form.THREAD, Way.SECOND),
    (Form.THREAD, Way.KILLED),
    (Form.SINGLE, Way.KILLED),
)
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
) -> Iterator[Callable[[Case], Cell]]:
    """Gives a case's cell. Lanes run side by side, shared out over the processes of the run."""
    wanted = {_case(item) for item in request.session.items}
    worker = getattr(request.config, "workerinput", {"workerid": "gw0", "workercount": 1})
    own = LANES[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]
    folder = tmp_path_factory.getbasetemp()
    board = Board((folder if worker["workercount"] == 1 else folder.parent) / "fault-matrix")
    lanes: list[Lane] = []

    def new_database() -> AbstractContextManager[URL]:
        return database(postgres_url, template)

    def cell(case: Case) -> Cell:
        # Its own share at the first case; later only what no process has taken.
        for form, way in [*own, (case.form, case.way)]:
            cases = [one for one in CASES if one in wanted and (one.form, one.way) == (form, way)]
            if cases and board.claim(f"{form}-{way}"):
                home = tmp_path_factory.mktemp(f"{form}-{way}")
                lanes.append(Lane(cases, board=board, folder=home, new_database=new_database))
        return board.read(case)

    yield cell
    for lane in lanes:
        # Tests in other processes may wait for these lanes, unless the whole run ends.
        lane.join(stop=bool(request.session.shouldstop or request.session.shouldfail))


def _case(item: pytest.Item) -> Case | None:
    """The case that a test stands for, if it stands for one."""
    spec = getattr(item, "callspec", None)
    return None if spec is None else spec.params.get("case")

"""Real servers, real processes, and X breaking in every way it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from bot.sandbox import Sandbox
from tests.faults.rig import Rig, database

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

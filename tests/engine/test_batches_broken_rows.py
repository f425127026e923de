"""A row of a batch that can't be written: no other waits for it, is lost to it, or is sent again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from bot.core.model import Posted, Profile
from bot.core.posting.post import Post
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.batches import publish_ready
from bot.engine.posting.posting_engine import tick
from bot.store.manager import DatabaseManager
from tests.engine.town import Town
from tests.engine.world import ScriptedX
from tests.support import unwritable


@pytest.fixture
def town(manager: DatabaseManager) -> Iterator[Town]:
    made = Town(manager, profiles=3)
    for one in made.profiles:
        made.due(one, text_of(one))
    with manager.transaction() as tx:
        unwritable.install(tx.connection)
    yield made
    with manager.transaction() as tx:
        unwritable.remove(tx.connection)


def text_of(one: Profile) -> str:
    return f"Tide of {one.handle}"


def forbid(town: Town, one: Profile) -> None:
    with town.manager.transaction() as tx:
        unwritable.forbid(tx.connection, text_of(one))


def mend(town: Town) -> None:
    with town.manager.transaction() as tx:
        unwritable.allow_all(tx.connection)


@pytest.mark.parametrize("number", range(3))
def test_the_others_are_recorded_and_it_is_settled_once_it_can_be_written(town: Town, number: int) -> None:
    broken = town.profiles[number]
    forbid(town, broken)

    done = town.publish()

    assert done == {one.handle: None if one.id == broken.id else OutcomeKind.POSTED for one in town.profiles}
    assert ("batch_recorded_singly", {"posts": 3}) in town.log.events
    mend(town)
    tick(town.context_of(broken))
    assert {row.status for row in town.rows("SELECT status FROM tweets")} == {"posted"}
    assert [len(x.posts) for x in town.xs.values()] == [1, 1, 1]


@dataclass
class HeldX(ScriptedX):
    """Answers a post only once it may."""

    may: threading.Event | None = None

    def create_post(self, post: Post) -> Posted:
        assert self.may is not None
        assert self.may.wait(30)
        return super().create_post(post)


def test_a_call_under_way_is_waited_for_and_recorded(town: Town) -> None:
    broken, held, _ = town.profiles
    forbid(town, broken)
    may = threading.Event()
    town.xs[held.id] = HeldX(town.clock, x_user_id=held.x_user_id or "", first_id=5_000, may=may)

    done = {}
    with ThreadPoolExecutor(3) as calls:
        try:
            for context, outcome in publish_ready(town.engine.services, town.contexts, calls, at_once=3):
                done[context.profile.id] = outcome and outcome.kind
                if context.profile.id == broken.id:
                    may.set()
        finally:
            may.set()

    assert done[broken.id] is None
    assert done[held.id] is OutcomeKind.POSTED
    row = town.rows(f"SELECT status, reason FROM tweets WHERE profile_id = '{held.id}'")[0]
    assert tuple(row) == ("posted", None)

"""Several accounts in one batch: dying and freezing at every point of it, with trouble in some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import URL

from bot.sandbox import Sandbox
from tests.faults.campaigns import HASTY
from tests.faults.report import CAMPAIGN, Record
from tests.faults.rig import database
from tests.faults.town_campaigns import freeze, kill
from tests.faults.town_rig import TownRig
from tests.faults.town_rounds import (
    ANSWERED,
    BEFORE,
    CALLED,
    POINTS,
    RECORDED,
    SAVED,
    TownTally,
    begin,
    sum_up,
    trouble,
)
from tests.faults.wire import Wire

PROFILES = 6
# Fewer threads than accounts, so that some intents wait for theirs.
CALLS = {"BOT_CALLS_AT_ONCE": "3", "BOT_SETTLE_SECONDS": "0.3"}
# Seconds; far more than others' trouble costs, on a machine that others use too.
ON_TIME = 2.0
NewTown = Callable[..., tuple[TownRig, Wire]]


@pytest.fixture
def new_town(postgres_url: URL, template: str, tmp_path: Path) -> Iterator[NewTown]:
    """Makes accounts of the test's own that share a database, and an X behind a wire."""
    with ExitStack() as stack:

        def make(*, refuses_copies: bool = False, **knobs: str) -> tuple[TownRig, Wire]:
            x = stack.enter_context(Sandbox())
            wire = stack.enter_context(Wire(x.base_url))
            town = TownRig(
                url=stack.enter_context(database(postgres_url, template)),
                x=x,
                folder=tmp_path,
                address=wire.address,
                knobs={**CALLS, **knobs},
                refuses_copies=refuses_copies,
                profiles=PROFILES,
            )
            stack.callback(town.close)
            return town, wire

        yield make


def take_long(town: TownRig) -> None:
    """Has every call last, so that none is over before a blow falls on it."""
    town.x.arm("slow_first_byte", count=None, seconds=0.4)


@pytest.mark.long
def test_a_batch_survives_a_kill_at_each_of_its_points(new_town: NewTown, record_property: Record) -> None:
    town, wire = new_town()
    tally, rng = TownTally(), Random(1)  # noqa: S311 - repeatable on purpose
    worker = town.wait_ready(town.start())
    # A batch that dies before its intents is due again, and dies after them.
    for number, points in enumerate([(BEFORE, SAVED), (ANSWERED,), (RECORDED,), ()]):
        round_ = begin(town, wire)
        trouble(round_, rng, number)
        if points:
            take_long(town)
        for point in points:
            worker = kill(round_, tally, worker, round_.aimed(point))
        # Once nothing strikes all of them, whoever has no trouble posts on time.
        round_.wait_well(tally, timed=not points)
        round_.end(tally)
    sum_up(town, tally, 0)

    record_property(CAMPAIGN, f"kill -9 at each point of a batch of {PROFILES}: {tally}")
    assert town.problems() == []
    assert tally.never(("adopted", "resent", *POINTS)) == [], tally
    assert max(tally.late) < ON_TIME


@pytest.mark.long
def test_a_worker_that_freezes_with_a_batch_past_its_leases_doubles_nothing(
    new_town: NewTown, record_property: Record
) -> None:
    # A process that freezes with its call half sent leaves the last word to X.
    town, wire = new_town(refuses_copies=True, **HASTY)

    tally = TownTally()
    workers = [town.wait_ready(town.start()) for _ in range(2)]
    round_ = begin(town, wire)
    trouble(round_, Random(1), 0)  # noqa: S311 - repeatable on purpose
    take_long(town)
    past = float(HASTY["BOT_LEASE_SECONDS"]) + 0.2
    freeze(round_, tally, lambda: town.acting(workers)[:1], round_.aimed(CALLED), past)
    round_.wait_well(tally, timed=False)
    round_.end(tally)
    sum_up(town, tally, 0)

    record_property(CAMPAIGN, f"frozen past the lease, two workers, {PROFILES} accounts: {tally}")
    assert town.problems() == []
    assert tally.met[SAVED] + tally.met[CALLED] > 0, tally
    assert [len(town.posts_of(one)) for one in town.residents] == [1] * PROFILES

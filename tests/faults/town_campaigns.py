"""Long runs over several accounts in batches: processes die or freeze at moments drawn from a seed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from functools import partial
from random import Random
from time import monotonic, sleep
from typing import Any, Final

from tests.faults.campaigns import dawdle
from tests.faults.rig import until
from tests.faults.town_rig import TownRig
from tests.faults.town_rounds import POINTS, Round, TownTally, begin, break_all_lines, sum_up, trouble
from tests.faults.wire import Wire
from tests.support.warm import WarmProcess

# From a little before the slots' moment until most are recorded.
EARLIEST, LATEST = -0.02, 0.45
POST_PRICE = Decimal("0.015")
# Every so manieth round has trouble and no blow, so that the others can be seen to be on time.
CALM_EVERY = 4
# How often a worker that has just been started is killed as well.
AGAIN = 0.3
# And how often both workers freeze.
BOTH = 0.25
# A run of so many posts under blows has met all that is named below, or it shows nothing.
ENOUGH = 400
_TROUBLES: Final = (
    "adopted",
    "resent",
    "duplicate answer",
    "keys refused",
    "keys unreadable",
    "X hangs",
    "row can't be written",
    "batch recorded singly",
)
HELD_BACK: Final = "held back by the budget"
KILLS_MEET: Final = (*POINTS, *_TROUBLES, HELD_BACK)
PAUSES_MEET: Final = (*POINTS, *_TROUBLES, "shared by two workers")


def kill_anywhere(rig: TownRig, wire: Wire, *, kills: int, seed: int, storm: bool = False) -> TownTally:
    """Kills the lone worker again and again while it publishes for all accounts, and while it settles."""
    rng, tally, begun = Random(seed), TownTally(), monotonic()  # noqa: S311 - repeatable on purpose
    worker = rig.wait_ready(rig.start())
    while tally.blows < kills:
        round_, calm = _begin(rig, wire, rng, tally)
        if storm:
            break_all_lines(rig, tally.rounds)
        if not calm:
            worker = kill(round_, tally, worker, _moment(round_, tally, rng))
        if not calm and tally.blows < kills and rng.random() < AGAIN:
            sleep(rng.uniform(0, LATEST))
            worker = kill(round_, tally, worker, nullcontext())
        round_.wait_well(tally, timed=calm and not storm)
        round_.end(tally)
    rig.kill(worker)
    _run_dry(rig, wire, rng, tally)
    return sum_up(rig, tally, monotonic() - begun)


def freeze_anyone(rig: TownRig, wire: Wire, *, pauses: int, seed: int, lease: float) -> TownTally:
    """Two workers share the accounts; now one, now the other, now both freeze for longer than a lease."""
    rng, tally, begun = Random(seed), TownTally(), monotonic()  # noqa: S311 - repeatable on purpose
    workers = [rig.wait_ready(rig.start()) for _ in range(2)]
    while tally.blows < pauses:
        round_, calm = _begin(rig, wire, rng, tally)
        if not calm:
            seconds = lease + rng.uniform(0.1, 0.8)
            freeze(round_, tally, partial(_choose, rig, workers, rng), _moment(round_, tally, rng), seconds)
        round_.wait_well(tally, timed=calm)
        round_.end(tally)
    assert [worker.poll() for worker in workers] == [None, None]
    return sum_up(rig, tally, monotonic() - begun)


def kill(
    round_: Round,
    tally: TownTally,
    worker: WarmProcess,
    moment: AbstractContextManager[None],
    **variables: Any,
) -> WarmProcess:
    """Kills the worker once its moment has come, and notes where; the next one, which is up."""
    with moment:
        at = monotonic()
        round_.rig.kill(worker)
    _let_commits_end(round_.rig)
    round_.note_blow(tally, at)
    return round_.rig.wait_ready(round_.rig.start(**variables))


def freeze(
    round_: Round,
    tally: TownTally,
    choose: Callable[[], Sequence[WarmProcess]],
    moment: AbstractContextManager[None],
    seconds: float,
) -> None:
    """Freezes workers, chosen once their moment has come, for so long, and notes where."""
    with moment:
        workers = choose()
        at = monotonic()
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
    round_.note_blow(tally, at)
    sleep(max(0.0, at + seconds - monotonic()))
    for worker in workers:
        worker.send_signal(signal.SIGCONT)


def _choose(rig: TownRig, workers: Sequence[WarmProcess], rng: Random) -> Sequence[WarmProcess]:
    """Both, or one; more often one that holds leases."""
    if rng.random() < BOTH:
        return workers
    return [rng.choice([*rig.acting(workers), rng.choice(workers)])]


def _begin(rig: TownRig, wire: Wire, rng: Random, tally: TownTally) -> tuple[Round, bool]:
    """A round with trouble, and whether nothing else is to strike in it."""
    round_, calm = begin(rig, wire), tally.rounds % CALM_EVERY == CALM_EVERY - 1
    trouble(round_, rng, tally.rounds)
    if not calm:
        dawdle(rig, tally.rounds)
    return round_, calm


def _moment(round_: Round, tally: TownTally, rng: Random) -> AbstractContextManager[None]:
    """Now any moment of a batch, now one at which a post has just come to the next of the points."""
    if tally.blows % 2:
        return round_.aimed(POINTS[tally.blows // 2 % len(POINTS)])
    return round_.at(rng.uniform(EARLIEST, LATEST))


def _run_dry(rig: TownRig, wire: Wire, rng: Random, tally: TownTally) -> None:
    """Gives all of them money for less than a batch, and kills meanwhile: none is overspent."""
    budget = rig.spent + POST_PRICE * max(1, len(rig.residents) // 6)
    worker = rig.wait_ready(rig.start(BOT_MONTHLY_BUDGET_USD=str(budget)))
    round_ = begin(rig, wire, plain=True)
    dawdle(rig, tally.rounds)
    worker = kill(
        round_, tally, worker, round_.at(rng.uniform(EARLIEST, LATEST)), BOT_MONTHLY_BUDGET_USD=str(budget)
    )
    open_slots = (
        "SELECT s.id FROM posting_schedule s JOIN tweets t ON t.slot_id = s.id "
        "WHERE s.status IN ('planned', 'claimed') AND t.status NOT IN ('posted', 'unknown')"
    )
    until(lambda: not rig.select(open_slots), what="the money is spent")
    assert rig.spent <= budget, f"{rig.spent} spent of {budget}"
    rig.kill(worker)
    tally.met[HELD_BACK] = len(rig.select("SELECT id FROM posting_schedule WHERE reason = 'budget_usd'"))
    rig.wait_ready(rig.start())
    rig.execute("UPDATE tweets SET status = 'rejected', reason = 'held back' WHERE status = 'drafted'")
    round_.end(tally)


def _let_commits_end(rig: TownRig) -> None:
    """Waits until nothing that a dead process asked of the database is still under way there."""
    until(lambda: not rig.transactions, what="the database is at rest", step=0.01)

"""Long runs in which processes die or freeze at random moments, drawn from a seed."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic, sleep
from typing import Final

from tests.faults.rig import Rig, Schedule, until
from tests.support.warm import WarmProcess

# Whoever freezes does so for longer than the lease, so campaigns keep it as short as a call allows.
HASTY: Final[Mapping[str, str]] = {"X_TIMEOUT_SECONDS": "0.4", "BOT_LEASE_SECONDS": "2.2"}
LATEST: Final = 0.15
# Of so many looks at calls, one is at rows too.
ROWS_EVERY: Final = 20


@dataclass(kw_only=True)
class Tally:
    """What a campaign did; `struck` counts the states in which it found the tweets on their way."""

    blows: int = 0
    tweets: int = 0
    seconds: float = 0.0
    struck: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    adopted: int = 0
    refused_twice: int = 0

    def __str__(self) -> str:
        struck = ", ".join(f"{number} {state}" for state, number in self.struck.most_common())
        return (
            f"{self.blows} blows in {self.seconds:.0f} s on {self.tweets} tweets; "
            f"on their way when struck: {struck}; {self.adopted} adopted, {self.resent} resent, "
            f"{self.refused_twice} refused by X as duplicates"
        )


def kill_anywhere(rig: Rig, *, slots: int, kills: int, seed: int, storm: bool = False) -> Tally:
    """Kills the worker again and again, each time up to 150 ms after some call or its first beat.

    Slots come due while the kills go on, so that the last kill may still find one on its way. In a
    storm X loses calls and answers meanwhile.
    """
    rng = Random(seed)  # noqa: S311 - repeatable on purpose
    if storm:
        break_lines(rig, seed)
    dawdle(rig, seed)
    schedule, tally, begun = Schedule(rig, slots, threads=True), Tally(), monotonic()
    while not schedule.done:
        schedule.held = max(0, slots - slots * (tally.blows + 1) // max(kills, 1))
        worker = rig.start()
        if tally.blows == kills:
            until(lambda: schedule.done, what="the last worker posts what is left", within=slots * 6 + 60)
            rig.kill(worker)
            break
        rig.wait_ready(worker)
        _wait_for_moment(rig, schedule, rng)
        rig.kill(worker)
        tally.blows += 1
        note_struck(rig, tally)
    return summed_up(rig, tally, monotonic() - begun)


def freeze_anyone(rig: Rig, *, slots: int, pauses: int, seed: int, lease: float) -> Tally:
    """Two workers, of which now one and now the other, or both, freeze for longer than the lease."""
    rng = Random(seed)  # noqa: S311 - repeatable on purpose
    dawdle(rig, seed)
    schedule, tally, begun = Schedule(rig, slots, depth=8), Tally(), monotonic()
    workers = [rig.wait_ready(rig.start()) for _ in range(2)]
    while not schedule.done:
        if tally.blows == pauses:
            until(lambda: schedule.done, what="both post what is left", within=slots * 4 + 60)
            break
        _wait_for_moment(rig, schedule, rng)
        frozen = _choose(rig, workers, rng)
        for worker in frozen:
            worker.send_signal(signal.SIGSTOP)
        tally.blows += 1
        note_struck(rig, tally)
        end = monotonic() + lease + rng.uniform(0.1, 1.0)
        while monotonic() < end:
            # The other one goes on meanwhile, and must have something to do.
            schedule.top_up()
            sleep(0.1)
        for worker in frozen:
            worker.send_signal(signal.SIGCONT)
    assert [worker.poll() for worker in workers] == [None, None]
    return summed_up(rig, tally, monotonic() - begun)


def dawdle(rig: Rig, seed: int) -> None:
    """Makes every other call take a tenth of a second, so that blows fall inside calls too."""
    rig.x.arm("slow_first_byte", count=None, probability=0.5, seconds=0.1, seed=seed)


def break_lines(rig: Rig, seed: int) -> None:
    """Loses one call in seven before X has it, and one answer in seven after."""
    for number, kind in enumerate(("drop_before_accept", "fail_503", "accept_then_drop", "accept_then_500")):
        rig.x.arm(kind, count=None, probability=0.07, seed=seed * 10 + number)


def note_struck(rig: Rig, tally: Tally) -> None:
    """Counts what was on its way when a blow fell."""
    open_rows = rig.select(
        "SELECT status::text FROM tweets WHERE status IN ('publishing', 'unknown', 'approved')"
    )
    tally.struck.update([row["status"] for row in open_rows] or ["nothing"])


def summed_up(rig: Rig, tally: Tally, seconds: float) -> Tally:
    """The tally with its sums."""
    rows = rig.tweets()
    tally.seconds, tally.tweets = seconds, len(rows)
    tally.resent = sum(row["resends"] for row in rows)
    tally.adopted = sum(row["reason"] == "adopted" for row in rows)
    tally.refused_twice = rig.x.calls.get("POST /2/tweets 403", 0)
    return tally


def _wait_for_moment(rig: Rig, schedule: Schedule, rng: Random) -> None:
    """Waits for one of the next calls, where one comes, and then for a random while."""
    target = rig.calls + rng.randint(0, 4)
    end = monotonic() + 5
    for look in count():
        # Calls are counted here; what the rows say costs the server as much as a worker does.
        if rig.calls >= target or monotonic() > end or (look % ROWS_EVERY == 0 and schedule.quiet):
            break
        sleep(0.005)
    sleep(rng.uniform(0, LATEST))


def _choose(rig: Rig, workers: list[WarmProcess], rng: Random) -> list[WarmProcess]:
    choice = rng.random()
    if choice < 0.2:
        return workers
    return [rig.actor(workers) if choice < 0.7 else rng.choice(workers)]

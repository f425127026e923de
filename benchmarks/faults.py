"""Long fault campaigns: `python benchmarks/faults.py --kills 200 --slots 20 --seed 1` and the like.

Prints one row a campaign and ends with 1 when a tweet is live twice, lost, or differs from its row.
`--schedules` plays random fault schedules over the engine on a virtual clock; the same seed draws
the same ones, and one that goes wrong is printed whole. `--profiles 20` does all of it to so many
accounts that post at the same moments, with trouble in some of them, and also ends with 1 when a run of
some length never met one of the cases that it names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import faults_town  # noqa: E402 - the path comes first
from benchmarks.servers import start_postgres  # noqa: E402 - same
from bot.sandbox import Sandbox  # noqa: E402 - same
from bot.store.manager import DatabaseManager  # noqa: E402 - same
from tests.engine.schedules import play_many  # noqa: E402 - same
from tests.faults.campaigns import HASTY, Tally, freeze_anyone, kill_anywhere  # noqa: E402 - same
from tests.faults.rig import Rig, database  # noqa: E402 - same

# A life posts about this many slots before it is killed; one more campaign's worth keeps it busy.
SLOTS_PER_BLOW = 2
ROW = "{:<8} {:>5} {:>6} {:>7} {:>8} {:>9} {:>8} {:>7} {:>11} {:>6}"
HEADS = (
    "campaign",
    "seed",
    "blows",
    "tweets",
    "seconds",
    "in_call",
    "adopted",
    "resent",
    "duplicates",
    "wrong",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the campaigns that were asked for, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often a lone worker is killed; 200")
    parser.add_argument("--slots", type=int, help="over how many slots the kills are spread; two a kill")
    parser.add_argument("--pauses", type=int, default=0, help="how often one of two workers freezes; 0")
    parser.add_argument("--seed", type=int, default=1, help="draws the moments; 1")
    parser.add_argument("--schedules", type=int, default=0, help="how many fault schedules are played; 0")
    parser.add_argument("--storm", action="store_true", help="X loses calls and answers meanwhile")
    parser.add_argument("--profiles", type=int, default=1, help="how many accounts share the worker; 1")
    options = parser.parse_args(arguments)
    return 1 if (one(options) if options.profiles == 1 else several(options)) else 0


def several(options: argparse.Namespace) -> int:
    """Runs the campaigns over several profiles; returns how much is wrong or was never met."""
    profiles, seed, wrong = options.profiles, options.seed, 0
    if options.schedules:
        wrong += faults_town.schedules(profiles, options.schedules, seed)
    if options.kills:
        wrong += faults_town.kills(profiles, options.kills, seed, storm=options.storm)
    if options.pauses:
        wrong += faults_town.pauses(profiles, options.pauses, seed)
    return wrong


def one(options: argparse.Namespace) -> int:
    """Runs the campaigns over one profile; returns how much is wrong."""
    wrong = 0
    if options.schedules:
        wrong += play_schedules(options.schedules, options.seed)
    if options.kills or options.pauses:
        print(ROW.format(*HEADS), flush=True)
    if options.kills:
        name = "storm" if options.storm else "kills"
        slots = options.slots or options.kills * SLOTS_PER_BLOW
        wrong += campaign(
            name, options.seed, lambda rig: kill(rig, slots, options.kills, options.seed, storm=options.storm)
        )
    if options.pauses:
        wrong += campaign("pauses", options.seed, lambda rig: pause(rig, options.pauses, options.seed))
    return wrong


def kill(rig: Rig, slots: int, kills: int, seed: int, *, storm: bool) -> Tally:
    """Kills a lone worker so many times."""
    return kill_anywhere(rig, slots=slots, kills=kills, seed=seed, storm=storm)


def play_schedules(examples: int, seed: int) -> int:
    """Plays schedules on a server of its own; returns how many went wrong, at most one."""
    with ExitStack() as stack:
        address = start_postgres(stack)
        manager = DatabaseManager(address)
        stack.callback(manager.close)
        begun = monotonic()
        try:
            play_many(manager, examples=examples, number=seed)
        except AssertionError as error:
            print(f"schedules: seed {seed}: WRONG: {error}\n" + "\n".join(getattr(error, "__notes__", ())))
            return 1
        print(f"schedules: {examples} of seed {seed} in {monotonic() - begun:.0f} s, none wrong", flush=True)
    return 0


def pause(rig: Rig, pauses: int, seed: int) -> Tally:
    """Freezes one of two workers, or both, so many times."""
    lease = float(HASTY["BOT_LEASE_SECONDS"])
    return freeze_anyone(rig, slots=pauses * 10, pauses=pauses, seed=seed, lease=lease)


def campaign(name: str, seed: int, run: Callable[[Rig], Tally]) -> int:
    """Runs one campaign on servers of its own; returns how much is wrong in the end."""
    with ExitStack() as stack:
        address = start_postgres(stack)
        x = stack.enter_context(Sandbox())
        url = stack.enter_context(database(address, "postgres"))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="faults-")))
        # A process that freezes with its call half sent leaves the last word to X.
        copies = name == "pauses"
        knobs = HASTY if copies else {}
        rig = Rig(url=url, x=x, folder=folder, knobs=knobs, refuses_copies=copies)
        stack.callback(rig.close)
        tally = run(rig)
        problems = rig.problems()
    row = (name, seed, tally.blows, tally.tweets, round(tally.seconds), tally.struck["publishing"])
    print(ROW.format(*row, tally.adopted, tally.resent, tally.refused_twice, len(problems)), flush=True)
    for problem in problems:
        print(f"  {problem}")
    return len(problems)


if __name__ == "__main__":
    sys.exit(main())

"""Fault campaigns over several profiles, for `benchmarks/faults.py --profiles N`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from benchmarks.servers import start_postgres
from bot.sandbox import Sandbox
from bot.store.manager import DatabaseManager
from tests.engine.town_schedules import SOMETIMES, play_many
from tests.faults.campaigns import HASTY
from tests.faults.rig import database
from tests.faults.town_campaigns import ENOUGH, KILLS_MEET, PAUSES_MEET, freeze_anyone, kill_anywhere
from tests.faults.town_rig import TownRig
from tests.faults.town_rounds import TownTally
from tests.faults.wire import Wire

ROW = "{:<8} {:>8} {:>5} {:>6} {:>6} {:>7} {:>8} {:>8} {:>6}"
HEADS = ("campaign", "profiles", "seed", "blows", "rounds", "tweets", "seconds", "late_ms", "wrong")
# So many schedules meet all that they are for.
ENOUGH_SCHEDULES = 12

Run = Callable[[TownRig, Wire], TownTally]


def kills(profiles: int, number: int, seed: int, *, storm: bool) -> int:
    """Kills the lone worker so many times; returns how much is wrong."""
    name = "storm" if storm else "kills"

    def run(rig: TownRig, wire: Wire) -> TownTally:
        return kill_anywhere(rig, wire, kills=number, seed=seed, storm=storm)

    return campaign(name, profiles, seed, run, KILLS_MEET)


def pauses(profiles: int, number: int, seed: int) -> int:
    """Freezes one of two workers, or both, so many times; returns how much is wrong."""

    def run(rig: TownRig, wire: Wire) -> TownTally:
        lease = float(HASTY["BOT_LEASE_SECONDS"])
        return freeze_anyone(rig, wire, pauses=number, seed=seed, lease=lease)

    return campaign("pauses", profiles, seed, run, PAUSES_MEET)


def schedules(profiles: int, examples: int, seed: int) -> int:
    """Plays schedules on a server of its own; returns how many went wrong, or how many cases were not met."""
    with ExitStack() as stack:
        manager = DatabaseManager(start_postgres(stack))
        stack.callback(manager.close)
        begun = monotonic()
        try:
            met = play_many(manager, examples=examples, number=seed, profiles=profiles)
        except AssertionError as error:
            print(f"schedules: seed {seed}: WRONG: {error}\n" + "\n".join(getattr(error, "__notes__", ())))
            return 1
    seconds = monotonic() - begun
    print(f"schedules: {examples} of {profiles} profiles, seed {seed}, in {seconds:.0f} s, none wrong")
    return _tell_met({name: met[name] for name in sorted(SOMETIMES)}, enough=examples >= ENOUGH_SCHEDULES)


def campaign(name: str, profiles: int, seed: int, run: Run, wanted: Sequence[str]) -> int:
    """Runs one campaign on servers of its own; returns how much is wrong or was never met."""
    with ExitStack() as stack:
        address = start_postgres(stack)
        x = stack.enter_context(Sandbox())
        wire = stack.enter_context(Wire(x.base_url))
        url = stack.enter_context(database(address, "postgres"))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="faults-")))
        # A process that freezes with its call half sent leaves the last word to X.
        frozen = name == "pauses"
        # Fewer threads than profiles: some intents wait for theirs.
        knobs = {"BOT_CALLS_AT_ONCE": str(max(2, profiles // 3)), **(HASTY if frozen else {})}
        rig = TownRig(
            url=url,
            x=x,
            folder=folder,
            address=wire.address,
            knobs=knobs,
            refuses_copies=frozen,
            profiles=profiles,
        )
        stack.callback(rig.close)
        try:
            tally = run(rig, wire)
        except AssertionError as error:
            print(f"{name}: seed {seed}: WRONG: {error}\n  " + "\n  ".join(rig.problems()), flush=True)
            return 1
        problems = rig.problems()
    late = f"{max(tally.late) * 1000:.0f}" if tally.late else "-"
    row = (name, profiles, seed, tally.blows, tally.rounds, tally.tweets, round(tally.seconds), late)
    print(ROW.format(*HEADS) + "\n" + ROW.format(*row, len(problems)), flush=True)
    for problem in problems:
        print(f"  {problem}")
    shown = {case: tally.met[case] for case in dict.fromkeys([*wanted, *sorted(tally.met)])}
    needed = {case: number for case, number in shown.items() if case in wanted}
    others = ", ".join(f"{number} {case}" for case, number in shown.items() if case not in wanted)
    missed = _tell_met(needed, enough=tally.blows * profiles >= ENOUGH)
    print(f"  beside: {others}", flush=True)
    return len(problems) + missed


def _tell_met(met: dict[str, int], *, enough: bool) -> int:
    """Prints how often each named case happened; how many never did, where the run was long enough."""
    print("  met: " + ", ".join(f"{number} {name}" for name, number in met.items()), flush=True)
    never = [name for name, number in met.items() if not number]
    if never:
        print(f"  {'NEVER MET' if enough else 'not met in a run this short'}: {', '.join(never)}", flush=True)
    return len(never) if enough else 0

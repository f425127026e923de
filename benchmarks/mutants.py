"""Do the quick tests notice a wrong change? `python -m benchmarks mutants --sample 300 --seed 1`.

Makes small wrong changes to bot/core and bot/engine, one at a time and never in the files: each is
compiled in a forked process, which runs the quick tests of its room that reach the changed line. A
change that no test notices survives; read it, and write the test that misses, or convince yourself
that it changes nothing. Ends with 1 when fewer are noticed than a room's target.

`--list` prints every survivor with its place, `--only gauges` tries one file's, `--sample 0` all of
them, `--seed` draws others. Which changes are made stands in mutants_changes.py; which tests are
quick, and how a mutant is tried, in mutants_trials.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.mutants_changes import Mutant, enum_members, find_mutants
from benchmarks.mutants_trials import ROOT, Verdict, open_bench

# Per cent of the changes to a room that its quick tests have to notice.
TARGETS = {"core": 92.0, "engine": 85.0}
ROW = "{:<36} {:>7} {:>7} {:>9} {:>6}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries the mutants that were asked for and prints what became of them."""
    options = _options(arguments)
    os.chdir(ROOT)
    # Asked to end, it leaves no server and no folder behind.
    signal.signal(signal.SIGTERM, lambda *_told: sys.exit(143))
    rooms = [options.room] if options.room else list(TARGETS)
    mutants = choose(rooms, only=options.only, sample=options.sample, seed=options.seed)
    begun = time.monotonic()
    with open_bench(rooms) as bench:
        taken = sum(test.seconds for test in bench.tests)
        work = sum(test.work for test in bench.tests)
        took = f"{len(bench.tests)} quick tests take {taken:.0f} s, {work:.0f} s of it their own work"
        print(f"{took}; {len(mutants)} mutants", file=sys.stderr, flush=True)
        verdicts = []
        for verdict in bench.try_all(mutants, at_once=options.at_once):
            verdicts.append(verdict)
            if options.list and verdict.killed_by is None:
                print(_line(verdict.mutant), file=sys.stderr, flush=True)
            _show_progress(len(verdicts), len(mutants), time.monotonic() - begun)
    if options.json:
        print(json.dumps(_as_json(verdicts, rooms, tests=len(bench.tests), taken=taken, work=work)))
    else:
        _print_table(verdicts, rooms)
        if options.list:
            print("\n".join(_line(mutant) for mutant in _survivors(verdicts)))
    return 0 if all(_share(_of_room(verdicts, room)) >= TARGETS[room] for room in rooms) else 1


def choose(rooms: Iterable[str], *, only: str, sample: int, seed: int) -> list[Mutant]:
    """A sample of the rooms' mutants; the same seed draws the same ones from the same code."""
    paths = [path.relative_to(ROOT) for room in rooms for path in sorted((ROOT / "bot" / room).rglob("*.py"))]
    members = enum_members(path for room in TARGETS for path in (ROOT / "bot" / room).rglob("*.py"))
    found = find_mutants((path for path in paths if only in str(path)), members)
    if not sample or sample >= len(found):
        return found
    return random.Random(seed).sample(found, sample)  # noqa: S311 - a sample


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sample", type=int, default=300, help="how many are tried, 0 for all; 300")
    parser.add_argument("--seed", type=int, default=1, help="draws them; 1")
    parser.add_argument("--room", choices=list(TARGETS), help="one of the rooms; both")
    parser.add_argument("--only", default="", metavar="TEXT", help="only files whose path holds the text")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="processes; one a core")
    parser.add_argument("--list", action="store_true", help="print every survivor")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def _of_room(verdicts: Iterable[Verdict], room: str) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.mutant.path.is_relative_to(Path("bot") / room)]


def _share(verdicts: Sequence[Verdict]) -> float:
    """How many per cent were killed."""
    killed = sum(verdict.killed_by is not None for verdict in verdicts)
    return 100.0 * killed / len(verdicts) if verdicts else 100.0


def _survivors(verdicts: Iterable[Verdict]) -> list[Mutant]:
    alive = [verdict.mutant for verdict in verdicts if verdict.killed_by is None]
    return sorted(alive, key=lambda mutant: (str(mutant.path), mutant.line))


def _print_table(verdicts: Sequence[Verdict], rooms: Sequence[str]) -> None:
    print(ROW.format("file", "mutants", "killed", "survived", "%"))
    for room in rooms:
        of_room = _of_room(verdicts, room)
        for path in sorted({verdict.mutant.path for verdict in of_room}):
            _print_row(str(path), [verdict for verdict in of_room if verdict.mutant.path == path])
        _print_row(f"bot/{room}, target {TARGETS[room]:.0f} %", of_room)


def _print_row(name: str, verdicts: Sequence[Verdict]) -> None:
    alive = len(_survivors(verdicts))
    print(ROW.format(name, len(verdicts), len(verdicts) - alive, alive, f"{_share(verdicts):.1f}"))


def _line(mutant: Mutant) -> str:
    return f"{mutant.path}:{mutant.line}: {mutant.kind}: {mutant.change}"


def _show_progress(done: int, total: int, seconds: float) -> None:
    if done % 25 == 0 or done == total:
        print(f"{done} of {total} in {seconds:.0f} s", file=sys.stderr, flush=True)


def _as_json(
    verdicts: Sequence[Verdict], rooms: Sequence[str], *, tests: int, taken: float, work: float
) -> dict[str, object]:
    return {
        "tests": tests,
        "tests_seconds": round(taken, 1),
        "tests_work_seconds": round(work, 1),
        "rooms": {
            room: {
                "mutants": len(of_room := _of_room(verdicts, room)),
                "survived": len(_survivors(of_room)),
                "killed_percent": round(_share(of_room), 1),
                "target_percent": TARGETS[room],
            }
            for room in rooms
        },
        "survivors": [
            {"file": str(one.path), "line": one.line, "kind": one.kind, "change": one.change}
            for one in _survivors(verdicts)
        ],
        "killed_by": {
            f"{one.mutant.path}:{one.mutant.line}: {one.mutant.change}": one.killed_by
            for one in verdicts
            if one.killed_by
        },
    }

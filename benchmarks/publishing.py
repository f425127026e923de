"""How fast posts go out, beside a bare tweepy loop: `python -m benchmarks publishing [--json]`.

Both sides post the same texts to one strict sandbox, a process of its own, over real HTTP; the
engine keeps its rows in an embedded PostgreSQL. They take turns, and in going first. Ends with 1 when a
target is missed, and with an error unless every text is live exactly once and every row is posted.

    batch    X answers at once; 32 profiles are due together, again and again; one thread
    latency  X answers after 200 ms; 320 profiles are due together; 32 threads
    alone    X answers at once; one profile, one post after another; one thread

Planning and writing the drafts is not timed. What else runs on the machine is measured with it: the
load over the minute before is shown beside the figures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence

from benchmarks.publishing_bench import Bench, PostsDiffer, bare_round, engine_round, open_bench
from benchmarks.publishing_figures import CASES, Case, Effort, Result

TEXTS_AT_A_TIME = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures the cases that were asked for, one after another."""
    options = _options(arguments)
    results = []
    for case in CASES:
        if options.case and case.name not in options.case:
            continue
        try:
            results.append(measure(case, posts=options.posts, rounds=options.rounds))
        except PostsDiffer as error:
            sys.exit(f"{case.name}: {error}")
        if not options.json:
            print(results[-1].as_text(), flush=True)
    if options.json:
        print(json.dumps({"rows": [{**one.as_json(), "missed": one.missed} for one in results]}))
    return 1 if any(one.missed for one in results) else 0


def measure(case: Case, *, posts: int, rounds: int) -> Result:
    """Plays a case, after a round that is not counted: it opens connections and warms both sides.

    Raises:
        PostsDiffer: what was measured is not what was asked for.
    """
    profiles = min(case.profiles, posts)
    posts = math.ceil(posts / profiles) * profiles
    warm_up, result = (Result(case=case, profiles=profiles, load=os.getloadavg()[0]) for _ in range(2))
    with open_bench(profiles=profiles, threads=case.threads, latency_ms=case.latency_ms) as bench:
        play_round(bench, warm_up, posts, engine_first=True)
        for number in range(rounds):
            play_round(bench, result, posts, engine_first=number % 2 == 1)
        bench.check()
    return result


def play_round(bench: Bench, result: Result, posts: int, *, engine_first: bool) -> None:
    """Has both sides post the same texts, some at a time and in turns, so that both meet the same noise."""
    texts = bench.new_texts(posts)
    result.bare.append(Effort(posts=posts))
    result.engine.append(Effort(posts=posts))
    sides = (_play_engine, _play_bare) if engine_first else (_play_bare, _play_engine)
    some = result.profiles * max(1, TEXTS_AT_A_TIME // result.profiles)
    for start in range(0, posts, some):
        for side in sides:
            side(bench, result, texts[start : start + some])
        sides = sides[::-1]


def _play_bare(bench: Bench, result: Result, texts: Sequence[str]) -> None:
    result.bare[-1].time(lambda: bare_round(bench, texts))


def _play_engine(bench: Bench, result: Result, texts: Sequence[str]) -> None:
    counter = bench.counter
    for start in range(0, len(texts), result.profiles):
        bench.make_due(texts[start : start + result.profiles])
        statements, transactions = counter.statements, counter.transactions
        result.engine[-1].time(lambda: engine_round(bench))
        result.statements += counter.statements - statements
        result.transactions += counter.transactions - transactions


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks publishing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [case.name for case in CASES]
    parser.add_argument("--posts", type=_whole, default=320, help="posts of each side in a round; 320")
    parser.add_argument("--rounds", type=_whole, default=5, help="rounds that are counted; 5")
    parser.add_argument("--case", choices=names, action="append", help="one of the cases; all of them")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a whole number of at least 1")
    return number

"""What `publishing` measures: its cases, their targets, and their figures as JSON and as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter, process_time
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured, and what it should come to.

    Attributes:
        latency_ms: how long X takes to answer.
        threads: how many calls may be under way at once, on either side.
        profiles: how many are due together.
        least_ratio: the engine's posts a second to those of the bare loop, at least.
        most: what a post of the engine's may cost at most, by the figure's name in the row.
    """

    name: str
    latency_ms: int
    threads: int
    profiles: int
    least_ratio: float
    most: Mapping[str, float] = field(default_factory=dict)


CASES = (
    Case(
        name="batch",
        latency_ms=0,
        threads=1,
        profiles=32,
        least_ratio=0.45,
        most={"statements_per_post": 3, "transactions_per_post": 0.1},
    ),
    # More profiles than calls at once, or the engine would mostly wait for a batch's last answer
    # while the bare loop goes on.
    Case(name="latency", latency_ms=200, threads=32, profiles=320, least_ratio=0.96),
    Case(
        name="alone",
        latency_ms=0,
        threads=1,
        profiles=1,
        least_ratio=0.15,
        most={"statements_per_post": 12, "transactions_per_post": 2},
    ),
)


@dataclass
class Effort:
    """What one side took for its posts of one round."""

    posts: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def time(self, work: Callable[[], None]) -> None:
        """Adds what the work takes; processor time is that of all threads, and of no other process."""
        begun, cpu_begun = perf_counter(), process_time()
        work()
        self.seconds += perf_counter() - begun
        self.cpu_seconds += process_time() - cpu_begun

    @property
    def per_second(self) -> float:
        """Posts a second."""
        return self.posts / self.seconds

    @property
    def cpu_ms(self) -> float:
        """The client's processor time a post."""
        return self.cpu_seconds / self.posts * 1000


@dataclass
class Result:
    """A case's figures, round by round: in each, both sides posted the same texts.

    Attributes:
        profiles: how many were due together.
        load: the machine's load over the minute before.
        statements: what the engine sent in all rounds, the bounds of its transactions among them.
    """

    case: Case
    profiles: int
    load: float
    bare: list[Effort] = field(default_factory=list)
    engine: list[Effort] = field(default_factory=list)
    statements: int = 0
    transactions: int = 0

    @property
    def missed(self) -> Sequence[str]:
        """The figures that miss their targets, as measured and not as shown."""
        row = self.as_json()
        too_slow = ["ratio"] if row["ratio"] < self.case.least_ratio else []
        return too_slow + [name for name, most in self.case.most.items() if row[name] > most]

    def as_json(self) -> dict[str, Any]:
        """One row; `_min` and `_max` are the slowest and the fastest round's."""
        bare = [one.per_second for one in self.bare]
        engine = [one.per_second for one in self.engine]
        ratios = [mine / theirs for mine, theirs in zip(engine, bare, strict=True)]
        posts = sum(one.posts for one in self.engine)
        return {
            "case": self.case.name,
            "latency_ms": self.case.latency_ms,
            "threads": self.case.threads,
            "profiles": self.profiles,
            "posts": self.engine[0].posts,
            "rounds": len(self.engine),
            "load": self.load,
            "bare_per_s": median(bare),
            "bare_min": min(bare),
            "bare_max": max(bare),
            "engine_per_s": median(engine),
            "engine_min": min(engine),
            "engine_max": max(engine),
            "ratio": median(engine) / median(bare),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "statements_per_post": self.statements / posts,
            "transactions_per_post": self.transactions / posts,
            "bare_cpu_ms": median(one.cpu_ms for one in self.bare),
            "engine_cpu_ms": median(one.cpu_ms for one in self.engine),
        }

    def as_text(self) -> str:
        """A few lines; a ratio is rounded down and a cost up, so that none is shown past its target."""
        row = self.as_json()
        spread = {
            name: f"({row[f'{name}_min']:.0f} to {row[f'{name}_max']:.0f})" for name in ("bare", "engine")
        }
        ratios = f"{_down(row['ratio'])} ({_down(row['ratio_min'])} to {_down(row['ratio_max'])})"
        return "\n".join(
            (
                "{case}: {profiles} due together, X answers after {latency_ms} ms, calls at once: {threads}; "
                "{rounds} rounds of {posts} posts; load {load:.1f}".format(**row),
                "  posts a second  bare {bare_per_s:.0f} {bare}, engine {engine_per_s:.1f} {engine}".format(
                    **row, **spread
                ),
                f"  ratio           {ratios}{self._verdict('ratio', self.case.least_ratio, 'at least')}",
                *(self._cost_line(what) for what in ("statements", "transactions")),
                "  client CPU      bare {bare_cpu_ms:.2f} ms, engine {engine_cpu_ms:.2f} ms a post".format(
                    **row
                ),
            )
        )

    def _cost_line(self, what: str) -> str:
        name = f"{what}_per_post"
        verdict = self._verdict(name, self.case.most.get(name), "at most")
        return f"  {what:<15} {_up(self.as_json()[name])} a post{verdict}"

    def _verdict(self, name: str, target: float | None, bound: str) -> str:
        if target is None:
            return ""
        return f"; target {bound} {target:g}: {'MISSED' if name in self.missed else 'met'}"


def _down(figure: float) -> str:
    return f"{math.floor(figure * 1000) / 1000:.3f}"


def _up(figure: float) -> str:
    return f"{math.ceil(figure * 1000) / 1000:.3f}"

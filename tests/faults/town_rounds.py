"""Rounds: everyone's slot at one moment, trouble in some accounts, and where a blow finds the posts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from time import monotonic, sleep
from typing import Any, Final

from sqlalchemy import func, select

from bot.settings import Settings
from bot.store.ledger import LEDGER_LOCK
from tests.faults.campaigns import break_lines
from tests.faults.cases import READ
from tests.faults.rig import now, until
from tests.faults.town_rig import Resident, TownRig
from tests.faults.wire import Exchange, Wire

# Time for every worker to learn of a slot before its moment.
LEAD = 0.4
DEFAULT_CALLS: Final = Settings.model_fields["bot_calls_at_once"].default

BEFORE: Final = "before the intent"
SAVED: Final = "intent saved, call not begun"
CALLED: Final = "in the call"
ANSWERED: Final = "answered, not recorded"
RECORDED: Final = "recorded"
POINTS: Final = (BEFORE, SAVED, CALLED, ANSWERED, RECORDED)

Strike = Callable[[TownRig, Resident, str], object]


def _arm(kind: str, rig: TownRig, one: Resident, words: str, *, count: int | None = 1) -> None:
    del words
    rig.x.arm(kind, account=one.x_user_id, count=count)


def _post_by_hand(rig: TownRig, one: Resident, words: str) -> None:
    """The owner says the same by hand, and X refuses the bot's copy however often it comes."""
    rig.x.add_post(words, account=one.x_user_id)
    rig.x.arm("duplicate_403", account=one.x_user_id, count=None)


TROUBLES: Final[Mapping[str, Strike]] = {
    "keys refused": partial(_arm, "refuse_401", count=None),
    "row can't be written": lambda rig, _, words: rig.forbid(words),
    "X hangs": partial(_arm, "accept_then_hang"),
    "duplicate answer": _post_by_hand,
    "keys unreadable": lambda rig, one, _: rig.lose_keys(one),
    "call lost": partial(_arm, "fail_503"),
    "answer lost": partial(_arm, "accept_then_drop"),
    "X hangs unheard": partial(_arm, "hang_before_accept"),
}


@dataclass(kw_only=True)
class TownTally:
    """What a campaign did; `met` counts named cases, and `late` tells how late the well ones called."""

    blows: int = 0
    rounds: int = 0
    tweets: int = 0
    seconds: float = 0.0
    met: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)

    def never(self, names: tuple[str, ...]) -> list[str]:
        """Which of the named cases never happened: a run without them shows nothing of them."""
        return [name for name in names if not self.met[name]]

    def __str__(self) -> str:
        met = ", ".join(f"{number} {name}" for name, number in sorted(self.met.items()))
        latest = f"{max(self.late) * 1000:.0f} ms" if self.late else "not measured"
        return (
            f"{self.blows} blows in {self.rounds} rounds of {self.tweets} tweets, {self.seconds:.0f} s; "
            f"met: {met}; the well ones called at most {latest} late"
        )


@dataclass
class Round:
    """One moment at which everybody has something to post."""

    rig: TownRig
    wire: Wire
    texts: Mapping[Resident, str]
    due: float
    struck: Mapping[Resident, str] = field(default_factory=dict)

    def point(self, words: str, row: Mapping[str, Any], at: float) -> str:
        """How far a post had come when a blow fell on its first try."""
        calls = self.wire.of(words)
        if row["attempts"] > 1 or row["status"] not in {"drafted", "publishing", "posted"}:
            return "while it was settled"
        if row["status"] == "drafted":
            return BEFORE
        if row["status"] == "posted":
            return RECORDED
        if not calls:
            return SAVED
        return ANSWERED if _answered(calls[0], at) else CALLED

    def note_blow(self, tally: TownTally, at: float) -> None:
        """Counts where the blow found each post of a batch, by what rows and wire said at that moment."""
        rows = self.rig.rows_of(self.texts.values())
        together = Counter(row["first_intent_at"] for row in rows.values())
        tally.blows += 1
        for words, row in rows.items():
            point = self.point(words, row, at)
            if words not in self._callers or (point == BEFORE and at < self.due):
                continue
            # One alone was a tick's, with a moment of its own.
            batched = point == BEFORE or together[row["first_intent_at"]] > 1
            tally.met[point if batched else f"{point}, alone"] += 1

    def sleep_until(self, moment: float) -> None:
        """Sleeps until so many seconds after the slots' moment."""
        sleep(max(0.0, self.due + moment - monotonic()))

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """Waits until so many seconds after the slots' moment."""
        self.sleep_until(moment)
        yield

    @contextmanager
    def aimed(self, point: str) -> Iterator[None]:
        """Waits until some post has come to a point; before its intent it is held while the block lasts.

        Some points are over before they are seen: then the block begins as soon as that is.
        """
        self.sleep_until(0)
        if point == BEFORE:
            with self.rig.engine.begin() as connection:
                connection.execute(select(func.pg_advisory_xact_lock(LEDGER_LOCK)))
                until(lambda: self.rig.select(_QUEUED), what="a batch is about to be weighed", step=0.005)
                yield
            return
        until(lambda: self._has_come(point), what=f"a post is {point}", step=0.002)
        yield

    def _has_come(self, point: str) -> bool:
        """Whether a post is at that point, or all are past it."""
        if point in {SAVED, RECORDED}:
            at, rows = monotonic(), self.rig.rows_of(self._callers)
            found = Counter(self.point(words, row, at) for words, row in rows.items())
            return bool(found[RECORDED]) if point == RECORDED else self._wait_for_threads(found)
        calls = [call for words in self._callers for call in self.wire.of(words)]
        return any(call.answered for call in calls) if point == ANSWERED else bool(calls)

    def _wait_for_threads(self, found: Counter[str]) -> bool:
        """Whether intents are saved and stay so for a while: each thread calls, where there are fewer."""
        threads = int(self.rig.knobs.get("BOT_CALLS_AT_ONCE", DEFAULT_CALLS))
        busy = found[CALLED] >= threads or threads >= len(self._callers)
        return bool(found[SAVED] and busy) or not found[SAVED] + found[BEFORE]

    @property
    def _callers(self) -> set[str]:
        """The texts of those whose keys X gets to see."""
        return {words for one, words in self.texts.items() if self.struck.get(one) != "keys unreadable"}

    def wait_well(self, tally: TownTally, *, timed: bool) -> None:
        """Waits for those without trouble, and notes how late they called X where nothing struck all."""
        well = [words for one, words in self.texts.items() if one not in self.struck]
        until(
            lambda: all(row["status"] in {"posted", "failed"} for row in self.rig.rows_of(well).values()),
            what="whoever has no trouble is done",
        )
        if timed:
            tally.late += [calls[0].begun - self.due for calls in map(self.wire.of, well) if calls]

    def end(self, tally: TownTally) -> None:
        """Mends what was broken, and waits until every post is at its end."""
        tally.met["X hangs"] += sum(
            fault["fired"] for fault in self.rig.x.state()["faults"] if fault["kind"] in _HANGS
        )
        answers = Counter(call.status for words in self.texts.values() for call in self.wire.of(words))
        # X refuses nothing else with these.
        tally.met["keys refused"] += answers[401]
        tally.met["duplicate answer"] += answers[403]
        self.rig.wait_mended()
        tally.rounds += 1


# What waits for the lock under which a batch is weighed and intended.
_QUEUED: Final = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_HANGS: Final = frozenset({"accept_then_hang", "hang_before_accept"})


def begin(rig: TownRig, wire: Wire, *, plain: bool = False) -> Round:
    """A round in which nobody has trouble yet."""
    due = now() + timedelta(seconds=LEAD)
    texts = rig.all_due(due, plain=plain)
    return Round(rig, wire, texts, monotonic() + (due - now()).total_seconds())


def trouble(round_: Round, rng: Random, number: int) -> None:
    """Gives up to a third of the accounts trouble, each kind of it in its turn."""
    rig = round_.rig
    kinds = list(TROUBLES)
    # The environment's own keys are nobody's to lose.
    victims = rng.sample(rig.residents[1:], max(1, len(rig.residents) // 3))
    first = number * len(victims)
    round_.struck = {one: kinds[(first + place) % len(kinds)] for place, one in enumerate(victims)}
    for one, kind in round_.struck.items():
        TROUBLES[kind](rig, one, round_.texts[one])


def break_all_lines(rig: TownRig, number: int) -> None:
    """Loses calls, answers and reads of everybody, now and then."""
    break_lines(rig, number)
    rig.x.arm("fail_503", endpoint=READ, count=None, probability=0.15, seed=number)


def sum_up(rig: TownRig, tally: TownTally, seconds: float) -> TownTally:
    """The tally with what rows and logs say at the end."""
    rows = rig.tweets()
    tally.seconds, tally.tweets = seconds, len(rows)
    tally.met["adopted"] = sum(row["reason"] == "adopted" for row in rows)
    tally.met["resent"] = sum(row["resends"] for row in rows)
    told = Counter(str(line.get("event")) for line in rig.events())
    for name, event in _EVENTS.items():
        tally.met[name] = told[event]
    tally.met["shared by two workers"] = _shared(rig)
    return tally


def _shared(rig: TownRig) -> int:
    """How many rounds there were in which more than one worker posted."""
    moments = "SELECT t.id::text, s.due_at FROM tweets t JOIN posting_schedule s ON s.id = t.slot_id"
    due = {row["id"]: row["due_at"] for row in rig.select(moments)}
    told = {
        (due[line["tweet"]], worker.pid)
        for worker in rig.program.running
        for line in rig.said(worker, "tweet_posted")
    }
    return sum(number > 1 for number in Counter(moment for moment, _ in told).values())


_EVENTS: Final = {
    "keys unreadable": "keys_unusable",
    "batch recorded singly": "batch_recorded_singly",
    "row can't be written": "outcome_broke",
    "answer came late": "answer_came_late",
}


def _answered(call: Exchange, at: float) -> bool:
    return call.answered is not None and call.answered <= at

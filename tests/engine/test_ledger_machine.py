"""The judge over the real ledger: random clocks, windows, headers and failures, against brute force."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bot.core.rates import RateWindow
from bot.core.spending.limits import CREATE_POST, Allow, Limits, Wanted, decide
from bot.core.states import CallKind, CallState
from bot.store.manager import DatabaseManager
from tests.engine.world import World

POST_COST = Decimal("0.015")


@dataclass
class Entry:
    """What the test itself remembers of one call."""

    at: datetime
    kind: CallKind
    units: int
    cost: Decimal
    counts: bool = True
    call: object = None


@dataclass
class Header:
    """What the test itself remembers of X's window."""

    remaining: int
    resets_at: datetime
    reserved_since: list[Entry] = field(default_factory=list)


def machine(manager: DatabaseManager) -> type[RuleBasedStateMachine]:  # noqa: C901 - one class
    """The machine for one database."""

    class LedgerMachine(RuleBasedStateMachine):
        @initialize(
            day=st.integers(1, 9),
            posts=st.integers(1, 4),
            quarter=st.integers(1, 3),
            reads=st.integers(1, 20),
            cents=st.integers(2, 12),
        )
        def begin(self, day: int, posts: int, quarter: int, reads: int, cents: int) -> None:
            self.limits = Limits(
                posts_15min=quarter, posts_24h=posts, reads_month=reads, budget_usd=Decimal(cents) / 100
            )
            self.world = World(manager, caps=self.limits)
            self.clock = self.world.clock
            self.clock.true = self.clock.true.replace(day=day)
            self.entries: list[Entry] = []
            self.open: list[Entry] = []
            self.header: Header | None = None

        @rule(minutes=st.integers(1, 60 * 30))
        def time_passes(self, minutes: int) -> None:
            self.clock.pass_time(minutes * 60)

        @rule(kind=st.sampled_from((CallKind.POST, CallKind.POST, CallKind.READ)), units=st.integers(1, 5))
        def want(self, kind: CallKind, units: int) -> None:
            now = self.clock.now()
            units = 1 if kind is CallKind.POST else units
            cost = POST_COST if kind is CallKind.POST else Decimal("0.001") * units
            endpoint = CREATE_POST if kind is CallKind.POST else "GET /2/users/:id/tweets"
            wanted = Wanted(kind=kind, endpoint=endpoint, units=units, cost_usd=cost, spaced=False)
            agent = self.world.engine.services.limits
            with manager.transaction() as tx:
                tx.ledger.lock()
                usage = agent.usage(tx, self.world.profile_id, now)
                verdict = decide(usage, self.limits, now, wanted)
                assert isinstance(verdict, Allow) is self._has_room(kind, units, cost, now)
                if isinstance(verdict, Allow):
                    call = agent.reserve(tx, wanted, profile_id=self.world.profile_id, now=now)
            if isinstance(verdict, Allow):
                entry = Entry(at=now, kind=kind, units=units, cost=cost, call=call)
                self.entries.append(entry)
                self.open.append(entry)
                if self.header is not None and kind is CallKind.POST:
                    self.header.reserved_since.append(entry)
                return
            assert verdict.until is None or verdict.until > now
            if verdict.until is not None:
                self._is_right_at(verdict.until, wanted)

        @precondition(lambda self: self.open)
        @rule(data=st.data())
        def outcome(self, data: st.DataObject) -> None:
            entry = data.draw(st.sampled_from(self.open))
            state = data.draw(st.sampled_from((CallState.SETTLED, CallState.RELEASED, CallState.UNKNOWN)))
            with manager.transaction() as tx:
                tx.ledger.change(entry.call.id, state)  # type: ignore[attr-defined]  # a Call
            entry.counts = state is not CallState.RELEASED
            self.open.remove(entry)
            if self.header is not None and state is not CallState.UNKNOWN:
                self.header.reserved_since = [one for one in self.header.reserved_since if one is not entry]

        @rule(posts=st.integers(0, 2), reads=st.integers(0, 3))
        def used_elsewhere(self, posts: int, reads: int) -> None:
            now = self.clock.now()
            self.world.change("SELECT track_twitter_usage(:p, :r, :at)", p=posts, r=reads, at=now)
            for kind, units in ((CallKind.POST, posts), (CallKind.READ, reads)):
                if units:
                    self.entries.append(Entry(at=now, kind=kind, units=units, cost=Decimal(0)))

        @rule(remaining=st.integers(0, 3), minutes=st.integers(1, 900))
        def x_says(self, remaining: int, minutes: int) -> None:
            self.clock.pass_time(1)
            now = self.clock.now()
            resets_at = now + timedelta(minutes=minutes)
            window = RateWindow(name="24h_user", limit=17, remaining=remaining, resets_at=resets_at)
            with manager.transaction() as tx:
                tx.rates.saw(self.world.profile_id, CREATE_POST, [window], now=now)
            self.header = Header(remaining=remaining, resets_at=resets_at)
            self.clock.pass_time(1)

        def teardown(self) -> None:
            if not hasattr(self, "entries"):
                return
            counted = [entry for entry in self.entries if entry.counts]
            row = self.world.rows(
                "SELECT coalesce(sum(tweets_posted), 0), coalesce(sum(reads_made), 0), "
                "coalesce(sum(cost_usd), 0) FROM api_usage_tracking"
            )[0]
            assert tuple(row) == (
                sum(entry.units for entry in counted if entry.kind is CallKind.POST),
                sum(entry.units for entry in counted if entry.kind is CallKind.READ),
                sum((entry.cost for entry in counted), Decimal(0)),
            )

        def _has_room(self, kind: CallKind, units: int, cost: Decimal, now: datetime) -> bool:
            """Whether every cap has room, counted by hand."""
            counted = [entry for entry in self.entries if entry.counts]
            month = [entry for entry in counted if (entry.at.year, entry.at.month) == (now.year, now.month)]
            budget = self.limits.budget_usd or Decimal(0)
            if sum((entry.cost for entry in month), Decimal(0)) + cost > budget:
                return False
            if kind is CallKind.READ:
                reads = sum(entry.units for entry in month if entry.kind is CallKind.READ)
                return reads + units <= (self.limits.reads_month or 0)
            for span, cap in ((15, self.limits.posts_15min), (24 * 60, self.limits.posts_24h)):
                inside = [entry for entry in counted if entry.at > now - timedelta(minutes=span)]
                if sum(one.units for one in inside if one.kind is CallKind.POST) + units > (cap or 0):
                    return False
            if self.header is not None and self.header.resets_at > now:
                return self.header.remaining - len(self.header.reserved_since) >= units
            return True

        def _is_right_at(self, until: datetime, wanted: Wanted) -> None:
            agent = self.world.engine.services.limits
            with manager.transaction() as tx:
                then = agent.usage(tx, self.world.profile_id, until)
                before = agent.usage(tx, self.world.profile_id, until - timedelta(seconds=1))
            assert isinstance(decide(then, self.limits, until, wanted), Allow)
            early = until - timedelta(seconds=1)
            if early > self.clock.now():
                assert not isinstance(decide(before, self.limits, early, wanted), Allow)

    return LedgerMachine


@pytest.mark.no_cover  # as wherever hypothesis draws examples
def test_the_judge_over_the_real_ledger_agrees_with_counting_by_hand(manager: DatabaseManager) -> None:
    case = machine(manager).TestCase
    case.settings = settings(
        max_examples=40,
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    case("runTest").runTest()

"""Any history of spending: no cap is ever passed, and nothing waits without need."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.core.rates import RateWindow
from bot.core.spending.limits import CREATE_POST, Allow, Limits, Wait, Wanted, decide
from bot.core.states import CallKind, CallState
from tests.core.ledger_model import Entry, Header, Ledger, broken_caps, impossible, month_end, obstacles
from tests.core.makers import SECOND, utc

TIMELINE = "GET /2/users/:id/tweets"
OPEN_STATES = (CallState.RESERVED, CallState.UNKNOWN)

moments = st.sampled_from(
    [
        utc("2026-12-31T23:50:00"),
        utc("2028-02-28T22:00:00.000001"),
        utc("2028-02-29T23:59:59.999999"),
        utc("2027-02-28T13:00:00"),
        utc("2026-03-29T00:30:00.250000"),
        utc("2026-10-25T00:30:00"),
        utc("2026-11-12T09:00:00"),
    ]
)
microseconds = st.integers(min_value=0, max_value=999_999).map(lambda count: timedelta(microseconds=count))
steps = st.one_of(
    st.sampled_from([timedelta(microseconds=1), SECOND, timedelta(minutes=15), timedelta(hours=24)]),
    st.integers(min_value=1, max_value=1_800).map(lambda count: timedelta(seconds=count)),
    st.integers(min_value=1, max_value=60).map(lambda count: timedelta(hours=count)),
)
costs = st.sampled_from([Decimal(0), Decimal("0.001"), Decimal("0.015"), Decimal("0.200"), Decimal("0.5")])
# Mostly caps that a history of this length fills now and then, seldom ones that never let go.
limits_of_all_kinds = st.builds(
    Limits,
    posts_15min=st.sampled_from([None, None, 2, 3, 5, 6]),
    posts_24h=st.sampled_from([None, None, 4, 5, 8, 12, 0]),
    posts_month=st.sampled_from([None, None, 6, 10, 25, 40, 1]),
    reads_month=st.sampled_from([None, 100, 150, 300, 0]),
    tokens_day=st.sampled_from([None, None, 1_200, 3_000, 500]),
    budget_usd=st.sampled_from([None, None, Decimal(1), Decimal("2.5"), Decimal(20), Decimal("0.1")]),
    spacing=st.sampled_from([timedelta(0), timedelta(0), timedelta(seconds=90.5), timedelta(hours=2)]),
)
post_wishes = st.builds(
    Wanted,
    units=st.sampled_from([1, 1, 1, 2, 5]),
    cost_usd=costs,
    tokens=st.sampled_from([0, 0, 400]),
    spaced=st.booleans(),
)
read_wishes = st.builds(
    Wanted,
    kind=st.just(CallKind.READ),
    endpoint=st.just(TIMELINE),
    units=st.integers(min_value=1, max_value=100),
    cost_usd=costs,
    spaced=st.just(False),
)
model_wishes = st.builds(
    Wanted,
    kind=st.just(CallKind.MODEL),
    endpoint=st.just("POST /v1/chat/completions"),
    cost_usd=costs,
    tokens=st.integers(min_value=0, max_value=1_200),
    spaced=st.just(False),
)
wishes = st.one_of(post_wishes, post_wishes, read_wishes, model_wishes)


class Spending(RuleBasedStateMachine):
    """A worker that spends only on Allow, on a ledger where all that can happen happens."""

    now: datetime
    limits: Limits

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.named: datetime | None = None
        self.others_spent = False

    @initialize(now=moments, limits=limits_of_all_kinds)
    def start(self, now: datetime, limits: Limits) -> None:
        self.now, self.limits = now, limits

    @rule(step=steps, rest=microseconds)
    def time_passes(self, step: timedelta, rest: timedelta) -> None:
        self.now += step + rest

    @rule(offset=st.sampled_from([-SECOND, timedelta(0), SECOND]))
    def the_month_ends(self, offset: timedelta) -> None:
        self.now = max(self.now, month_end(self.now) + offset)

    @precondition(lambda self: self.named is not None)
    @rule(early=st.booleans())
    def the_named_time_comes(self, early: bool) -> None:
        assert self.named is not None
        self.now = max(self.now, self.named - SECOND if early else self.named)

    @rule(minutes=st.integers(min_value=1, max_value=150), sure=st.integers(min_value=0, max_value=4))
    def the_clock_jumps_back(self, minutes: int, sure: int) -> None:
        if sure == 0:
            self.now -= timedelta(minutes=minutes)

    @rule(wanted=st.lists(wishes, min_size=1, max_size=6))
    def calls_are_wanted(self, wanted: list[Wanted]) -> None:
        for one in wanted:
            self.want(one)

    @rule(hours=st.lists(st.integers(min_value=0, max_value=7), min_size=1, max_size=10))
    def posts_are_wanted_over_the_day(self, hours: list[int]) -> None:
        for pause in hours:
            self.now += timedelta(hours=pause, seconds=pause)
            self.want(Wanted(cost_usd=Decimal("0.015")))

    def want(self, wanted: Wanted) -> None:
        verdict = decide(self.ledger.usage(self.now), self.limits, self.now, wanted)
        if not self.ledger.ahead(self.now):
            self.judge(verdict, wanted)
        if isinstance(verdict, Allow):
            self.ledger.entries.append(Entry(at=self.now, wanted=wanted, cost=wanted.cost_usd))
            return
        self.named = verdict.until
        assert verdict.until is None or verdict.until > self.now

    def judge(self, verdict: Allow | Wait, wanted: Wanted) -> None:
        against = obstacles(self.ledger, self.limits, self.now, wanted)
        if isinstance(verdict, Allow):
            assert against == set()
            return
        assert verdict.limit in against
        assert (verdict.until is None) == bool(impossible(self.limits, wanted))
        if verdict.until is None:
            return
        assert verdict.until.microsecond == 0
        assert self.at(verdict.until, wanted) == "allow"
        if verdict.until - self.now > SECOND:
            assert self.at(verdict.until - SECOND, wanted) == "wait"

    def at(self, moment: datetime, wanted: Wanted) -> str:
        return decide(self.ledger.usage(moment), self.limits, moment, wanted).verdict

    def open_entries(self) -> list[Entry]:
        return [entry for entry in self.ledger.entries if entry.state in OPEN_STATES]

    @precondition(lambda self: self.open_entries())
    @rule(which=st.integers(min_value=0), state=st.sampled_from(["settled", "released", "unknown"]))
    def an_answer_comes(self, which: int, state: str) -> None:
        entries = self.open_entries()
        entries[which % len(entries)].state = CallState(state)

    @precondition(lambda self: self.open_entries())
    @rule(which=st.integers(min_value=0))
    def a_call_turns_out_cheaper(self, which: int) -> None:
        entries = self.open_entries()
        entry = entries[which % len(entries)]
        entry.state, entry.cost = CallState.SETTLED, entry.cost / 2

    @rule(units=st.integers(min_value=1, max_value=5), kind=st.sampled_from(["post", "read"]), cost=costs)
    def others_use_the_same_keys(self, units: int, kind: str, cost: Decimal) -> None:
        wanted = Wanted(kind=CallKind(kind), endpoint="elsewhere", units=units)
        self.ledger.entries.append(Entry(at=self.now, wanted=wanted, state=CallState.EXTERNAL, cost=cost))
        self.others_spent = True

    @rule(
        name=st.sampled_from(["15m", "24h_user"]),
        limit=st.none() | st.just(17),
        remaining=st.integers(min_value=0, max_value=6),
        life=st.integers(min_value=-60, max_value=90_000),
    )
    def headers_tell_a_window(self, name: str, limit: int | None, remaining: int, life: int) -> None:
        resets_at = self.now.replace(microsecond=0) + timedelta(seconds=life)
        window = RateWindow(name=name, limit=limit, remaining=remaining, resets_at=resets_at)
        self.ledger.headers[CREATE_POST, name] = Header(window=window, seen_at=self.now)

    @rule(life=st.integers(min_value=1, max_value=3_600))
    def credits_run_out(self, life: int) -> None:
        resets_at = self.now + timedelta(seconds=life)
        window = RateWindow(name="credits", limit=None, remaining=0, resets_at=resets_at)
        self.ledger.headers["*", "credits"] = Header(window=window, seen_at=self.now)

    @rule(times=st.sampled_from([1, 2, 5]))
    def the_worker_starts(self, times: int) -> None:
        self.ledger.starts.extend([self.now] * times)

    @invariant()
    def no_window_ever_holds_more_than_its_cap(self) -> None:
        if self.ledger.entries and not self.others_spent:
            assert broken_caps(self.ledger, self.limits) == set()


class SpendingAlone(Spending):
    """The same without other programs on the keys, so that every cap must hold over all history."""

    @precondition(lambda _: False)
    @rule()
    def others_use_the_same_keys(self) -> None:
        raise AssertionError("nobody else holds the keys")


_SETTINGS = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestSpending = Spending.TestCase
TestSpending.settings = _SETTINGS
TestSpendingAlone = SpendingAlone.TestCase
TestSpendingAlone.settings = _SETTINGS

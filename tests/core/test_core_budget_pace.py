"""A month that the budget doesn't pay for in full: it is spent whole, and evenly."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.posting.schedule import wishes
from bot.core.spending.forecast import Comparison, forecast
from bot.core.spending.limits import Limits, Usage, Wanted, decide
from tests.core.makers import capped, plan, utc

YEAR_AND_MONTH = st.sampled_from(
    [(2026, 1), (2026, 4), (2027, 2), (2028, 2), (2026, 3), (2026, 10), (2026, 11), (2026, 12)]
)
COSTS = st.sampled_from([Decimal("0.015"), Decimal("0.016"), Decimal("0.200"), Decimal("0.2017")])
shares = st.floats(min_value=0, max_value=1, exclude_max=True)


@dataclass(frozen=True)
class Simulated:
    posted: tuple[datetime, ...]
    cost: Decimal


def simulate(
    slots: Sequence[datetime], limits: Limits, cost_of: Callable[[int], Decimal], last: datetime | None = None
) -> Simulated:
    """Asks at every slot of a month and posts when allowed."""
    posted: list[datetime] = []
    total = Decimal(0)
    for index, moment in enumerate(slots):
        cost = cost_of(index)
        usage = Usage(cost_month=total, posts_month=len(posted), last_post_at=posted[-1] if posted else last)
        if decide(usage, limits, moment, Wanted(cost_usd=cost)).verdict == "allow":
            posted.append(moment)
            total += cost
    return Simulated(posted=tuple(posted), cost=total)


def round_the_clock(year: int, month: int, per_day: int) -> list[datetime]:
    start, days = datetime(year, month, 1, tzinfo=UTC), monthrange(year, month)[1]
    step = timedelta(days=1) / per_day
    return [start + step * index + step / 2 for index in range(per_day * days)]


def by_day(year: int, month: int, per_day: int, zone: str = "UTC") -> list[datetime]:
    wanted = plan(per_day, starts=time(8), ends=time(22))
    days = range(1, monthrange(year, month)[1] + 1)
    return [wish.due_at for day in days for wish in wishes(wanted, zone=zone, day=date(year, month, day))]


def tight(affordable: int, per_day: int, cost: Decimal, rest: Decimal = Decimal(0)) -> Limits:
    return capped(budget_usd=affordable * cost + rest, planned_per_day=per_day, cost_per_post=cost)


@settings(max_examples=50, deadline=None)
@given(when=YEAR_AND_MONTH, per_day=st.integers(1, 24), share=shares, cost=COSTS, rest=shares)
def test_a_tight_budget_lasts_the_month_in_even_steps(
    when: tuple[int, int], per_day: int, share: float, cost: Decimal, rest: float
) -> None:
    slots = round_the_clock(*when, per_day)
    affordable = max(1, int(share * len(slots)))
    remainder = (cost * Decimal(rest)).quantize(Decimal("0.000001")) * Decimal("0.99")
    limits = tight(affordable, per_day, cost, remainder)
    assert limits.budget_usd is not None
    result = simulate(slots, limits, lambda _: cost)
    assert result.cost <= limits.budget_usd
    assert len(result.posted) >= 0.9 * affordable
    length = timedelta(days=monthrange(*when)[1])
    start = datetime(*when, 1, tzinfo=UTC)
    ends = [start, *result.posted, start + length]
    largest = max(later - earlier for earlier, later in pairwise(ends))
    assert largest < 3 * length / affordable


@settings(max_examples=35, deadline=None)
@given(when=YEAR_AND_MONTH, per_day=st.integers(1, 17), share=shares, cost=COSTS)
def test_a_tight_budget_takes_even_steps_through_daytime_slots(
    when: tuple[int, int], per_day: int, share: float, cost: Decimal
) -> None:
    slots = by_day(*when, per_day)
    affordable = max(1, int(share * len(slots)))
    result = simulate(slots, tight(affordable, per_day, cost), lambda _: cost)
    assert result.cost <= affordable * cost
    assert len(result.posted) >= 0.9 * affordable
    steps = [-1, *(slots.index(moment) for moment in result.posted), len(slots)]
    largest = max(later - earlier for earlier, later in pairwise(steps))
    # Nights hold no slots, so a pace in hours may wait one night's worth of slots more.
    assert largest <= 3 * len(slots) / affordable + per_day


@settings(max_examples=35, deadline=None)
@given(
    when=YEAR_AND_MONTH,
    per_day=st.integers(1, 12),
    share=shares,
    dear=st.lists(st.booleans(), min_size=31 * 12, max_size=31 * 12),
)
def test_posts_dearer_than_the_plan_thought_never_pass_the_budget(
    when: tuple[int, int], per_day: int, share: float, dear: list[bool]
) -> None:
    slots = round_the_clock(*when, per_day)
    affordable = max(1, int(share * len(slots)))
    limits = tight(affordable, per_day, Decimal("0.015"))
    assert limits.budget_usd is not None
    result = simulate(slots, limits, lambda index: Decimal("0.200") if dear[index] else Decimal("0.015"))
    assert result.cost <= limits.budget_usd


@settings(max_examples=35, deadline=None)
@given(when=YEAR_AND_MONTH, per_day=st.integers(2, 12), share=shares, first_day=st.integers(1, 25))
def test_a_bot_switched_on_in_the_month_spreads_the_whole_budget_without_a_burst(
    when: tuple[int, int], per_day: int, share: float, first_day: int
) -> None:
    cost = Decimal("0.015")
    begins = datetime(*when, first_day, tzinfo=UTC)
    slots = [moment for moment in round_the_clock(*when, per_day) if moment >= begins]
    affordable = max(2, int(share * len(slots)))
    result = simulate(slots, tight(affordable, per_day, cost), lambda _: cost)
    assert 0.9 * affordable <= len(result.posted) <= affordable
    mean = len(slots) / affordable
    steps = [-1, *(slots.index(moment) for moment in result.posted), len(slots)]
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    assert max(gaps) <= 3 * mean + 1
    # Two posts are never nearer than half an even step, but for the slot they fall into.
    assert min(gaps[1:-1]) >= mean / 2 - 1


def test_a_budget_that_pays_for_every_slot_skips_none() -> None:
    for year, month in ((2026, 1), (2027, 2), (2028, 2), (2026, 4)):
        slots = by_day(year, month, 4)
        result = simulate(slots, tight(len(slots), 4, Decimal("0.015")), lambda _: Decimal("0.015"))
        assert result.posted == tuple(slots)


def test_thirty_posts_for_a_plan_of_a_hundred_and_twenty_go_out_about_once_a_day() -> None:
    slots = by_day(2026, 11, 4, "Europe/Berlin")
    result = simulate(slots, tight(30, 4, Decimal("0.2")), lambda _: Decimal("0.2"))
    per_week = [sum(1 for moment in result.posted if (moment.day - 1) // 7 == week) for week in range(4)]
    assert len(result.posted) >= 29
    assert all(6 <= count <= 8 for count in per_week)
    assert result.posted[0] < utc("2026-11-03T00:00:00")
    assert result.posted[-1] > utc("2026-11-28T00:00:00")


@pytest.mark.parametrize("last", ["2026-10-31T23:59:00", "2026-10-20T12:00:00", "2026-01-01T12:00:00"])
def test_a_month_is_paced_from_its_first_day_whenever_the_last_post_was(last: str) -> None:
    slots = by_day(2026, 11, 4)
    limits = tight(30, 4, Decimal("0.2"))
    with_last = simulate(slots, limits, lambda _: Decimal("0.2"), last=utc(last))
    assert with_last == simulate(slots, limits, lambda _: Decimal("0.2"))


def test_a_post_that_costs_nothing_is_not_paced_and_leaves_the_forecast_as_it_is() -> None:
    limits = capped(budget_usd=Decimal(1), planned_per_day=24, cost_per_post=Decimal(0))
    usage = Usage(cost_month=Decimal("0.9"), last_post_at=utc("2026-06-21T00:00:00"))
    now = utc("2026-06-21T00:00:01")
    assert decide(usage, limits, now).verdict == "allow"
    assert forecast(usage, limits, now).cost_usd == Decimal("0.9")
    assert forecast(usage, limits, now).posts_left == 239


@pytest.mark.parametrize("scope", ["budget_usd", "profile_budget_usd"])
def test_a_budget_for_thousands_of_years_sets_no_pace(scope: str) -> None:
    limits = capped(**{scope: Decimal(10**6)}, planned_per_day=1, cost_per_post=Decimal("0.000001"))
    usage = Usage(cost_month=Decimal("0.5"), last_post_at=utc("2026-06-21T00:00:00"))
    assert decide(usage, limits, utc("2026-06-21T00:00:01")).verdict == "allow"


def test_the_forecast_includes_what_the_daily_comparison_reads() -> None:
    now, limits = utc("2026-06-21T00:00:00"), capped(planned_per_day=4, cost_per_post=Decimal("0.015"))
    own = Comparison(every=timedelta(hours=20), posts=200, most=100, post_usd=Decimal("0.005"))
    assert forecast(Usage(), limits, now, own).cost_usd == 40 * Decimal("0.015") + 12 * 100 * Decimal("0.005")
    young = replace(own, posts=10, post_usd=Decimal("0.001"))
    assert forecast(Usage(), limits, now, young).cost_usd == Decimal("0.6") + 12 * 30 * Decimal("0.001")
    capped_reads = replace(limits, reads_month=150)
    assert forecast(Usage(reads_month=50), capped_reads, now, own).cost_usd == Decimal("0.6") + Decimal("0.5")
    for read in (150, 151):
        assert forecast(Usage(reads_month=read), capped_reads, now, own).cost_usd == Decimal("0.6")
    tight = replace(limits, budget_usd=Decimal(2))
    assert forecast(Usage(), tight, now, own).cost_usd == 2

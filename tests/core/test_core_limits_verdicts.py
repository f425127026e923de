"""What a verdict says: which limit, how much, until when, and where the month ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.core.spending.forecast import forecast
from bot.core.spending.limits import Allow, Gauge, Limits, Usage, Wait, Wanted, decide, gauge_limits
from bot.core.states import CallKind
from tests.core.makers import NO_LIMITS, capped, read, seen, spent, told, utc

NOW = utc("2026-12-30T22:15:00")
DOLLAR = Decimal(1)


@pytest.mark.parametrize(
    ("limits", "wanted", "limit"),
    [
        (capped(posts_15min=0), Wanted(), "posts_15min"),
        (capped(posts_24h=0), Wanted(), "posts_24h"),
        (capped(posts_month=0), Wanted(), "posts_month"),
        (capped(reads_month=0), read(1), "reads_month"),
        (capped(tokens_day=0), Wanted(tokens=1), "tokens_day"),
        (capped(budget_usd=Decimal(0)), Wanted(cost_usd=Decimal("0.015")), "budget_usd"),
        (capped(posts_24h=3), Wanted(units=4), "posts_24h"),
        (capped(posts_15min=3), Wanted(units=4), "posts_15min"),
        (capped(reads_month=99), read(100), "reads_month"),
        (capped(budget_usd=Decimal("0.1")), Wanted(cost_usd=Decimal("0.2")), "budget_usd"),
    ],
)
def test_what_can_never_fit_is_told_without_a_time(limits: Limits, wanted: Wanted, limit: str) -> None:
    verdict = decide(Usage(), limits, NOW, wanted)
    assert isinstance(verdict, Wait)
    assert (verdict.limit, verdict.until) == (limit, None)
    assert "never" in verdict.reason


def test_a_cap_of_zero_leaves_other_calls_free() -> None:
    none = Limits(posts_15min=0, posts_24h=0, posts_month=0)
    assert isinstance(decide(Usage(), none, NOW, read(5)), Allow)
    assert isinstance(decide(Usage(), capped(reads_month=0), NOW), Allow)
    assert isinstance(decide(Usage(), capped(budget_usd=Decimal(0)), NOW), Allow)


def test_the_limit_that_lets_go_last_binds() -> None:
    usage = Usage(
        posts=spent("2026-12-30T22:10:00", "2026-12-30T08:00:00"),
        posts_month=500,
        last_post_at=utc("2026-12-30T22:10:00"),
    )
    limits = Limits(posts_15min=1, posts_24h=2, posts_month=500, spacing=timedelta(hours=1))
    untils = {}
    for loosened in ("posts_month", "posts_24h", "spacing", "posts_15min"):
        verdict = decide(usage, limits, NOW)
        assert isinstance(verdict, Wait)
        untils[verdict.limit] = verdict.until
        loose: dict[str, Any] = {loosened: timedelta(0) if loosened == "spacing" else None}
        limits = replace(limits, **loose)
    assert untils == {
        "posts_month": utc("2027-01-01T00:00:00"),
        "posts_24h": utc("2026-12-31T08:00:00"),
        "spacing": utc("2026-12-30T23:10:00"),
        "posts_15min": utc("2026-12-30T22:25:00"),
    }
    assert list(untils) == ["posts_month", "posts_24h", "spacing", "posts_15min"]
    assert isinstance(decide(usage, limits, NOW), Allow)


def test_never_binds_before_any_time() -> None:
    usage = Usage(posts_month=5)
    verdict = decide(usage, capped(posts_24h=0, posts_month=5), NOW)
    assert isinstance(verdict, Wait)
    assert (verdict.limit, verdict.until) == ("posts_24h", None)


def test_a_wait_tells_used_and_cap_in_plain_figures() -> None:
    verdict = decide(Usage(posts=spent(NOW, units=100)), capped(posts_24h=100), NOW)
    assert verdict.reason == "posts_24h: 100 of 100 used (24h)"
    assert verdict.verdict == "wait"


def test_an_allow_names_the_tightest_limit() -> None:
    usage = Usage(posts=spent(NOW, units=2), posts_month=90, cost_month=Decimal("1.5"))
    limits = Limits(posts_15min=100, posts_24h=17, posts_month=100, budget_usd=Decimal(10))
    verdict = decide(usage, limits, NOW)
    assert isinstance(verdict, Allow)
    assert told(verdict) == ("posts_month", 90, 100)
    assert verdict.verdict == "allow"
    assert verdict.reason == "posts_month: 90 of 100 used (month), room left"
    nearer = decide(replace(usage, posts=spent(NOW, units=16)), limits, NOW)
    assert told(nearer) == ("posts_24h", 16, 17)
    by_x = decide(replace(usage, seen=(seen(1, "2026-12-30T22:20:00"),)), limits, NOW)
    assert told(by_x) == ("x_15m", 99, 100)


def test_an_allow_without_limits_says_so() -> None:
    verdict = decide(Usage(posts=spent(NOW)), NO_LIMITS, NOW)
    assert isinstance(verdict, Allow)
    assert told(verdict) == (None, None, None)
    assert verdict.reason == "no limit is set"


def test_an_allow_never_names_a_limit_without_room() -> None:
    usage, limits = Usage(reads_month=100), Limits(reads_month=100)
    verdict = decide(usage, limits, NOW)
    assert isinstance(verdict, Allow)
    assert verdict.limit == "posts_24h"
    assert verdict.cap == 17


def test_every_limit_is_gauged_whatever_is_wanted() -> None:
    for wanted in (Wanted(), read(1), Wanted(kind=CallKind.MODEL, tokens=5)):
        names = {gauge.name for gauge in gauge_limits(Usage(), Limits(), NOW, wanted)}
        assert names >= {
            "posts_15min",
            "posts_24h",
            "posts_month",
            "reads_month",
            "tokens_day",
            "budget_usd",
        }


def test_gauges_tell_when_their_window_moves() -> None:
    usage = Usage(posts=spent("2026-12-30T22:10:00", "2026-12-30T08:00:00"))
    gauges = {gauge.name: gauge for gauge in gauge_limits(usage, Limits(), NOW)}
    assert gauges["posts_15min"].resets_at == utc("2026-12-30T22:25:00")
    assert gauges["posts_24h"].resets_at == utc("2026-12-31T08:00:00")
    assert gauges["posts_24h"].remaining == 15
    assert gauges["posts_month"].resets_at == utc("2027-01-01T00:00:00")
    assert gauges["tokens_day"].resets_at == utc("2026-12-31T00:00:00")
    assert gauges["posts_month"].remaining is None


def test_a_gauge_over_its_cap_has_nothing_left_rather_than_less() -> None:
    assert Gauge(name="posts_24h", window="24h", used=Decimal(20), cap=Decimal(17)).remaining == 0


def test_the_first_of_the_month_is_a_time_at_which_the_plan_may_really_post() -> None:
    # "the moment, exact to the second, at which the same call is allowed if nothing else is spent"
    limits = capped(budget_usd=Decimal("0.30"), planned_per_day=4, cost_per_post=Decimal("0.015"))
    wanted = Wanted(cost_usd=Decimal("0.015"))
    last = utc("2026-12-30T20:00:00")
    spent_out = Usage(cost_month=Decimal("0.30"), last_post_at=last)
    verdict = decide(spent_out, limits, NOW, wanted)
    assert isinstance(verdict, Wait)
    assert verdict.until is not None
    assert isinstance(decide(Usage(last_post_at=last), limits, verdict.until, wanted), Allow)


def test_the_pace_lets_go_at_the_second_it_named_and_not_before() -> None:
    limits = capped(budget_usd=DOLLAR, planned_per_day=1, cost_per_post=DOLLAR)
    last = utc("2026-12-30T12:00:00")
    usage = Usage(last_post_at=last)
    verdict = decide(usage, limits, last + timedelta(minutes=1), Wanted(cost_usd=DOLLAR))
    assert isinstance(verdict, Wait)
    assert verdict.until is not None
    assert isinstance(decide(usage, limits, verdict.until, Wanted(cost_usd=DOLLAR)), Allow)
    early = decide(usage, limits, verdict.until - timedelta(seconds=1), Wanted(cost_usd=DOLLAR))
    assert isinstance(early, Wait), f"allowed a second before {verdict.until}"


def test_a_tight_budget_spreads_the_posts_that_are_left() -> None:
    limits = capped(budget_usd=Decimal(2), planned_per_day=10, cost_per_post=DOLLAR)
    last = utc("2026-06-01T00:00:00")
    verdict = decide(Usage(cost_month=DOLLAR, last_post_at=last), limits, utc("2026-06-02T00:00:00"))
    assert isinstance(verdict, Wait)
    assert (verdict.limit, verdict.until) == ("budget_pace", utc("2026-06-16T00:00:00"))


def test_a_budget_that_pays_for_the_whole_plan_sets_no_pace() -> None:
    limits = capped(budget_usd=Decimal(300), planned_per_day=10, cost_per_post=DOLLAR)
    usage = Usage(last_post_at=utc("2026-06-01T00:00:00"))
    assert isinstance(decide(usage, limits, utc("2026-06-01T00:00:01")), Allow)
    tighter = replace(limits, budget_usd=Decimal(299))
    assert decide(usage, tighter, utc("2026-06-01T00:00:01")).limit == "budget_pace"


def test_the_forecast_is_the_plan_at_its_price() -> None:
    limits = capped(planned_per_day=4, cost_per_post=Decimal("0.015"))
    found = forecast(Usage(cost_month=Decimal("0.5")), limits, utc("2026-06-21T00:00:00"))
    assert (found.posts_left, found.days_left, found.cost_usd) == (40, 10, Decimal("1.100"))


def test_the_forecast_knows_leap_years() -> None:
    limits = capped(planned_per_day=1)
    assert forecast(Usage(), limits, utc("2028-02-01T00:00:00")).posts_left == 29
    assert forecast(Usage(), limits, utc("2027-02-01T00:00:00")).posts_left == 28


@pytest.mark.parametrize(
    ("changes", "posts_left"),
    [
        ({"posts_24h": 2}, 21),
        ({"posts_month": 105}, 5),
        ({"posts_month": 90}, 0),
        ({"budget_usd": Decimal(8)}, 3),
        ({"budget_usd": Decimal("0.5")}, 0),
    ],
)
def test_the_forecast_stops_at_each_cap(changes: dict[str, int | Decimal], posts_left: int) -> None:
    limits = capped(**{"planned_per_day": 4, "cost_per_post": DOLLAR * 2, **changes})
    usage = Usage(posts_month=100, cost_month=DOLLAR)
    found = forecast(usage, limits, utc("2026-06-21T00:00:00"))
    assert found.posts_left == posts_left
    assert found.cost_usd == 1 + 2 * posts_left


def test_the_forecast_never_passes_the_budget_it_was_given() -> None:
    limits = capped(planned_per_day=50, cost_per_post=Decimal("0.2"), budget_usd=Decimal("7.1"))
    for day in range(1, 31):
        found = forecast(Usage(cost_month=Decimal("1.1")), limits, utc(f"2026-06-{day:02}T13:00:00"))
        assert found.cost_usd <= Decimal("7.1")

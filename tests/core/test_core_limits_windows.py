"""Each limit on its own: what it counts, when it closes, and to the second when it lets go."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bot.core.spending.forecast import forecast
from bot.core.spending.limits import (
    Allow,
    Limits,
    Spent,
    Usage,
    Wait,
    Wanted,
    decide,
    gauge_limits,
    month_start,
    next_month,
)
from bot.core.states import CallKind
from tests.core.makers import NO_LIMITS, SECOND, TICK, capped, read, seen, spent, told, utc

NOW = utc("2026-12-30T22:15:00")
ROLLING = [("posts_15min", timedelta(minutes=15)), ("posts_24h", timedelta(hours=24))]
MONTH_ENDS = [
    ("2026-12-30T22:15:00", "2027-01-01T00:00:00"),
    ("2026-12-31T23:59:59.999999", "2027-01-01T00:00:00"),
    ("2027-01-01T00:00:00", "2027-02-01T00:00:00"),
    ("2027-02-28T23:59:59", "2027-03-01T00:00:00"),
    ("2028-02-28T12:00:00", "2028-03-01T00:00:00"),
    ("2028-02-29T23:59:59", "2028-03-01T00:00:00"),
    ("2026-04-30T00:00:00", "2026-05-01T00:00:00"),
    ("2026-10-31T01:30:00", "2026-11-01T00:00:00"),
]


def waits(usage: Usage, limits: Limits, now: datetime = NOW, wanted: Wanted | None = None) -> Wait:
    verdict = decide(usage, limits, now, wanted or Wanted())
    assert isinstance(verdict, Wait), verdict
    return verdict


def allows(usage: Usage, limits: Limits, now: datetime = NOW, wanted: Wanted | None = None) -> Allow:
    verdict = decide(usage, limits, now, wanted or Wanted())
    assert isinstance(verdict, Allow), verdict
    return verdict


@pytest.mark.parametrize(("name", "length"), ROLLING)
def test_a_full_rolling_window_opens_when_its_oldest_post_leaves(name: str, length: timedelta) -> None:
    oldest = NOW - length + timedelta(seconds=7)
    usage = Usage(posts=spent(NOW - timedelta(seconds=1), oldest))
    limits = capped(**{name: 2})
    verdict = waits(usage, limits)
    assert told(verdict) == (name, 2, 2)
    assert verdict.until == NOW + timedelta(seconds=7)
    waits(usage, limits, NOW + timedelta(seconds=7) - TICK)
    allows(usage, limits, NOW + timedelta(seconds=7))


@pytest.mark.parametrize(("name", "length"), ROLLING)
def test_a_rolling_window_with_one_place_left_allows(name: str, length: timedelta) -> None:
    usage = Usage(posts=spent(NOW, NOW - length + TICK))
    verdict = allows(usage, capped(**{name: 3}))
    assert told(verdict) == (name, 2, 3)


@pytest.mark.parametrize(("name", "length"), ROLLING)
def test_a_post_exactly_one_window_old_no_longer_counts(name: str, length: timedelta) -> None:
    limits = capped(**{name: 1})
    assert allows(Usage(posts=spent(NOW - length)), limits).used == 0
    assert waits(Usage(posts=spent(NOW - length + TICK)), limits).used == 1


@pytest.mark.parametrize(("name", "length"), ROLLING)
def test_until_is_the_next_whole_second_after_a_post_with_microseconds(name: str, length: timedelta) -> None:
    usage = Usage(posts=spent("2026-12-30T22:10:00.000001"))
    limits = capped(**{name: 1})
    until = utc("2026-12-30T22:10:01") + length
    assert waits(usage, limits).until == until
    allows(usage, limits, until)
    waits(usage, limits, until - SECOND)


def test_posts_in_any_order_give_the_same_verdict() -> None:
    moments = ["2026-12-30T03:00:00", "2026-12-30T21:00:00", "2026-12-30T09:00:00"]
    limits = capped(posts_24h=2)
    verdicts = {
        waits(Usage(posts=spent(*order)), limits).until for order in (moments, moments[::-1], sorted(moments))
    }
    assert verdicts == {utc("2026-12-31T09:00:00")}


def test_use_recorded_elsewhere_as_one_row_of_five_counts_five() -> None:
    usage = Usage(posts=spent("2026-12-30T10:00:00", units=5))
    assert allows(usage, capped(posts_24h=6)).used == 5
    verdict = waits(usage, capped(posts_24h=5))
    assert verdict.used == 5
    assert verdict.until == utc("2026-12-31T10:00:00")


def test_a_thread_waits_until_enough_units_have_left() -> None:
    usage = Usage(
        posts=(*spent("2026-12-30T09:00:00", "2026-12-30T12:00:00"), *spent("2026-12-30T10:00:00", units=5))
    )
    limits = capped(posts_24h=10)
    assert waits(usage, limits, wanted=Wanted(units=4)).until == utc("2026-12-31T09:00:00")
    assert waits(usage, limits, wanted=Wanted(units=5)).until == utc("2026-12-31T10:00:00")
    assert waits(usage, limits, wanted=Wanted(units=9)).until == utc("2026-12-31T10:00:00")
    assert waits(usage, limits, wanted=Wanted(units=10)).until == utc("2026-12-31T12:00:00")
    allows(usage, limits, wanted=Wanted(units=3))


def test_a_window_overfull_from_elsewhere_waits_for_the_surplus_too() -> None:
    usage = Usage(posts=spent("2026-12-30T05:00:00", "2026-12-30T06:00:00", "2026-12-30T07:00:00"))
    assert waits(usage, capped(posts_24h=1)).until == utc("2026-12-31T07:00:00")


def test_a_clock_that_jumped_back_still_counts_the_posts_ahead_of_it() -> None:
    usage = Usage(posts=spent("2026-12-30T23:15:00"))
    verdict = waits(usage, capped(posts_24h=1))
    assert verdict.until == utc("2026-12-31T23:15:00")


@pytest.mark.parametrize(("now", "end"), MONTH_ENDS)
@pytest.mark.parametrize(
    ("usage", "limits", "wanted"),
    [
        (Usage(posts_month=500), capped(posts_month=500), Wanted()),
        (Usage(reads_month=96), capped(reads_month=100), read(5)),
        (
            Usage(cost_month=Decimal("4.99")),
            capped(budget_usd=Decimal(5)),
            Wanted(cost_usd=Decimal("0.015")),
        ),
    ],
    ids=["posts_month", "reads_month", "budget_usd"],
)
def test_a_spent_month_opens_at_the_first_of_the_next(
    usage: Usage, limits: Limits, wanted: Wanted, now: str, end: str
) -> None:
    verdict = waits(usage, limits, utc(now), wanted)
    assert verdict.until == utc(end)
    assert verdict.limit in {"posts_month", "reads_month", "budget_usd"}
    allows(Usage(), limits, utc(end), wanted)


def test_the_last_unit_of_a_month_may_be_spent() -> None:
    allows(Usage(posts_month=499), capped(posts_month=500))
    allows(Usage(reads_month=95), capped(reads_month=100), wanted=read(5))
    dearest = Wanted(cost_usd=Decimal("0.015"))
    allows(Usage(cost_month=Decimal("4.985")), capped(budget_usd=Decimal(5)), wanted=dearest)


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-12-31T23:59:59.999999", "2027-01-01T00:00:00"),
        ("2028-02-28T00:00:00", "2028-02-29T00:00:00"),
        ("2028-02-29T13:00:00", "2028-03-01T00:00:00"),
        ("2026-03-29T01:30:00", "2026-03-30T00:00:00"),
    ],
)
def test_spent_tokens_come_back_at_midnight_utc(now: str, midnight: str) -> None:
    limits = capped(tokens_day=1_000)
    wanted = Wanted(kind=CallKind.MODEL, endpoint="model", tokens=101, spaced=False)
    verdict = waits(Usage(tokens_day=900), limits, utc(now), wanted)
    assert told(verdict) == ("tokens_day", 900, 1_000)
    assert verdict.until == utc(midnight)
    allows(Usage(tokens_day=899), limits, utc(now), wanted)


def test_a_link_post_waits_where_a_plain_post_still_goes() -> None:
    usage, limits = Usage(cost_month=Decimal("4.9")), capped(budget_usd=Decimal(5))
    allows(usage, limits, wanted=Wanted(cost_usd=Decimal("0.015")))
    verdict = waits(usage, limits, wanted=Wanted(cost_usd=Decimal("0.200")))
    assert (verdict.limit, verdict.until) == ("budget_usd", utc("2027-01-01T00:00:00"))


def test_posts_limits_do_not_bind_reads_nor_reads_limits_posts() -> None:
    usage = Usage(posts=spent(NOW), posts_month=1, reads_month=1)
    caps = Limits(posts_15min=1, posts_24h=1, posts_month=1, spacing=timedelta(hours=1))
    allows(usage, caps, wanted=read(1))
    allows(usage, capped(reads_month=1))
    allows(usage, caps, wanted=Wanted(kind=CallKind.MODEL, endpoint="model", spaced=False))


def test_spacing_holds_to_its_last_second() -> None:
    limits = capped(spacing=timedelta(minutes=30))
    usage = Usage(last_post_at=NOW)
    until = NOW + timedelta(minutes=30)
    verdict = waits(usage, limits, NOW + timedelta(minutes=1))
    assert (verdict.limit, verdict.until) == ("spacing", until)
    waits(usage, limits, until - TICK)
    allows(usage, limits, until)
    allows(Usage(), limits)


@pytest.mark.parametrize("count", [5, 6, 9])
def test_five_starts_in_ten_minutes_brake_until_four_remain(count: int) -> None:
    starts = tuple(NOW - timedelta(minutes=1) * index for index in range(count))
    verdict = waits(Usage(starts=starts), NO_LIMITS)
    assert verdict.limit == "restarts"
    assert verdict.used == count
    assert verdict.until == NOW - timedelta(minutes=4) + timedelta(minutes=10)
    waits(Usage(starts=starts), NO_LIMITS, verdict.until - TICK)
    allows(Usage(starts=starts), NO_LIMITS, verdict.until)


def test_four_starts_in_ten_minutes_and_older_ones_do_not_brake() -> None:
    starts = tuple(NOW - timedelta(minutes=minutes) for minutes in (0, 1, 2, 9, 10, 11, 12))
    allows(Usage(starts=starts), NO_LIMITS)


def test_a_persons_wish_is_free_of_spacing_pace_and_restarts() -> None:
    limits = Limits(
        posts_15min=None,
        posts_24h=None,
        spacing=timedelta(hours=5),
        budget_usd=Decimal(1),
        planned_per_day=24,
        cost_per_post=Decimal("0.5"),
    )
    usage = Usage(last_post_at=NOW, starts=(NOW,) * 9)
    wish = Wanted(spaced=False, cost_usd=Decimal("0.5"))
    allows(usage, limits, wanted=wish)
    closed = {
        gauge.name for gauge in gauge_limits(usage, limits, NOW, replace(wish, spaced=True)) if gauge.closed
    }
    assert closed == {"spacing", "budget_pace", "restarts"}


def test_spacing_pace_and_restarts_are_about_posts_only() -> None:
    limits = capped(
        spacing=timedelta(hours=5), budget_usd=Decimal(1), planned_per_day=24, cost_per_post=Decimal("0.5")
    )
    usage = Usage(last_post_at=NOW, starts=(NOW,) * 9)
    allows(usage, limits, wanted=replace(read(1), spaced=True))
    allows(usage, limits, wanted=Wanted(kind=CallKind.MODEL, endpoint="model"))


def test_a_persons_wish_is_bound_by_every_cap() -> None:
    wish = Wanted(spaced=False, cost_usd=Decimal("0.5"))
    full = Usage(posts=spent(NOW), posts_month=1, cost_month=Decimal(1))
    assert waits(full, capped(posts_15min=1), wanted=wish).limit == "posts_15min"
    assert waits(full, capped(posts_24h=1), wanted=wish).limit == "posts_24h"
    assert waits(full, capped(posts_month=1), wanted=wish).limit == "posts_month"
    assert waits(full, capped(budget_usd=Decimal(1)), wanted=wish).limit == "budget_usd"
    closed = Usage(seen=(seen(0, "2026-12-30T22:20:00"),))
    assert waits(closed, NO_LIMITS, wanted=wish).limit == "x_15m"


def test_a_window_that_x_closed_opens_at_its_own_reset() -> None:
    usage = Usage(seen=(seen(0, "2026-12-30T22:20:00"),))
    verdict = waits(usage, NO_LIMITS)
    assert told(verdict) == ("x_15m", 100, 100)
    assert verdict.until == utc("2026-12-30T22:20:00")
    waits(usage, NO_LIMITS, utc("2026-12-30T22:19:59"))
    allows(usage, NO_LIMITS, utc("2026-12-30T22:20:00"))


def test_the_longest_of_xs_closed_windows_holds() -> None:
    usage = Usage(
        seen=(seen(0, "2026-12-30T22:20:00"), seen(0, "2026-12-31T04:00:00", name="24h_user", limit=17))
    )
    verdict = waits(usage, NO_LIMITS)
    assert (verdict.limit, verdict.until) == ("x_24h_user", utc("2026-12-31T04:00:00"))


def test_what_was_reserved_since_the_headers_counts_on_top_of_them() -> None:
    reset = "2026-12-30T22:20:00"
    allows(Usage(seen=(seen(3, reset, used_since=2),)), NO_LIMITS)
    verdict = waits(Usage(seen=(seen(3, reset, used_since=3),)), NO_LIMITS)
    assert verdict.limit == "x_15m"
    assert verdict.used == 100
    waits(Usage(seen=(seen(3, reset, used_since=9),)), NO_LIMITS)
    waits(Usage(seen=(seen(3, reset, used_since=1),)), NO_LIMITS, wanted=Wanted(units=3))
    allows(Usage(seen=(seen(3, reset, used_since=1),)), NO_LIMITS, wanted=Wanted(units=2))


def test_a_closed_window_of_one_endpoint_leaves_the_others_open() -> None:
    usage = Usage(seen=(seen(0, "2026-12-30T22:20:00"),))
    allows(usage, NO_LIMITS, wanted=read(1))


@pytest.mark.parametrize("wanted", [Wanted(), read(1)], ids=["post", "read"])
def test_an_account_without_credits_waits_on_every_endpoint_and_says_why(wanted: Wanted) -> None:
    empty = seen(
        0, "2026-12-30T23:00:00", endpoint="*", name="credits", limit=None, reason="X: credits depleted"
    )
    verdict = waits(Usage(seen=(empty,)), NO_LIMITS, wanted=wanted)
    assert (verdict.limit, verdict.cap, verdict.until) == ("x_credits", None, utc("2026-12-30T23:00:00"))
    assert "X: credits depleted" in verdict.reason
    allows(Usage(seen=(empty,)), NO_LIMITS, utc("2026-12-30T23:00:00"), wanted)


def test_an_expired_window_of_x_says_nothing() -> None:
    usage = Usage(seen=(seen(0, "2026-12-30T22:15:00"), seen(0, "2026-12-29T00:00:00", endpoint="*")))
    verdict = allows(usage, NO_LIMITS)
    assert (verdict.limit, verdict.gauges) == (None, allows(Usage(), NO_LIMITS).gauges)


def test_one_read_of_a_hundred_posts_is_one_request_of_xs_window() -> None:
    window = seen(50, "2026-12-30T22:20:00", endpoint="GET /2/users/:id/tweets", limit=900)
    allows(Usage(seen=(window,)), NO_LIMITS, wanted=read(100))


@pytest.mark.parametrize("judged", [decide, gauge_limits])
def test_a_naive_now_is_refused(judged: object) -> None:
    assert callable(judged)
    with pytest.raises(ValueError, match="naive"):
        judged(Usage(), NO_LIMITS, NOW.replace(tzinfo=None))


def test_naive_months_and_forecasts_are_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="naive"):
        month_start(naive)
    with pytest.raises(ValueError, match="naive"):
        next_month(naive)
    with pytest.raises(ValueError, match="naive"):
        forecast(Usage(), NO_LIMITS, naive)


def test_rows_with_a_naive_moment_never_pass() -> None:
    rows = Usage(posts=(Spent(at=NOW.replace(tzinfo=None)),))
    with pytest.raises((TypeError, ValueError)):
        decide(rows, capped(posts_24h=1), NOW)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"])
def test_months_and_days_are_those_of_utc_wherever_now_is_told(zone: str) -> None:
    local = utc("2027-01-01T02:00:00").astimezone(ZoneInfo(zone))
    full = Usage(posts_month=9, tokens_day=9)
    assert waits(full, capped(posts_month=9), local).until == utc("2027-02-01T00:00:00")
    verdict = waits(full, capped(tokens_day=9), local, Wanted(tokens=1))
    assert verdict.until == utc("2027-01-02T00:00:00")
    assert month_start(local) == utc("2027-01-01T00:00:00")


@pytest.mark.parametrize("night", ["2026-03-29", "2026-10-25"])
def test_a_day_of_a_clock_change_still_has_twenty_four_hours(night: str) -> None:
    now = utc(f"{night}T20:00:00").astimezone(ZoneInfo("Europe/Berlin"))
    usage = Usage(posts=spent(f"{night}T00:15:00"))
    verdict = waits(usage, capped(posts_24h=1), now)
    assert verdict.until == utc(f"{night}T00:15:00") + timedelta(hours=24)

"""Wall-clock wishes and the moments they mean, through every clock change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import SettingError
from bot.core.posting.schedule import days_to_plan, moment, wishes
from tests.core.makers import plan, utc

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Africa/Casablanca",
]
zones = st.sampled_from(ZONES)
days = st.dates(min_value=date(2016, 1, 1), max_value=date(2029, 12, 31))
clock_times = st.times().map(lambda value: value.replace(second=0, microsecond=0))


@pytest.mark.parametrize(
    ("zone", "wish", "expected"),
    [
        ("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:30:00"),
        ("Europe/Berlin", "2026-03-29T02:00:00", "2026-03-29T01:00:00"),
        ("Europe/Berlin", "2026-03-29T01:59:00", "2026-03-29T00:59:00"),
        ("Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00"),
        ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:30:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:45:00"),
        ("America/Sao_Paulo", "2018-11-04T00:30:00", "2018-11-04T03:30:00"),
    ],
)
def test_a_time_that_the_clock_skips_comes_as_far_after_the_change(
    zone: str, wish: str, expected: str
) -> None:
    wanted = datetime.fromisoformat(wish)
    assert moment(wanted.date(), wanted.time(), zone) == utc(expected)


@pytest.mark.parametrize(
    ("zone", "wish", "expected"),
    [
        ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00"),
        ("Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00"),
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:45:00", "2026-04-04T14:45:00"),
        ("America/Sao_Paulo", "2018-02-17T23:30:00", "2018-02-18T01:30:00"),
    ],
)
def test_a_time_that_comes_twice_means_the_first(zone: str, wish: str, expected: str) -> None:
    wanted = datetime.fromisoformat(wish)
    assert moment(wanted.date(), wanted.time(), zone) == utc(expected)
    assert moment(wanted.date(), wanted.time().replace(fold=1), zone) == utc(expected)


@given(zone=zones, day=days, clock_time=clock_times)
def test_a_moment_shows_the_wished_time_on_the_wall_unless_the_clock_skips_it(
    zone: str, day: date, clock_time: time
) -> None:
    found = moment(day, clock_time, zone)
    assert found.tzinfo is UTC
    shown = found.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    wanted = datetime.combine(day, clock_time)
    # A skipped time shows later by the length of the skip: half an hour or one.
    assert shown - wanted in {timedelta(0), timedelta(minutes=30), timedelta(hours=1)}


@given(zone=zones, year=st.integers(2016, 2029), clock_time=clock_times)
def test_a_daily_wish_comes_exactly_once_on_each_day_of_a_year(
    zone: str, year: int, clock_time: time
) -> None:
    all_days = [date(year, 1, 1) + timedelta(days=offset) for offset in range(365)]
    found = [moment(day, clock_time, zone) for day in all_days]
    assert [one.astimezone(ZoneInfo(zone)).date() for one in found] == all_days
    gaps = {later - earlier for earlier, later in pairwise(found)}
    assert all(timedelta(hours=23) <= gap <= timedelta(hours=25) for gap in gaps)


@given(
    zone=zones, day=days, per_day=st.integers(0, 48), hours=st.tuples(st.integers(0, 11), st.integers(12, 23))
)
def test_the_days_wishes_are_as_many_as_the_plan_says_and_inside_its_hours(
    zone: str, day: date, per_day: int, hours: tuple[int, int]
) -> None:
    starts, ends = time(hours[0], 17), time(hours[1], 48)
    found = wishes(plan(per_day, starts=starts, ends=ends), zone=zone, day=day)
    assert len(found) == per_day
    for wish in found:
        assert starts <= wish.local_time <= ends
        assert (wish.local_date, wish.timezone) == (day, zone)
        assert (wish.local_time.second, wish.local_time.microsecond) == (0, 0)
        assert wish.due_at == moment(day, wish.local_time, zone)


@given(day=days, per_day=st.integers(1, 48), hours=st.tuples(st.integers(0, 11), st.integers(12, 23)))
def test_the_days_wishes_are_evenly_spaced_with_half_a_step_at_both_ends(
    day: date, per_day: int, hours: tuple[int, int]
) -> None:
    starts, ends = time(hours[0], 17), time(hours[1], 48)
    found = wishes(plan(per_day, starts=starts, ends=ends), zone="UTC", day=day)
    minute = timedelta(minutes=1)
    step = timedelta(hours=hours[1] - hours[0], minutes=48 - 17) / per_day
    for earlier, later in pairwise(found):
        assert abs(later.due_at - earlier.due_at - step) < minute
    first = found[0].due_at - datetime.combine(day, starts, tzinfo=UTC)
    last = datetime.combine(day, ends, tzinfo=UTC) - found[-1].due_at
    assert abs(first - step / 2) <= minute
    assert abs(last - step / 2) <= minute


def test_four_posts_from_eight_to_ten_at_night() -> None:
    found = wishes(plan(4), zone="Europe/Berlin", day=date(2026, 7, 1))
    assert [wish.local_time for wish in found] == [time(9, 45), time(13, 15), time(16, 45), time(20, 15)]
    assert found[0].due_at == utc("2026-07-01T07:45:00")


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_a_day_of_a_clock_change_keeps_its_wall_clock_times(day: date) -> None:
    usual = wishes(plan(6), zone="Europe/Berlin", day=date(2026, 7, 1))
    changed = wishes(plan(6), zone="Europe/Berlin", day=day)
    assert [wish.local_time for wish in changed] == [wish.local_time for wish in usual]
    assert len({wish.due_at for wish in changed}) == 6


@pytest.mark.parametrize(
    ("zone", "now", "today"),
    [
        ("Pacific/Kiritimati", "2026-12-31T10:00:00", date(2027, 1, 1)),
        ("America/New_York", "2027-01-01T04:59:00", date(2026, 12, 31)),
        ("UTC", "2028-02-28T12:00:00", date(2028, 2, 28)),
    ],
)
def test_the_days_to_plan_begin_with_today_on_the_zones_wall(zone: str, now: str, today: date) -> None:
    found = days_to_plan(zone=zone, now=utc(now), days=3)
    assert found == (today, today + timedelta(days=1), today + timedelta(days=2))


def test_the_days_to_plan_pass_through_a_leap_day() -> None:
    found = days_to_plan(zone="UTC", now=utc("2028-02-28T12:00:00"), days=3)
    assert found == (date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1))


@pytest.mark.parametrize("zone", ["Nowhere/Bad", "", "/etc", "Europe", "\0"])
def test_a_zone_that_is_none_is_named(zone: str) -> None:
    with pytest.raises(SettingError, match="no time zone") as caught:
        days_to_plan(zone=zone, now=utc("2026-03-10T12:00:00"), days=1)
    assert "Europe/Berlin" in caught.value.fix

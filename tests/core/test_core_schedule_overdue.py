"""What becomes of slots whose moment has passed: never a burst, never a catch-up."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model import Slot, SlotId
from bot.core.posting.schedule import ON_TIME, Overdue, settle_overdue
from tests.core.makers import TICK, slot, utc

NOW = utc("2026-12-30T22:15:00")
TOLERANCE = timedelta(minutes=30)
ages = st.lists(st.integers(0, 4 * 3_600), max_size=15, unique=True)


def aged(*minutes: float) -> list[Slot]:
    return [slot(NOW - timedelta(minutes=age), number) for number, age in enumerate(minutes)]


def settle(overdue: list[Slot], tolerance: timedelta = TOLERANCE) -> Overdue:
    return settle_overdue(overdue, now=NOW, tolerance=tolerance)


def test_nothing_overdue_is_nothing_to_do() -> None:
    assert settle([]) == Overdue(due=None, missed=())


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=1), ON_TIME])
def test_a_slot_of_this_moment_is_posted_whatever_the_tolerance(age: timedelta) -> None:
    due = slot(NOW - age)
    assert settle([due], timedelta(0)) == Overdue(due=due, missed=())


def test_a_single_late_slot_is_posted_to_the_end_of_its_tolerance() -> None:
    due = slot(NOW - TOLERANCE)
    assert settle([due]) == Overdue(due=due, missed=())


def test_a_single_slot_beyond_its_tolerance_is_missed_with_its_delay() -> None:
    late = slot(NOW - TOLERANCE - TICK)
    found = settle([late])
    assert found.due is None
    assert [(missed.slot, missed.reason) for missed in found.missed] == [(late, "late by 30 min")]


def test_a_slot_just_over_two_minutes_is_late_and_bound_by_the_tolerance() -> None:
    late = slot(NOW - ON_TIME - TICK)
    assert settle([late], timedelta(0)).due is None
    assert settle([late]).due == late


@pytest.mark.parametrize("age", [10, 90])
def test_a_late_slot_gives_way_to_the_one_whose_time_it_is(age: float) -> None:
    late, current = aged(age, 0)
    found = settle([late, current])
    assert found.due == current
    assert [missed.slot for missed in found.missed] == [late]


def test_of_two_slots_on_time_the_earlier_goes_first_and_the_other_waits() -> None:
    later, earlier = aged(0.5, 1)
    assert settle([later, earlier]) == Overdue(due=earlier, missed=(), behind=(later,))


@pytest.mark.parametrize("count", [2, 3, 12, 48])
def test_an_outage_gives_up_all_that_it_held_up(count: int) -> None:
    overdue = aged(*(5 + 60 * index for index in range(count)))
    found = settle(overdue)
    assert found.due is None
    assert {missed.slot for missed in found.missed} == set(overdue)
    assert {missed.reason for missed in found.missed} == {f"outage: {count} slots were due at once"}


def test_two_late_slots_are_an_outage_even_within_the_tolerance() -> None:
    found = settle(aged(5, 10))
    assert found.due is None
    assert len(found.missed) == 2


@given(seconds=ages, tolerance=st.integers(0, 7_200), order=st.randoms(use_true_random=False))
def test_at_most_one_slot_is_due_and_it_is_never_one_that_is_given_up(
    seconds: list[int], tolerance: int, order: Random
) -> None:
    overdue = [slot(NOW - timedelta(seconds=age), number) for number, age in enumerate(seconds)]
    found = settle(overdue, timedelta(seconds=tolerance))
    shuffled = sorted(overdue, key=lambda _: order.random())
    assert settle(shuffled, timedelta(seconds=tolerance)) == found
    missed = [one.slot for one in found.missed]
    assert len({one.id for one in missed}) == len(missed)
    assert set(missed) <= set(overdue)
    late = [one for one in overdue if NOW - one.due_at > ON_TIME]
    if found.due is not None:
        assert found.due in overdue
        assert found.due not in missed
        assert NOW - found.due.due_at <= max(ON_TIME, timedelta(seconds=tolerance))
        assert len(late) < 2
    # Whatever is late is settled in this very call: it can't add to a later one.
    assert all(one in missed or one == found.due for one in late)
    # Someone who was alone and on time is never given up.
    assert missed == [] or late


class Worker:
    """Ticks through a calendar of slots with times at which it is down."""

    def __init__(self, slots: list[Slot], outages: list[tuple[datetime, datetime]]) -> None:
        self.open = list(slots)
        self.outages = outages
        self.posted: list[tuple[datetime, Slot]] = []
        self.missed: list[SlotId] = []

    def run(self, start: datetime, end: datetime, tick: timedelta) -> Worker:
        now = start
        while now <= end:
            if not any(begins <= now < ends for begins, ends in self.outages):
                self.tick(now)
            now += tick
        return self

    def tick(self, now: datetime) -> None:
        overdue = [one for one in self.open if one.due_at <= now]
        choice = settle_overdue(overdue, now=now, tolerance=TOLERANCE)
        for missed in choice.missed:
            self.open.remove(missed.slot)
            self.missed.append(missed.slot.id)
        if choice.due is not None:
            self.open.remove(choice.due)
            self.posted.append((now, choice.due))


def hourly(count: int) -> list[Slot]:
    return [slot(NOW + timedelta(hours=index), index) for index in range(count)]


def test_after_twelve_missed_slots_only_what_was_planned_for_the_hours_after_is_posted() -> None:
    slots = hourly(24)
    back = NOW + timedelta(hours=14, minutes=40)
    worker = Worker(slots, [(NOW + timedelta(hours=2, minutes=30), back)])
    worker.run(NOW, NOW + timedelta(hours=24), timedelta(seconds=20))
    assert [one.id for _, one in worker.posted] == [one.id for one in slots[:3] + slots[15:]]
    assert worker.missed == [one.id for one in slots[3:15]]
    assert all(at - one.due_at <= ON_TIME for at, one in worker.posted)


def test_a_short_hiccup_costs_no_slot() -> None:
    slots = hourly(3)
    down = [(NOW + timedelta(minutes=59), NOW + timedelta(minutes=70))]
    worker = Worker(slots, down).run(NOW, NOW + timedelta(hours=3), timedelta(seconds=20))
    assert [one for _, one in worker.posted] == slots
    assert worker.missed == []


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.lists(st.integers(0, 1_440), min_size=1, max_size=24, unique=True),
    outages=st.lists(st.tuples(st.integers(0, 1_440), st.integers(1, 600)), max_size=4),
)
def test_no_calendar_with_no_outage_ever_posts_a_slot_twice_or_in_a_burst(
    minutes: list[int], outages: list[tuple[int, int]]
) -> None:
    slots = [slot(NOW + timedelta(minutes=minute), minute) for minute in minutes]
    down = [
        (NOW + timedelta(minutes=begin), NOW + timedelta(minutes=begin + length)) for begin, length in outages
    ]
    end = NOW + timedelta(minutes=2_200)
    worker = Worker(slots, down).run(NOW, end, timedelta(seconds=30))
    ids = [one.id for _, one in worker.posted] + worker.missed
    assert sorted(ids) == sorted(one.id for one in slots)
    late_posts = [(at, one) for at, one in worker.posted if at - one.due_at > ON_TIME]
    assert all(at - one.due_at <= TOLERANCE for at, one in late_posts)
    # A late post comes after a time of being down, and at most one comes for each.
    assert len(late_posts) <= len(outages)
    if not outages:
        assert [one.id for _, one in worker.posted] == [
            one.id for one in sorted(slots, key=lambda s: s.due_at)
        ]

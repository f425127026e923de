"""The posting schedule."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from uuid import uuid4

import pytest

from bot.core.model import Plan, Profile, Slot, SlotId
from bot.core.posting.schedule import SlotWish
from bot.core.states import SlotStatus
from bot.store.manager import DatabaseManager, StoreTransaction
from tests.store.rows import DAY, HOUR, NOW, a_wish, move


@pytest.fixture
def plan(manager: DatabaseManager, profile: Profile) -> Plan:
    with manager.transaction() as tx:
        return tx.plans.start(profile.id, posts_per_day=4)


def slots_at(tx: StoreTransaction, plan: Plan, *moments: datetime) -> list[Slot]:
    tx.slots.add(plan.profile_id, plan, [a_wish(moment) for moment in moments])
    return list(tx.slots.upcoming(plan.profile_id, after=NOW - 90 * DAY, before=NOW + 90 * DAY))


def test_a_slot_comes_back_with_its_moment_and_its_wall_clock_wish(
    manager: DatabaseManager, plan: Plan
) -> None:
    wish = SlotWish(
        local_date=date(2026, 11, 18),
        local_time=time(1, 15),
        timezone="Asia/Kathmandu",
        due_at=datetime(2026, 11, 17, 19, 30, tzinfo=NOW.tzinfo),
    )
    with manager.transaction() as tx:
        assert tx.slots.add(plan.profile_id, plan, [wish]) == 1
        (slot,) = tx.slots.upcoming(plan.profile_id, after=NOW, before=NOW + DAY)

    assert (slot.due_at, slot.local_date, slot.local_time, slot.timezone) == (
        wish.due_at,
        wish.local_date,
        wish.local_time,
        wish.timezone,
    )
    assert (slot.status, slot.plan_id) == (SlotStatus.PLANNED, plan.id)


def test_adding_wishes_again_adds_only_what_is_new(manager: DatabaseManager, plan: Plan) -> None:
    first, second = a_wish(NOW + HOUR), a_wish(NOW + 2 * HOUR)
    with manager.transaction() as tx:
        assert tx.slots.add(plan.profile_id, plan, []) == 0
        assert tx.slots.add(plan.profile_id, plan, [first]) == 1
        assert tx.slots.add(plan.profile_id, plan, [first, second]) == 1
        assert tx.slots.add(plan.profile_id, plan, [first, second]) == 0
        assert len(tx.slots.upcoming(plan.profile_id, after=NOW, before=NOW + DAY)) == 2


def test_a_wall_clock_wish_is_filled_once_though_its_moment_moved(
    manager: DatabaseManager, plan: Plan
) -> None:
    wish = a_wish(NOW + HOUR)
    moved = SlotWish(
        local_date=wish.local_date,
        local_time=wish.local_time,
        timezone="Europe/London",
        due_at=NOW + 2 * HOUR,
    )
    with manager.transaction() as tx:
        assert tx.slots.add(plan.profile_id, plan, [wish]) == 1
        assert tx.slots.add(plan.profile_id, plan, [moved]) == 0


def test_two_profiles_may_post_at_the_same_moment(
    manager: DatabaseManager, plan: Plan, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        other = tx.plans.start(neighbour.id, posts_per_day=4)
        assert tx.slots.add(plan.profile_id, plan, [a_wish(NOW)]) == 1
        assert tx.slots.add(neighbour.id, other, [a_wish(NOW)]) == 1
        assert [slot.profile_id for slot in tx.slots.overdue(neighbour.id, now=NOW)] == [neighbour.id]


def test_a_slot_that_was_given_up_is_not_planned_again(manager: DatabaseManager, plan: Plan) -> None:
    with manager.transaction() as tx:
        (slot,) = slots_at(tx, plan, NOW)
        move(tx, slot.id, SlotStatus.SKIPPED, reason="by hand")

        assert tx.slots.add(plan.profile_id, plan, [a_wish(NOW)]) == 0


def test_overdue_are_planned_slots_up_to_this_moment_oldest_first(
    manager: DatabaseManager, plan: Plan
) -> None:
    tick = timedelta(microseconds=1)
    with manager.transaction() as tx:
        given_up, *_ = slots_at(tx, plan, NOW - 3 * HOUR, NOW, NOW - HOUR, NOW + tick)
        move(tx, given_up.id, SlotStatus.EXPIRED)

        assert [slot.due_at for slot in tx.slots.overdue(plan.profile_id, now=NOW)] == [NOW - HOUR, NOW]


def test_upcoming_leaves_its_first_moment_out_and_its_last_in(manager: DatabaseManager, plan: Plan) -> None:
    with manager.transaction() as tx:
        slots_at(tx, plan, *(NOW + n * HOUR for n in (2, 0, 1, 3)))
        found = tx.slots.upcoming(plan.profile_id, after=NOW, before=NOW + 2 * HOUR)

    assert [slot.due_at for slot in found] == [NOW + HOUR, NOW + 2 * HOUR]


def test_claimed_are_the_slots_whose_tweet_is_on_its_way(manager: DatabaseManager, plan: Plan) -> None:
    with manager.transaction() as tx:
        first, *_ = slots_at(tx, plan, NOW, NOW + HOUR)
        claimed = move(tx, first.id, SlotStatus.CLAIMED)

        assert tx.slots.claimed(plan.profile_id) == [claimed]
        move(tx, first.id, SlotStatus.DONE)
        assert tx.slots.claimed(plan.profile_id) == []


def test_a_slot_that_is_not_there_is_gone(standing: DatabaseManager) -> None:
    with pytest.raises(LookupError, match="is gone"), standing.transaction() as tx:
        tx.slots.lock(SlotId(uuid4()))


def test_planned_days_are_those_this_plan_has_filled(manager: DatabaseManager, plan: Plan) -> None:
    with manager.transaction() as tx:
        slots_at(tx, plan, NOW, NOW + HOUR, NOW + 2 * DAY)
        first, *_ = tx.slots.overdue(plan.profile_id, now=NOW)
        move(tx, first.id, SlotStatus.EXPIRED)
        assert tx.plans.planned_days(plan.profile_id, plan, since=NOW.date()) == {
            NOW.date(),
            (NOW + 2 * DAY).date(),
        }

        newer = tx.plans.start(plan.profile_id, posts_per_day=2)
        assert tx.plans.planned_days(plan.profile_id, newer, since=NOW.date()) == set()

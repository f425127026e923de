"""What a person does with plans, and what becomes of the slots."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from uuid import uuid4

import pytest

from bot.core.errors import NotPossibleNow, SettingError
from bot.core.plans import PlanChange
from bot.core.states import PlanStatus
from bot.engine.learning.planning import fill_schedule
from bot.engine.plan_steering import PlanSteering
from tests.engine.world import NOON, World


@pytest.fixture
def world(world: World) -> World:
    """Four posts a day, planned for today and the days after it, at noon."""
    world.change("UPDATE plans SET posts_per_day = 4")
    fill_schedule(world.context)
    return world


def steering(world: World) -> PlanSteering:
    return PlanSteering(services=world.engine.services, profile=world.profile)


def planned(world: World) -> list[datetime]:
    rows = world.rows("SELECT due_at FROM posting_schedule WHERE status = 'planned' ORDER BY due_at")
    return [row[0] for row in rows]


def today(world: World) -> list[time]:
    return [due.time() for due in planned(world) if due.date() == NOON.date()]


def told(world: World) -> list[str]:
    return [row[0] for row in world.rows("SELECT reason FROM decisions WHERE kind = 'operator'")]


def test_other_hours_hold_at_once_and_for_what_is_still_to_come(world: World) -> None:
    assert today(world) == [time(13, 15), time(16, 45), time(20, 15)]
    world.change(
        "UPDATE posting_schedule SET status = 'done' WHERE due_at = :at", at=NOON + timedelta(minutes=75)
    )

    plan = steering(world).change(None, PlanChange(posts_per_day=2, day_starts=time(12), day_ends=time(18)))

    assert (plan.posts_per_day, today(world)) == (2, [time(13, 30), time(16, 30)])
    assert len(planned(world)) == 2 + 2 * 2
    assert world.rows("SELECT count(*) FROM posting_schedule WHERE status = 'done'") == [(1,)]
    assert told(world) == ["a plan was changed by the operator"]


def test_no_post_at_all_empties_the_days_to_come(world: World) -> None:
    steering(world).change(None, PlanChange(posts_per_day=0))
    assert planned(world) == []


def test_topics_leave_the_slots_as_they_are(world: World) -> None:
    before = world.rows("SELECT id FROM posting_schedule ORDER BY id")
    assert steering(world).change(None, PlanChange(topics=["tides"])).topics == ("tides",)
    assert world.rows("SELECT id FROM posting_schedule ORDER BY id") == before


def test_what_a_plan_may_not_hold_changes_nothing(world: World) -> None:
    before = planned(world)
    with pytest.raises(SettingError, match="day_ends"):
        steering(world).change(None, PlanChange(day_starts=time(23)))
    assert (planned(world), told(world)) == (before, [])


def test_a_further_plan_fills_no_slot_until_it_is_put_in_force(world: World) -> None:
    before, one = planned(world), steering(world)
    made = one.add(PlanChange(posts_per_day=1))
    assert (planned(world), made.status) == (before, PlanStatus.DRAFT)

    one.activate(str(made.id)[:8])

    assert today(world) == [time(15)]
    assert [plan.status for plan in one.all()] == [PlanStatus.ACTIVE, PlanStatus.ARCHIVED]
    assert one.show(None).id == made.id
    with pytest.raises(NotPossibleNow, match="in force already"):
        one.activate(str(made.id))


def test_a_change_of_a_plan_that_is_not_in_force_leaves_the_slots(world: World) -> None:
    before, one = planned(world), steering(world)
    made = one.add(PlanChange())
    assert one.change(str(made.id), PlanChange(posts_per_day=9)).status is PlanStatus.DRAFT
    assert planned(world) == before


def test_without_a_plan_in_force_nothing_is_planned(world: World) -> None:
    one = steering(world)
    archived = one.archive(str(one.show(None).id))
    assert (planned(world), archived.status) == ([], PlanStatus.ARCHIVED)
    assert fill_schedule(world.context) == 0
    with pytest.raises(SettingError, match="no plan is in force"):
        one.show(None)

    one.activate(str(archived.id))
    assert today(world) == [time(13, 15), time(16, 45), time(20, 15)]


def test_a_slot_that_a_person_scheduled_stays(world: World) -> None:
    world.slot(3600, "by hand")
    steering(world).change(None, PlanChange(posts_per_day=0))
    assert planned(world) == [NOON + timedelta(hours=1)]


def test_a_skipped_slot_is_not_planned_again(world: World) -> None:
    world.change(
        "UPDATE posting_schedule SET status = 'skipped' WHERE due_at < :t", t=NOON + timedelta(days=1)
    )
    assert fill_schedule(world.context) == 0
    assert today(world) == []


def test_the_draft_of_a_slot_that_goes_waits_for_the_next(world: World) -> None:
    world.change(
        "INSERT INTO tweets (profile_id, slot_id, text, fingerprint) "
        "SELECT profile_id, id, 'kept', 'kept' FROM posting_schedule ORDER BY due_at LIMIT 1"
    )
    steering(world).change(None, PlanChange(posts_per_day=3))
    with world.manager.transaction() as tx:
        left = tx.tweets.left_over(world.profile_id)
    assert left is not None
    assert left.text == "kept"


def test_a_plan_that_is_not_there_or_a_neighbours_is_told(world: World) -> None:
    with world.manager.transaction() as tx:
        neighbour = tx.profiles.create(handle="other", x_user_id="2", timezone="UTC", mode="auto")
        theirs = tx.plans.start(neighbour.id, posts_per_day=1)
    for which in (str(theirs.id), str(uuid4())):
        with pytest.raises(SettingError, match="no plan has the id"):
            steering(world).activate(which)
    made = steering(world).add(PlanChange())
    with pytest.raises(SettingError, match="2 plans' ids begin with"):
        steering(world).show("")
    assert made.profile_id == world.profile_id

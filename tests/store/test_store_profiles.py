"""Profiles, plans and run-time settings."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from bot.core.model import Profile
from bot.core.states import LatePolicy, Mode, PlanStatus, SlotStatus
from bot.store.manager import DatabaseManager
from tests.store.rows import HOUR, NOW, a_wish


def test_profiles_come_oldest_first(manager: DatabaseManager, profile: Profile, neighbour: Profile) -> None:
    with manager.transaction() as tx:
        assert tx.profiles.all() == [profile, neighbour]

    assert profile.auth_user_id != neighbour.auth_user_id


def test_a_profile_is_bound_configured_and_paused(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.profiles.bind(profile.id, x_user_id="99", handle="lovelace")
        tx.profiles.configure(profile.id, timezone="Europe/Berlin", mode="dry-run")
        paused = tx.profiles.pause(profile.id, paused=True, reason="by hand")
        resumed = tx.profiles.pause(profile.id, paused=False, reason=None)
        (kept,) = tx.profiles.all()

    assert (paused.x_user_id, paused.handle, paused.timezone) == ("99", "lovelace", "Europe/Berlin")
    assert (paused.mode, paused.paused, paused.pause_reason) == (Mode.DRY_RUN, True, "by hand")
    assert (resumed.paused, resumed.pause_reason) == (False, None)
    assert kept == resumed


def test_one_account_has_one_profile(manager: DatabaseManager, profile: Profile) -> None:
    assert profile.x_user_id
    with pytest.raises(IntegrityError, match="uq_profiles_x_user_id"), manager.transaction() as tx:
        tx.profiles.create(handle="again", x_user_id=profile.x_user_id, timezone="UTC", mode="auto")


@pytest.mark.parametrize("mode", ["auto", "review", "dry-run"])
def test_a_mode_is_kept(manager: DatabaseManager, mode: str) -> None:
    with manager.transaction() as tx:
        created = tx.profiles.create(handle="eve", x_user_id=None, timezone="UTC", mode=mode)
        assert tx.profiles.all() == [created]

    assert created.mode == mode


def test_a_profile_without_a_plan_has_no_active_one(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        assert tx.plans.active(profile.id) is None


def test_a_first_plan_has_the_tables_defaults(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        plan = tx.plans.start(profile.id, posts_per_day=3)
        assert tx.plans.active(profile.id) == plan

    assert (plan.status, plan.posts_per_day, plan.topics) == (PlanStatus.ACTIVE, 3, ())
    assert (plan.day_starts, plan.day_ends) == (time(8), time(22))
    assert (plan.late_policy, plan.late_tolerance) == (LatePolicy.MOVE, timedelta(minutes=20))
    assert (plan.spacing, plan.include_links) == (timedelta(seconds=10), False)


def test_a_new_plan_archives_the_old_one_and_takes_over_all_but_the_number_of_posts(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        old = tx.plans.start(profile.id, posts_per_day=3)
        tx.connection.execute(
            text(
                "UPDATE plans SET topics = '[\"tides\", \"mills\"]', day_starts = '06:30', "
                "day_ends = '23:45', late_policy = 'expire', late_tolerance_seconds = 60, "
                "spacing_seconds = 90, include_links = true"
            )
        )
        new = tx.plans.start(profile.id, posts_per_day=7)
        states = {row.id: row.status for row in tx.connection.execute(text("SELECT id, status FROM plans"))}
        assert tx.plans.active(profile.id) == new

    assert states == {old.id: "archived", new.id: "active"}
    assert new.posts_per_day == 7
    assert (new.topics, new.day_starts, new.day_ends) == (("tides", "mills"), time(6, 30), time(23, 45))
    assert (new.late_policy, new.late_tolerance) == (LatePolicy.EXPIRE, timedelta(minutes=1))
    assert (new.spacing, new.include_links) == (timedelta(seconds=90), True)


def test_a_new_plan_removes_only_what_the_old_one_still_planned(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        old = tx.plans.start(profile.id, posts_per_day=3)
        theirs = tx.plans.start(neighbour.id, posts_per_day=3)
        tx.slots.add(neighbour.id, theirs, [a_wish(NOW)])
        tx.slots.add(profile.id, old, [a_wish(NOW + n * HOUR) for n in range(len(SlotStatus))])
        slots = tx.slots.upcoming(profile.id, after=NOW - HOUR, before=NOW + 24 * HOUR)
        for slot, status in zip(slots, SlotStatus, strict=True):
            tx.connection.execute(
                text("UPDATE posting_schedule SET status = CAST(:status AS slot_status) WHERE id = :id"),
                {"status": status.value, "id": slot.id},
            )
        tx.plans.start(profile.id, posts_per_day=1)
        left = set(
            tx.connection.scalars(
                text("SELECT status::text FROM posting_schedule WHERE profile_id = :id"), {"id": profile.id}
            )
        )
        assert len(tx.slots.overdue(neighbour.id, now=NOW)) == 1

    assert left == set(SlotStatus) - {SlotStatus.PLANNED}


@pytest.mark.parametrize("number", [-1, 101])
def test_a_plan_has_0_to_100_posts_a_day(manager: DatabaseManager, profile: Profile, number: int) -> None:
    with pytest.raises(IntegrityError, match="ck_plans_posts_per_day"), manager.transaction() as tx:
        tx.plans.start(profile.id, posts_per_day=number)


@pytest.mark.parametrize("value", [True, 0, "text", ["a", 1], {"cap": {"posts": 3}}, 1.5])
def test_a_setting_comes_back_as_it_was_put(manager: DatabaseManager, value: Any) -> None:
    with manager.transaction() as tx:
        tx.config.put("key", value)
    with manager.transaction() as tx:
        assert tx.config.get("key") == value
        assert type(tx.config.get("key")) is type(value)


def test_a_setting_put_again_is_replaced_and_others_stay(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        tx.config.put("caps", {"posts": 3})
        tx.config.put("prices", {"post": "0.015"})
        tx.config.put("caps", {"reads": 1})

        assert tx.config.get("caps") == {"reads": 1}
        assert tx.config.get("prices") == {"post": "0.015"}
        assert tx.config.get("never put") is None

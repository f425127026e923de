"""What a plan may hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from typing import Any
from uuid import UUID

import pytest

from bot.core.errors import NotPossibleNow, SettingError
from bot.core.model import Plan, PlanId, ProfileId
from bot.core.plans import PlanChange, activated, archived, changed, drafted_from, has_other_slots
from bot.core.states import LatePolicy, PlanStatus

PLAN = Plan(
    id=PlanId(UUID(int=1)),
    profile_id=ProfileId(UUID(int=2)),
    status=PlanStatus.ACTIVE,
    posts_per_day=4,
    topics=("tides",),
    day_starts=time(8),
    day_ends=time(22),
    late_policy=LatePolicy.MOVE,
    late_tolerance=timedelta(minutes=20),
    spacing=timedelta(seconds=10),
    include_links=False,
)


def test_nothing_said_changes_nothing() -> None:
    assert changed(PLAN, PlanChange()) == PLAN


def test_what_is_said_is_taken_also_where_it_is_nothing() -> None:
    change = PlanChange(posts_per_day=0, topics=[" mills ", ""], include_links=True, spacing=timedelta(0))
    assert changed(PLAN, change) == replace(
        PLAN, posts_per_day=0, topics=("mills",), include_links=True, spacing=timedelta(0)
    )
    assert changed(PLAN, PlanChange(topics=[])).topics == ()


@pytest.mark.parametrize(
    ("field", "edge", "over"),
    [
        ("posts_per_day", 100, 101),
        ("posts_per_day", 0, -1),
        ("day_ends", time(8, 1), time(8)),
        ("topics", ["t"] * 50, ["t"] * 51),
        ("topics", ["t" * 100], ["t" * 101]),
        ("late_tolerance", timedelta(days=1), timedelta(days=1, seconds=1)),
        ("spacing", timedelta(0), timedelta(seconds=-1)),
    ],
)
def test_a_field_holds_so_much_and_no_more(field: str, edge: Any, over: Any) -> None:
    changed(PLAN, PlanChange(**{field: edge}))
    with pytest.raises(SettingError, match=f"^{field}: ") as caught:
        changed(PLAN, PlanChange(**{field: over}))
    assert caught.value.fix


def test_a_further_plan_is_a_draft_of_its_own() -> None:
    made = drafted_from(PLAN, PlanId(UUID(int=9)), PlanChange(posts_per_day=1))
    assert made == replace(PLAN, id=PlanId(UUID(int=9)), status=PlanStatus.DRAFT, posts_per_day=1)


def test_a_plan_is_put_in_force_or_away_once() -> None:
    away = archived(PLAN)
    assert (away.status, activated(away)) == (PlanStatus.ARCHIVED, PLAN)
    with pytest.raises(NotPossibleNow, match="in force already"):
        activated(PLAN)
    with pytest.raises(NotPossibleNow, match="archived already"):
        archived(away)


@pytest.mark.parametrize(
    ("change", "other"),
    [
        (PlanChange(posts_per_day=5), True),
        (PlanChange(day_starts=time(9)), True),
        (PlanChange(day_ends=time(21)), True),
        (PlanChange(topics=["mills"], spacing=timedelta(0), include_links=True), False),
    ],
)
def test_slots_go_by_number_and_hours_alone(change: PlanChange, other: bool) -> None:
    assert has_other_slots(PLAN, changed(PLAN, change)) is other

"""What a plan may hold, and when its slots are planned anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import time, timedelta

from bot.core.errors import NotPossibleNow, SettingError
from bot.core.model import Plan, PlanId
from bot.core.states import LatePolicy, PlanStatus

MOST_POSTS_PER_DAY = 100
MOST_TOPICS = 50
LONGEST_TOPIC = 100
LONGEST_SPAN = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanChange:
    """What is to become of a plan; None leaves a field as it is."""

    posts_per_day: int | None = None
    topics: Sequence[str] | None = None
    day_starts: time | None = None
    day_ends: time | None = None
    late_policy: LatePolicy | None = None
    late_tolerance: timedelta | None = None
    spacing: timedelta | None = None
    include_links: bool | None = None


def changed(plan: Plan, change: PlanChange) -> Plan:
    """The plan with the change.

    Raises:
        SettingError: a field would hold what it may not.
    """
    given = {one.name: getattr(change, one.name) for one in fields(change)}
    values = {name: value for name, value in given.items() if value is not None}
    if "topics" in values:
        values["topics"] = tuple(topic.strip() for topic in values["topics"] if topic.strip())
    after = replace(plan, **values)
    _check(after)
    return after


def drafted_from(plan: Plan, plan_id: PlanId, change: PlanChange) -> Plan:
    """A further plan, not in force, that differs from one by the change."""
    return replace(changed(plan, change), id=plan_id, status=PlanStatus.DRAFT)


def activated(plan: Plan) -> Plan:
    """The plan in force.

    Raises:
        NotPossibleNow: it is in force.
    """
    if plan.status is PlanStatus.ACTIVE:
        raise NotPossibleNow("the plan is in force already", fix="`plan list` shows which is")
    return replace(plan, status=PlanStatus.ACTIVE)


def archived(plan: Plan) -> Plan:
    """The plan put away.

    Raises:
        NotPossibleNow: it is put away.
    """
    if plan.status is PlanStatus.ARCHIVED:
        raise NotPossibleNow("the plan is archived already", fix="`plan activate` puts it in force again")
    return replace(plan, status=PlanStatus.ARCHIVED)


def has_other_slots(before: Plan, after: Plan) -> bool:
    """Whether slots that were planned by the one are not those of the other."""
    return (before.posts_per_day, before.day_starts, before.day_ends) != (
        *(after.posts_per_day, after.day_starts, after.day_ends),
    )


def _check(plan: Plan) -> None:
    if not 0 <= plan.posts_per_day <= MOST_POSTS_PER_DAY:
        raise _odd("posts_per_day", f"{plan.posts_per_day} is out of range", f"0 to {MOST_POSTS_PER_DAY}")
    if plan.day_starts >= plan.day_ends:
        raise _odd("day_ends", "it is not after day_starts", "a time like 22:00, after day_starts")
    if len(plan.topics) > MOST_TOPICS or any(len(topic) > LONGEST_TOPIC for topic in plan.topics):
        fix = f"up to {MOST_TOPICS} topics of up to {LONGEST_TOPIC} characters"
        raise _odd("topics", "they are too many or too long", fix)
    for name in ("late_tolerance", "spacing"):
        if not timedelta(0) <= getattr(plan, name) <= LONGEST_SPAN:
            raise _odd(name, "it is out of range", f"0 to {LONGEST_SPAN.total_seconds():.0f} seconds")


def _odd(field: str, said: str, fix: str) -> SettingError:
    return SettingError(f"{field}: {said}", fix=fix)

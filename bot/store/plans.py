"""Plans: what a profile posts about, and how often."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, insert, select, update

from bot.core.model import Plan, PlanId, ProfileId
from bot.core.states import PlanStatus, SlotStatus
from bot.ports import Plans
from bot.store.rows.posting import PLANS, SLOTS


@dataclass(frozen=True)
class PlanTable(Plans):
    """`plans`."""

    connection: Connection

    def all(self, profile_id: ProfileId) -> Sequence[Plan]:
        """Every plan of a profile: the active one first, then drafts, then archived ones, newest first."""
        order = case({PlanStatus.ACTIVE: 0, PlanStatus.DRAFT: 1}, value=PLANS.c.status, else_=2)
        statement = select(PLANS).where(PLANS.c.profile_id == profile_id)
        rows = self.connection.execute(statement.order_by(order, PLANS.c.created_at.desc())).mappings()
        return [as_plan(row) for row in rows]

    def add(self, plan: Plan) -> Plan:
        """Adds a row."""
        self.connection.execute(insert(PLANS).values(**_values(plan)))
        return plan

    def save(self, plan: Plan) -> Plan:
        """Writes a row's next state; the active one is archived before another becomes so."""
        self.connection.execute(update(PLANS).where(PLANS.c.id == plan.id).values(**_values(plan)))
        return plan

    def active(self, profile_id: ProfileId) -> Plan | None:
        """The one plan that fills slots."""
        row = self.connection.execute(_ACTIVE_PLAN, {"profile_id": profile_id}).mappings().one_or_none()
        return None if row is None else as_plan(row)

    def start(self, profile_id: ProfileId, *, posts_per_day: int) -> Plan:
        """Makes a new plan the active one; future slots of the old one go.

        Everything but the number of posts carries over from the plan before.
        """
        before = (
            self.connection.execute(
                update(PLANS)
                .where(PLANS.c.profile_id == profile_id, PLANS.c.status == PlanStatus.ACTIVE)
                .values(status=PlanStatus.ARCHIVED)
                .returning(PLANS)
            )
            .mappings()
            .one_or_none()
        )
        carried: dict[str, Any] = {}
        if before is not None:
            carried = {name: before[name] for name in _CARRIED}
            self.connection.execute(
                delete(SLOTS).where(SLOTS.c.plan_id == before["id"], SLOTS.c.status == SlotStatus.PLANNED)
            )
        values = carried | {"posts_per_day": posts_per_day}
        row = self.connection.execute(
            insert(PLANS).values(profile_id=profile_id, status=PlanStatus.ACTIVE, **values).returning(PLANS)
        )
        return as_plan(row.mappings().one())

    def planned_days(self, profile_id: ProfileId, plan: Plan, *, since: date) -> Collection[date]:
        """Wall-clock days from one on for which the plan has slots that are still to come."""
        statement = (
            select(SLOTS.c.local_date)
            .where(
                SLOTS.c.profile_id == profile_id,
                SLOTS.c.plan_id == plan.id,
                SLOTS.c.local_date >= since,
                SLOTS.c.status == SlotStatus.PLANNED,
            )
            .order_by(SLOTS.c.local_date.desc())
            .distinct()
            .limit(_DAYS_TO_LOOK_AT)
        )
        return {day for day in self.connection.scalars(statement) if day is not None}

    def forget_planned(self, plan_id: PlanId, *, after: datetime) -> int:
        """Deletes a plan's slots that are still to come; returns how many."""
        statement = delete(SLOTS).where(
            SLOTS.c.plan_id == plan_id, SLOTS.c.status == SlotStatus.PLANNED, SLOTS.c.due_at > after
        )
        return len(self.connection.execute(statement.returning(SLOTS.c.id)).all())


_DAYS_TO_LOOK_AT = 60
_CARRIED = (
    "topics",
    "day_starts",
    "day_ends",
    "late_policy",
    "late_tolerance_seconds",
    "spacing_seconds",
    "include_links",
)
# What every tick asks is built once: building a statement takes longer than its answer.
_ACTIVE_PLAN = select(PLANS).where(
    PLANS.c.profile_id == bindparam("profile_id"), PLANS.c.status == PlanStatus.ACTIVE
)


def _values(plan: Plan) -> dict[str, Any]:
    spans = {
        "late_tolerance_seconds": int(plan.late_tolerance.total_seconds()),
        "spacing_seconds": int(plan.spacing.total_seconds()),
    }
    same = ("id", "profile_id", "status", "posts_per_day", "day_starts", "day_ends", "late_policy")
    return {
        **{name: getattr(plan, name) for name in (*same, "include_links")},
        **spans,
        "topics": list(plan.topics),
    }


def as_plan(row: Mapping[Any, Any]) -> Plan:
    """A row of `plans` as a plan."""
    return Plan(
        id=PlanId(row["id"]),
        profile_id=ProfileId(row["profile_id"]),
        status=row["status"],
        posts_per_day=row["posts_per_day"],
        topics=tuple(row["topics"]),
        day_starts=row["day_starts"],
        day_ends=row["day_ends"],
        late_policy=row["late_policy"],
        late_tolerance=timedelta(seconds=row["late_tolerance_seconds"]),
        spacing=timedelta(seconds=row["spacing_seconds"]),
        include_links=row["include_links"],
    )

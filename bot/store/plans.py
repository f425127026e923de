"""Plans: what a profile posts about, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from bot.core.model import Plan, PlanId, ProfileId
from bot.core.states import PlanStatus, SlotStatus
from bot.ports import Plans
from bot.store.rows.posting import PLANS, SLOTS


@dataclass(frozen=True)
class PlanTable(Plans):
    """`plans`."""

    connection: Connection

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

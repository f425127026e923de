"""Plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.model import Plan


def plans_json(plans: Sequence[Plan]) -> dict[str, Any]:
    """`plan list --json`."""
    return {"plans": [plan_json(plan) for plan in plans]}


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as programs see it; spans in seconds."""
    return {
        "id": str(plan.id),
        "status": plan.status.value,
        "topics": list(plan.topics),
        "posts_per_day": plan.posts_per_day,
        "day_starts": f"{plan.day_starts:%H:%M}",
        "day_ends": f"{plan.day_ends:%H:%M}",
        "late_policy": plan.late_policy.value,
        "late_tolerance_seconds": int(plan.late_tolerance.total_seconds()),
        "spacing_seconds": int(plan.spacing.total_seconds()),
        "include_links": plan.include_links,
    }

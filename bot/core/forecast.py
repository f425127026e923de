"""Where the month ends if the plan goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bot.core.limits import Limits, Usage, next_month
from bot.core.model import aware


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Where the month ends if the plan goes on.

    `posts_left` is how many more posts the plan and the limits allow this month.
    """

    cost_usd: Decimal
    days_left: int
    posts_left: int


def forecast(usage: Usage, limits: Limits, now: datetime) -> Forecast:
    """Projects the month's spending from the plan and its prices."""
    left = next_month(now) - aware(now)
    posts = int(limits.planned_per_day * (left / timedelta(days=1)))
    if limits.posts_24h is not None:
        posts = min(posts, int(limits.posts_24h * (left / timedelta(days=1)) + 1))
    if limits.posts_month is not None:
        posts = min(posts, max(0, limits.posts_month - usage.posts_month))
    if limits.budget_usd is not None and limits.cost_per_post:
        posts = min(posts, int(max(Decimal(0), limits.budget_usd - usage.cost_month) / limits.cost_per_post))
    return Forecast(
        cost_usd=usage.cost_month + posts * limits.cost_per_post, days_left=left.days, posts_left=posts
    )

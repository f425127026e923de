"""Where the month ends if the plan goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bot.core.moments import aware
from bot.core.spending.limits import Limits, Usage, next_month


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Where the month ends if the plan goes on.

    `posts_left` is how many more posts the plan and the limits allow this month.
    """

    cost_usd: Decimal
    days_left: int
    posts_left: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What comparing the timeline with the tables reads.

    Attributes:
        every: how often.
        posts: how many posts of the account there are to read now.
        most: how many are read at most.
        post_usd: what reading one costs.
    """

    every: timedelta
    posts: int
    most: int
    post_usd: Decimal


def forecast(usage: Usage, limits: Limits, now: datetime, comparison: Comparison | None = None) -> Forecast:
    """Projects the month's spending from the plan and its prices, comparisons included."""
    left = next_month(now) - aware(now)
    posts = int(limits.planned_per_day * (left / timedelta(days=1)))
    if limits.posts_24h is not None:
        posts = min(posts, int(limits.posts_24h * (left / timedelta(days=1)) + min(1, limits.posts_24h)))
    if limits.posts_month is not None:
        posts = min(posts, max(0, limits.posts_month - usage.posts_month))
    if limits.budget_usd is not None and limits.cost_per_post:
        posts = min(posts, int(max(Decimal(0), limits.budget_usd - usage.cost_month) / limits.cost_per_post))
    cost = usage.cost_month + posts * limits.cost_per_post
    if comparison is not None:
        cost += _reads(usage, limits, left, comparison, posts) * comparison.post_usd
    if limits.budget_usd is not None:
        cost = min(cost, max(limits.budget_usd, usage.cost_month))
    return Forecast(cost_usd=cost, days_left=left.days, posts_left=posts)


def _reads(usage: Usage, limits: Limits, left: timedelta, comparison: Comparison, posts: int) -> int:
    """The posts that are still read this month; those to come are there for half of it on average."""
    reads = int(left / comparison.every) * min(comparison.most, comparison.posts + posts // 2)
    return reads if limits.reads_month is None else min(reads, max(0, limits.reads_month - usage.reads_month))

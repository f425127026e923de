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
    posts = _posts(usage, limits, left)
    cost = usage.cost_month + posts * limits.cost_per_post
    if comparison is not None:
        cost += _reads(usage, limits, left, comparison, posts) * comparison.post_usd
    if limits.budget_usd is not None:
        cost = min(cost, max(limits.budget_usd, usage.cost_month))
    return Forecast(cost_usd=cost, days_left=left.days, posts_left=posts)


def _posts(usage: Usage, limits: Limits, left: timedelta) -> int:
    """The posts that plan, caps and budgets allow; shared ones as if nobody else spent of them."""
    days = left / timedelta(days=1)
    most = [int(limits.planned_per_day * days)]
    shared = ((limits.app, usage.app), (limits.in_all, usage.in_all))
    daily = [limits.posts_24h, *(caps.posts_24h for caps, _ in shared)]
    most += [int(cap * days + min(1, cap)) for cap in daily if cap is not None]
    if limits.posts_month is not None:
        most.append(limits.posts_month - usage.posts_month)
    most += [
        caps.posts_month - used.posts_month
        for caps, used in shared
        if caps.posts_month is not None and used is not None
    ]
    budgets = [(limits.budget_usd, usage.cost_month), (limits.profile_budget_usd, usage.own_cost_month)]
    left_usd = [budget - cost for budget, cost in budgets if budget is not None]
    if limits.cost_per_post:
        most += [int(usd / limits.cost_per_post) for usd in left_usd]
    return max(0, min(most))


def _reads(usage: Usage, limits: Limits, left: timedelta, comparison: Comparison, posts: int) -> int:
    """The posts that are still read this month; those to come are there for half of it on average."""
    reads = int(left / comparison.every) * min(comparison.most, comparison.posts + posts // 2)
    return reads if limits.reads_month is None else min(reads, max(0, limits.reads_month - usage.reads_month))

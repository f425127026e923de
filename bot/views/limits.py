"""Limits, usage and what was decided about them."""

from __future__ import annotations

from typing import Any

from bot.core.spending.limits import Gauge, Verdict
from bot.engine.reports import UsageReport
from bot.views.plain import amount, money

# Told under `month`.
BUDGETS = frozenset({"budget_usd", "profile_budget_usd"})


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A decision as programs see it."""
    return {
        "verdict": verdict.verdict,
        "limit": verdict.limit,
        "used": amount(verdict.limit, verdict.used),
        "cap": amount(verdict.limit, verdict.cap),
        "until": verdict.until,
        "reason": verdict.reason,
    }


def usage_json(report: UsageReport) -> dict[str, Any]:
    """`usage --json`."""
    own_budget = report.limits.profile_budget_usd
    return {
        "as_of": report.as_of,
        "limits": [_gauge_json(gauge) for gauge in report.gauges if gauge.name not in BUDGETS],
        "month": {
            "cost_usd": money(report.usage.cost_month),
            "budget_usd": None if report.limits.budget_usd is None else money(report.limits.budget_usd),
            "profile_cost_usd": money(report.usage.own_cost_month),
            "profile_budget_usd": None if own_budget is None else money(own_budget),
            "forecast_usd": money(report.forecast.cost_usd),
            "days_left": report.forecast.days_left,
            "posts_left": report.forecast.posts_left,
        },
        "drift": report.drift,
    }


def _gauge_json(gauge: Gauge) -> dict[str, Any]:
    return {
        "name": gauge.name,
        "used": amount(gauge.name, gauge.used),
        "cap": amount(gauge.name, gauge.cap),
        "remaining": amount(gauge.name, gauge.remaining),
        "window": gauge.window,
        "scope": gauge.scope.value,
        "resets_at": gauge.resets_at,
    }

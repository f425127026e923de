"""What a person is shown, where a whole program says no more."""

from __future__ import annotations

import io
from datetime import UTC
from decimal import Decimal

from rich.console import Console

from bot.cli.show import show_usage
from bot.core.spending.forecast import Forecast
from bot.core.spending.limits import Limits, decide
from bot.core.spending.usage import Usage
from bot.engine.reports import UsageReport
from tests.core.makers import utc

NOW = utc("2026-11-10T12:00:00")


def test_the_paces_of_two_budgets_have_two_names() -> None:
    usage = Usage(last_post_at=NOW, cost_month=Decimal(1), own_cost_month=Decimal(1))
    limits = Limits(
        budget_usd=Decimal(2), profile_budget_usd=Decimal(2), planned_per_day=50, cost_per_post=Decimal("0.1")
    )
    verdict = decide(usage, limits, NOW)
    report = UsageReport(
        as_of=NOW,
        usage=usage,
        limits=limits,
        gauges=verdict.gauges,
        forecast=Forecast(cost_usd=Decimal(2), days_left=20, posts_left=10),
        verdict=verdict,
    )
    shown = io.StringIO()

    show_usage(Console(file=shown, width=120), report, zone=UTC)

    names = [line.split("  ")[0] for line in shown.getvalue().splitlines()]
    assert len(names) == len(set(names))
    assert {"budget_pace (all)", "budget_pace (profile)", "budget_usd", "posts_24h"} <= set(names)

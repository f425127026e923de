"""Old rows go, and nothing that is still summed or shown changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.engine.housekeeping import forget_old_rows
from bot.engine.reports import report_decisions, report_usage
from tests.engine.world import World

DAY = 24 * 3600


def add_call(world: World, *, state: str, days_ago: float) -> None:
    world.change(
        "INSERT INTO api_calls (profile_id, api, kind, endpoint, units, cost_usd, state, at) "
        "VALUES (:p, 'twitter', 'post', 'POST /2/tweets', 1, 0.015, CAST(:state AS call_state), :at)",
        p=world.profile_id,
        state=state,
        at=world.clock.now() - timedelta(days=days_ago),
    )


def states(world: World) -> list[str]:
    return [row[0] for row in world.rows("SELECT state::text FROM api_calls ORDER BY at")]


@pytest.mark.parametrize(
    ("state", "days", "kept"),
    [
        ("settled", 399, True),
        ("settled", 401, False),
        ("external", 401, False),
        ("released", 6, True),
        ("released", 8, False),
        # What may still be settled is no history yet.
        ("reserved", 500, True),
        ("unknown", 500, True),
    ],
)
def test_a_ledger_row_is_kept_as_long_as_somebody_may_ask_for_it(
    world: World, state: str, days: int, kept: bool
) -> None:
    add_call(world, state=state, days_ago=days)
    forget_old_rows(world.context)
    assert states(world) == ([state] if kept else [])


def test_daily_sums_and_the_months_use_stay_when_their_rows_go(world: World) -> None:
    for days in (0, 1, 450, 451):
        add_call(world, state="settled", days_ago=days)
    before = world.rows("SELECT date, tweets_posted, cost_usd FROM api_usage_tracking ORDER BY date")
    agent, now = world.context.limits, world.clock.now()
    used = report_usage(world.manager, agent, world.profile_id, now=now).usage

    assert forget_old_rows(world.context)["api_calls"] == 2

    assert world.rows("SELECT date, tweets_posted, cost_usd FROM api_usage_tracking ORDER BY date") == before
    assert report_usage(world.manager, agent, world.profile_id, now=now).usage == used


def test_a_row_that_somebody_deletes_otherwise_still_takes_its_use_along(world: World) -> None:
    add_call(world, state="settled", days_ago=1)
    forget_old_rows(world.context)
    world.change("DELETE FROM api_calls")
    assert world.rows("SELECT tweets_posted, cost_usd FROM api_usage_tracking") == [(0, 0)]


def test_why_reaches_back_as_far_as_it_is_told_to(world: World) -> None:
    for number in range(3):
        world.slot(number * 40 * DAY, f"text {number}")
        world.clock.pass_time(0 if number == 0 else 40 * DAY)
        world.engine.tick(world.profile)
    shown = report_decisions(world.manager, world.profile, limit=100)
    settings = replace(world.context.settings, keep_decisions=timedelta(days=60))

    forget_old_rows(replace(world.context, settings=settings))

    since = world.clock.now() - timedelta(days=60)
    kept = [one for one in shown if (one.last_at or one.at) >= since]
    assert list(report_decisions(world.manager, world.profile, limit=100)) == kept
    assert 0 < len(kept) < len(shown)


def test_more_than_fits_into_one_transaction_goes_too(world: World) -> None:
    world.change(
        "INSERT INTO decisions (profile_id, at, last_at, kind, verdict, reason) "
        "SELECT :p, :at, :at, 'publish', 'nothing', number::text FROM generate_series(1, 5002) AS number",
        p=world.profile_id,
        at=world.clock.now() - timedelta(days=91),
    )
    assert forget_old_rows(world.context)["decisions"] == 5002

"""When a refused post is tried again, and how long a limit may stay closed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.core.errors import Fatal, Refused, Retryable
from bot.core.posting.retrying import backoff, may_try_again
from bot.core.spending.limits import Allow, Wait, closed_beyond
from bot.core.states import Origin
from tests.core.makers import tweet

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Longest(random.Random):
    """Chance at its upper end."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 5), (1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 320), (8, 600), (20, 600)],
)
def test_the_pause_doubles_from_five_seconds_up_to_ten_minutes(attempts: int, seconds: int) -> None:
    assert backoff(attempts, rng=Longest()) == timedelta(seconds=seconds)


def test_chance_shortens_a_pause_by_up_to_half() -> None:
    rng = random.Random(0)  # noqa: S311 - jitter
    pauses = [backoff(3, rng=rng).total_seconds() for _ in range(200)]
    assert 10 <= min(pauses) < 11
    assert 19 < max(pauses) <= 20


@pytest.mark.parametrize(
    ("fields", "error", "again"),
    [
        ({}, Retryable(), True),
        ({}, Fatal(), True),
        ({}, Refused(), False),
        ({"attempts": 7}, Retryable(), True),
        ({"attempts": 8}, Retryable(), False),
        ({"origin": Origin.MANUAL}, Retryable(), False),
        ({"origin": Origin.MANUAL, "resends": 1}, Retryable(), True),
        ({"origin": Origin.MANUAL, "part": 2}, Retryable(), True),
        ({"origin": Origin.MANUAL, "part": 2, "attempts": 8}, Fatal(), False),
    ],
)
def test_a_refusal_leads_to_another_call_only_where_nobody_waits_for_it(
    fields: dict[str, Any], error: Retryable, again: bool
) -> None:
    assert may_try_again(tweet(**fields), error) is again


@pytest.mark.parametrize(("seconds", "closed"), [(-1, False), (0, False), (1, True)])
def test_a_limit_is_closed_beyond_a_moment_when_it_opens_after_it(seconds: int, closed: bool) -> None:
    until = NOON + timedelta(seconds=seconds)
    wait = Wait(until=until, limit="posts_24h", used=Decimal(1), cap=Decimal(1), reason="full")
    assert closed_beyond(wait, NOON) is closed
    assert closed_beyond(Wait(until=None, limit="l", used=Decimal(1), cap=None, reason="r"), NOON)
    assert not closed_beyond(Allow(limit=None, used=None, cap=None, reason="free"), NOON)

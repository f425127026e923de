"""What a refusal of X's closes, and until when, in figures."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.errors import Fatal, Refused, Retryable, ServiceError
from bot.core.rates import RateWindow
from bot.core.spending.closing import closed_by
from tests.core.makers import utc

NOW = utc("2026-11-28T12:00:00")
POST = "POST /2/tweets"
TOMORROW = NOW + timedelta(days=1)


def window(name: str, remaining: int) -> RateWindow:
    return RateWindow(name=name, limit=100, remaining=remaining, resets_at=TOMORROW)


@pytest.mark.parametrize(
    ("error", "where", "name", "seconds"),
    [
        (Retryable("later", code="rate_limited"), POST, "block", 900),
        (Retryable("later", code="usage_capped"), POST, "usage_cap", 3600),
        (Retryable("later", code="credits_depleted"), POST, "credits", 3600),
        (Retryable("later", code="credits_depleted", scope="account"), "*", "credits", 3600),
        (Retryable("later", code="usage_capped", until=TOMORROW), POST, "usage_cap", 86400),
        (Retryable("later", code="rate_limited", until=TOMORROW), POST, "block", 86400),
        (Fatal("no", code="keys_refused"), "*", "keys", 900),
        (Fatal("no", code="no_answer"), "*", "keys", 900),
    ],
)
def test_a_refusal_closes_so_much_for_so_long(
    error: ServiceError, where: str, name: str, seconds: int
) -> None:
    closed = closed_by(error, POST, NOW)
    assert closed == (
        where,
        RateWindow(
            name=name,
            limit=None,
            remaining=0,
            resets_at=NOW + timedelta(seconds=seconds),
            reason=error.code,
        ),
    )


@pytest.mark.parametrize(
    ("rates", "seconds"),
    [
        ((), 86400),
        ((window("15m", 0),), 900),
        ((window("15m", 0), window("24h_user", 1)), 900),
        ((window("15m", 0), window("24h_user", 0)), 86400),
    ],
)
def test_a_quarter_of_an_hour_that_is_used_up_closes_no_longer_than_that(
    rates: tuple[RateWindow, ...], seconds: int
) -> None:
    error = Retryable("later", code="rate_limited", until=TOMORROW, rates=rates)
    closed = closed_by(error, POST, NOW)
    assert closed is not None
    assert closed[1].resets_at == NOW + timedelta(seconds=seconds)


def test_a_months_cap_is_not_cut_to_a_quarter_of_an_hour() -> None:
    error = Retryable("later", code="usage_capped", until=TOMORROW, rates=(window("15m", 0),))
    closed = closed_by(error, POST, NOW)
    assert closed is not None
    assert closed[1].resets_at == TOMORROW


@pytest.mark.parametrize(
    "error",
    [
        Fatal("none given", code="keys_missing"),
        Fatal("not X", code="wrong_address"),
        Refused("no", code="policy"),
        Retryable("nobody there", code="x_unreachable"),
    ],
)
def test_what_says_nothing_of_limits_closes_nothing(error: ServiceError) -> None:
    assert closed_by(error, POST, NOW) is None

"""What a refusal of X's closes, and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.codes import ErrorCode
from bot.core.errors import Fatal, Retryable, ServiceError
from bot.core.rates import RateWindow
from bot.core.spending.gauges import EVERY_ENDPOINT

# How long a service that named no time is left alone.
_PROBE_AFTER: Mapping[str, timedelta] = {
    ErrorCode.CREDITS_DEPLETED: timedelta(hours=1),
    ErrorCode.USAGE_CAPPED: timedelta(hours=1),
    ErrorCode.RATE_LIMITED: timedelta(minutes=15),
}
_KEYS_PROBE = timedelta(minutes=15)
_WINDOW_OF: Mapping[str, str] = {
    ErrorCode.CREDITS_DEPLETED: "credits",
    ErrorCode.USAGE_CAPPED: "usage_cap",
    ErrorCode.RATE_LIMITED: "block",
}


def closed_by(error: ServiceError, endpoint: str, now: datetime) -> tuple[str, RateWindow] | None:
    """The endpoint that a refusal closes, or all of them, and until when; None where it closes none."""
    if error.code in {ErrorCode.KEYS_MISSING, ErrorCode.WRONG_ADDRESS}:
        return None  # X was not asked, so it has closed nothing
    if isinstance(error, Fatal):
        until, name, where = now + _KEYS_PROBE, "keys", EVERY_ENDPOINT
    elif isinstance(error, Retryable) and error.code in _WINDOW_OF:
        until = error.until or now + _PROBE_AFTER[error.code]
        name = _WINDOW_OF[error.code]
        if name == "block" and _of_a_quarter(error.rates):
            until = min(until, now + _PROBE_AFTER[ErrorCode.RATE_LIMITED])
        where = EVERY_ENDPOINT if error.scope == "account" else endpoint
    else:
        return None
    return where, RateWindow(name=name, limit=None, remaining=0, resets_at=until, reason=error.code)


def _of_a_quarter(rates: Sequence[RateWindow]) -> bool:
    """Whether what is used up is the window of a quarter of an hour, and not one of a day."""
    return bool(rates) and not any(one.name != "15m" and one.remaining == 0 for one in rates)

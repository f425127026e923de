"""What X's headers say about how much may still be asked, and when more may be.

The `x-rate-limit-*` headers are documented at https://docs.x.com/x-api/fundamentals/rate-limits;
the 24-hour ones are not, but are sent to posts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from bot.core.rates import RateWindow

_QUARTER_HOUR = "x-rate-limit"
_DAYS = (("24h_app", "x-app-limit-24hour"), ("24h_user", "x-user-limit-24hour"))
_WINDOWS = (("15m", _QUARTER_HOUR), *_DAYS)

# Eleven digits reach the year 5138; longer ones are milliseconds or rubbish, and no datetime.
_EPOCH = re.compile(r"[0-9]{1,11}")
_COUNT = re.compile(r"[0-9]{1,9}")
# A wait of more than 115 days is not meant.
_SECONDS = re.compile(r"[0-9]{1,7}")


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers under lower-case names, as every function here wants them."""
    return {name.lower(): value for name, value in headers.items()}


def rate_windows(headers: Mapping[str, str]) -> tuple[RateWindow, ...]:
    """Every rate window that the headers tell whole.

    Args:
        headers: names in lower case.

    Returns:
        Windows `15m`, `24h_app`, `24h_user`, in this order; one without a readable `remaining`
        and `reset` is left out, an unreadable `limit` is None.
    """
    windows = []
    for name, prefix in _WINDOWS:
        remaining = _number(headers.get(f"{prefix}-remaining"), _COUNT)
        resets_at = _reset(headers, prefix)
        if remaining is not None and resets_at is not None:
            limit = _number(headers.get(f"{prefix}-limit"), _COUNT)
            windows.append(RateWindow(name=name, limit=limit, remaining=remaining, resets_at=resets_at))
    return tuple(windows)


def day_reset(headers: Mapping[str, str]) -> datetime | None:
    """When the used-up 24-hour window reopens, the later one of two; None when none is used up."""
    closed = [
        window.resets_at for window in rate_windows(headers) if window.name != "15m" and not window.remaining
    ]
    return max(closed, default=None)


def reopens(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    """When a 429 says that asking makes sense again; None when it does not say.

    A used-up 24-hour window holds longer than the `x-rate-limit-reset` beside it, so it comes
    first; `retry-after`, in seconds or as a date, comes last.
    """
    return day_reset(headers) or _reset(headers, _QUARTER_HOUR) or _retry_after(headers, now=now)


def _reset(headers: Mapping[str, str], prefix: str) -> datetime | None:
    seconds = _number(headers.get(f"{prefix}-reset"), _EPOCH)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _retry_after(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    value = headers.get("retry-after", "")
    seconds = _number(value, _SECONDS)
    if seconds is not None:
        return now + timedelta(seconds=seconds)
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _number(value: str | None, pattern: re.Pattern[str]) -> int | None:
    text = (value or "").strip()
    return int(text) if pattern.fullmatch(text) else None

"""The one judge of spending: `decide(usage, limits, now)`.

Rows in, a verdict with its reason out. Nothing else in the bot compares use with a cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bot.core.moments import aware
from bot.core.spending.gauges import (
    EVERY_ENDPOINT,
    MAX_STARTS,
    ONE_POST,
    STARTS_WINDOW,
    bounded,
    gauge_limits,
    month_start,
    next_month,
)
from bot.core.spending.usage import (
    CREATE_POST,
    MOST,
    Gauge,
    Limits,
    Scope,
    Seen,
    SharedCaps,
    SharedUsage,
    Spent,
    Usage,
    Wanted,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Allow:
    """Go: every limit has room. Names the tightest."""

    limit: str | None
    used: Decimal | None
    cap: Decimal | None
    reason: str
    gauges: tuple[Gauge, ...] = field(default=(), repr=False)

    verdict = "allow"
    until = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """Not now: the limit that lets go last, and when. `until` None is not under these limits."""

    until: datetime | None
    limit: str
    used: Decimal
    cap: Decimal | None
    reason: str
    gauges: tuple[Gauge, ...] = field(default=(), repr=False)

    verdict = "wait"


Verdict = Allow | Wait
_WHOSE = {Scope.PROFILE: "", Scope.APP: ", the app's", Scope.ALL: ", in all"}
_REFUSALS = frozenset({"x_keys", "x_credits", "x_block", "x_usage_cap"})


def decide(usage: Usage, limits: Limits, now: datetime, wanted: Wanted = ONE_POST) -> Verdict:
    """Decides whether the wanted call may be made now.

    Args:
        usage: what the rows say was used.
        limits: the account's caps, and those that it shares with others.
        now: the aware moment of the decision.
        wanted: the call; one plain post when left out.

    Returns:
        `Allow`, or `Wait` with the moment, exact to the second, at which the same call is allowed
        if nothing else is spent until then.

    Raises:
        UsageUnreadable: a limit is set whose use was not read.
    """
    gauges = gauge_limits(usage, limits, now, wanted)
    closed = [gauge for gauge in gauges if gauge.closed]
    if not closed:
        tight = _tightest(gauges)
        return Allow(
            limit=tight.name if tight else None,
            used=tight.used if tight else None,
            cap=tight.cap if tight else None,
            reason=f"{_say(tight)}, room left" if tight else "no limit is set",
            gauges=gauges,
        )
    binding = max(closed, key=lambda gauge: (gauge.never, gauge.frees_at or aware(now)))
    until = None if binding.frees_at is None else _up_to_second(binding.frees_at)
    return Wait(
        until=until,
        limit=binding.name,
        used=binding.used,
        cap=binding.cap,
        reason=f"{_say(binding)}" if until else f"{_say(binding)}: never fits under this limit",
        gauges=gauges,
    )


def closed_beyond(verdict: Verdict, last: datetime) -> bool:
    """Whether a limit stays closed past the last moment at which posting makes sense."""
    return isinstance(verdict, Wait) and (verdict.until is None or verdict.until > last)


def _tightest(gauges: Sequence[Gauge]) -> Gauge | None:
    capped = [gauge for gauge in gauges if gauge.cap and gauge.weighed]
    return min(capped, key=lambda gauge: ((gauge.cap - gauge.used) / gauge.cap, gauge.cap), default=None)  # type: ignore[operator]  # capped


def _say(gauge: Gauge) -> str:
    if gauge.name in _REFUSALS and gauge.closed:
        return f"{gauge.name}: X refused ({gauge.window}); `resume` tries again at once"
    cap = "no cap" if gauge.cap is None else f"{_figure(gauge.used)} of {_figure(gauge.cap)} used"
    return f"{gauge.name}: {cap} ({gauge.window}{_WHOSE[gauge.scope]})"


def _figure(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _up_to_second(when: datetime) -> datetime:
    whole = when.astimezone(UTC).replace(microsecond=0)
    return whole if whole == when else whole + timedelta(seconds=1)


__all__ = [
    "CREATE_POST",
    "EVERY_ENDPOINT",
    "MAX_STARTS",
    "MOST",
    "ONE_POST",
    "STARTS_WINDOW",
    "Allow",
    "Gauge",
    "Limits",
    "Scope",
    "Seen",
    "SharedCaps",
    "SharedUsage",
    "Spent",
    "Usage",
    "Verdict",
    "Wait",
    "Wanted",
    "bounded",
    "decide",
    "gauge_limits",
    "month_start",
    "next_month",
]

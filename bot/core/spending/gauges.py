"""Every limit as it stands: how much is used, of what, and when there is room again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.core.moments import aware
from bot.core.rates import RateWindow
from bot.core.spending.usage import Gauge, Limits, Seen, Spent, Usage, Wanted
from bot.core.states import CallKind

EVERY_ENDPOINT = "*"
MAX_STARTS = 5
STARTS_WINDOW = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    name: str
    window: str
    length: timedelta


ONE_POST = Wanted()
# How long each of X's windows is, and how long an answer may close a call that names no window.
_LENGTHS = {"15m": timedelta(minutes=15), "keys": timedelta(minutes=15)}
_LONGEST = timedelta(hours=24)
_QUARTER = _Span(name="posts_15min", window="15min", length=timedelta(minutes=15))
_DAY = _Span(name="posts_24h", window="24h", length=timedelta(hours=24))


def gauge_limits(usage: Usage, limits: Limits, now: datetime, wanted: Wanted = ONE_POST) -> tuple[Gauge, ...]:
    """Every limit as it stands for the wanted call."""
    now = aware(now)
    posts = wanted.units if wanted.kind is CallKind.POST else 0
    reads = wanted.units if wanted.kind is CallKind.READ else 0
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    month_end = next_month(now)
    gauges = [
        _rolling(_QUARTER, usage.posts, cap=limits.posts_15min, need=posts, now=now),
        _rolling(_DAY, usage.posts, cap=limits.posts_24h, need=posts, now=now),
        _until(
            "posts_month", "month", used=usage.posts_month, cap=limits.posts_month, need=posts, end=month_end
        ),
        _until(
            "reads_month", "month", used=usage.reads_month, cap=limits.reads_month, need=reads, end=month_end
        ),
        _until(
            "tokens_day",
            "day",
            used=usage.tokens_day,
            cap=limits.tokens_day,
            need=wanted.tokens,
            end=midnight,
        ),
        _until(
            "budget_usd",
            "month",
            used=usage.cost_month,
            cap=limits.budget_usd,
            need=wanted.cost_usd,
            end=month_end,
        ),
        *_headers(usage.seen, wanted, now),
    ]
    if wanted.spaced and wanted.kind is CallKind.POST:
        gauges += [*_spacing(usage, limits, now), *_pace(usage, limits, now), *_restarts(usage, now)]
    return tuple(gauges)


def bounded(window: RateWindow, now: datetime) -> RateWindow:
    """The window with a reset that its own length allows, whatever the answer said.

    A day at most, a quarter of an hour for windows of that length, and for a month's cap the month.
    One that ended before is over, however long ago.
    """
    last = next_month(now) if window.name == "usage_cap" else now + _LENGTHS.get(window.name, _LONGEST)
    return replace(window, resets_at=max(now - _LONGEST, min(window.resets_at, last)))


def month_start(now: datetime) -> datetime:
    """The first moment of the month, UTC."""
    return aware(now).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(now: datetime) -> datetime:
    """The first moment of the next month, UTC."""
    start = month_start(now)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _rolling(span: _Span, spent: Sequence[Spent], *, cap: int | None, need: int, now: datetime) -> Gauge:
    inside = sorted((entry for entry in spent if entry.at > now - span.length), key=lambda entry: entry.at)
    used = sum(entry.units for entry in inside)
    resets_at = inside[0].at + span.length if inside else None
    gauge = Gauge(
        name=span.name,
        window=span.window,
        used=Decimal(used),
        cap=_decimal(cap),
        resets_at=resets_at,
        weighed=need != 0,
    )
    if cap is None or need == 0 or used + need <= cap:
        return gauge
    if need > cap:
        return _closed(gauge, frees_at=None)
    excess = used + need - cap
    for entry in inside:
        excess -= entry.units
        if excess <= 0:
            return _closed(gauge, frees_at=entry.at + span.length)
    raise AssertionError("the whole window is at least its excess")


def _until(
    name: str,
    window: str,
    *,
    used: Decimal | int,
    cap: Decimal | int | None,
    need: Decimal | int,
    end: datetime,
) -> Gauge:
    gauge = Gauge(
        name=name,
        window=window,
        used=Decimal(used),
        cap=_decimal(cap),
        resets_at=end,
        weighed=need != 0,
    )
    if cap is None or need == 0 or used + need <= cap:
        return gauge
    return _closed(gauge, frees_at=end if need <= cap else None)


def _headers(seen: Sequence[Seen], wanted: Wanted, now: datetime) -> Iterator[Gauge]:
    for one in seen:
        # Rows may hold what was kept before windows were bounded, or by a clock that was ahead.
        window = bounded(one.window, min(one.seen_at, now))
        if one.endpoint not in {wanted.endpoint, EVERY_ENDPOINT} or window.resets_at <= now:
            continue
        remaining = max(0, window.remaining - one.used_since)
        quota = window.limit
        gauge = Gauge(
            name=f"x_{window.name}",
            window=window.reason or f"{one.endpoint}, as X counts",
            used=Decimal(quota - remaining) if quota is not None else Decimal(one.used_since),
            cap=_decimal(quota),
            resets_at=window.resets_at,
        )
        # X counts requests: a read of many posts is one.
        need = wanted.units if wanted.kind is CallKind.POST else 1
        yield gauge if remaining >= need else _closed(gauge, frees_at=window.resets_at)


def _spacing(usage: Usage, limits: Limits, now: datetime) -> Iterator[Gauge]:
    if usage.last_post_at is None or not limits.spacing:
        return
    free = usage.last_post_at + limits.spacing
    gauge = Gauge(
        name="spacing",
        window=f"{int(limits.spacing.total_seconds())}s",
        used=Decimal(int(max(0.0, (now - usage.last_post_at).total_seconds()))),
        cap=Decimal(int(limits.spacing.total_seconds())),
        resets_at=free,
    )
    if free > now:
        yield _closed(gauge, frees_at=free)


def _pace(usage: Usage, limits: Limits, now: datetime) -> Iterator[Gauge]:
    """Spreads what is left of the budget over what is left of the month, when the plan wants more."""
    if limits.budget_usd is None or not limits.planned_per_day or not limits.cost_per_post:
        return
    end, start = next_month(now), month_start(now)
    affordable = int(max(Decimal(0), limits.budget_usd - usage.cost_month) / limits.cost_per_post)
    if affordable == 0:
        return
    # The month's first post waits for nothing.
    if usage.last_post_at is None or usage.last_post_at < start:
        return
    spread = usage.last_post_at + (end - usage.last_post_at) / (affordable + 1)
    # Once the plan has shrunk to what can be paid, there is nothing to spread.
    free = min(spread, end - timedelta(days=1) * (affordable / limits.planned_per_day))
    if free > now:
        gauge = Gauge(
            name="budget_pace",
            window="month",
            used=usage.cost_month,
            cap=limits.budget_usd,
            resets_at=end,
        )
        yield _closed(gauge, frees_at=free)


def _restarts(usage: Usage, now: datetime) -> Iterator[Gauge]:
    recent = sorted(start for start in usage.starts if start > now - STARTS_WINDOW)
    if len(recent) >= MAX_STARTS:
        gauge = Gauge(
            name="restarts",
            window="10min",
            used=Decimal(len(recent)),
            cap=Decimal(MAX_STARTS - 1),
            resets_at=recent[0] + STARTS_WINDOW,
        )
        yield _closed(gauge, frees_at=recent[-(MAX_STARTS - 1) - 1] + STARTS_WINDOW)


def _closed(gauge: Gauge, *, frees_at: datetime | None) -> Gauge:
    return replace(gauge, frees_at=frees_at, never=frees_at is None)


def _decimal(value: Decimal | int | None) -> Decimal | None:
    return None if value is None else Decimal(value)

"""Every limit as it stands: how much is used, of what, and when there is room again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.core.errors import UsageUnreadable
from bot.core.moments import aware
from bot.core.rates import RateWindow
from bot.core.spending.usage import (
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
from bot.core.states import CallKind

EVERY_ENDPOINT = "*"
MAX_STARTS = 5
STARTS_WINDOW = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    """A window that is counted over; the calendar's have no length of their own."""

    name: str
    window: str
    length: timedelta = timedelta(0)
    scope: Scope = Scope.PROFILE


ONE_POST = Wanted()
# How long each of X's windows is, and how long an answer may close a call that names no window.
_LENGTHS = {"15m": timedelta(minutes=15), "keys": timedelta(minutes=15)}
_LONGEST = timedelta(hours=24)
_QUARTER = _Span(name="posts_15min", window="15min", length=timedelta(minutes=15))
_DAY = _Span(name="posts_24h", window="24h", length=timedelta(hours=24))
_POSTS = _Span(name="posts_month", window="month")
_READS = _Span(name="reads_month", window="month")
_TOKENS = _Span(name="tokens_day", window="day", scope=Scope.ALL)
_BUDGET = _Span(name="budget_usd", window="month", scope=Scope.ALL)
_PROFILE_BUDGET = _Span(name="profile_budget_usd", window="month")


def gauge_limits(usage: Usage, limits: Limits, now: datetime, wanted: Wanted = ONE_POST) -> tuple[Gauge, ...]:
    """Every limit as it stands for the wanted call; of those that profiles share, the ones that are set.

    Raises:
        UsageUnreadable: a limit is set whose use was not read.
    """
    now = aware(now)
    posts, reads = _needs(wanted)
    month_end = next_month(now)
    gauges = [
        _rolling(_QUARTER, usage.posts, cap=limits.posts_15min, need=posts, now=now),
        _rolling(_DAY, usage.posts, cap=limits.posts_24h, need=posts, now=now),
        _until(_POSTS, used=usage.posts_month, cap=limits.posts_month, need=posts, end=month_end),
        _until(_READS, used=usage.reads_month, cap=limits.reads_month, need=reads, end=month_end),
        *_money(usage, limits, now, wanted),
        *_shared(Scope.APP, usage.app, limits.app, now, wanted),
        *_shared(Scope.ALL, usage.in_all, limits.in_all, now, wanted),
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
    resets_at = max(now - _LONGEST, min(window.resets_at, last))
    return window if resets_at == window.resets_at else replace(window, resets_at=resets_at)


def month_start(now: datetime) -> datetime:
    """The first moment of the month, UTC."""
    return aware(now).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(now: datetime) -> datetime:
    """The first moment of the next month, UTC."""
    start = month_start(now)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _needs(wanted: Wanted) -> tuple[int, int]:
    """The posts and the reads that are wanted."""
    posts = wanted.units if wanted.kind is CallKind.POST else 0
    return posts, wanted.units if wanted.kind is CallKind.READ else 0


def _money(usage: Usage, limits: Limits, now: datetime, wanted: Wanted) -> Iterator[Gauge]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    end, cost = next_month(now), wanted.cost_usd
    yield _until(_TOKENS, used=usage.tokens_day, cap=limits.tokens_day, need=wanted.tokens, end=midnight)
    yield _until(_BUDGET, used=usage.cost_month, cap=limits.budget_usd, need=cost, end=end)
    if limits.profile_budget_usd is not None:
        own, cap = usage.own_cost_month, limits.profile_budget_usd
        yield _until(_PROFILE_BUDGET, used=own, cap=cap, need=cost, end=end)


def _shared(
    scope: Scope, used: SharedUsage | None, caps: SharedCaps, now: datetime, wanted: Wanted
) -> Iterator[Gauge]:
    if not caps.any:
        return
    if used is None:
        raise UsageUnreadable(f"usage can't be read: {scope.value}: it has limits, and its use was not read")
    (posts, reads), end = _needs(wanted), next_month(now)
    day, month_posts, month_reads = (
        replace(one, name=f"{scope.value}_{one.name}", scope=scope) for one in (_DAY, _POSTS, _READS)
    )
    if caps.posts_24h is not None:
        yield _rolling(day, used.posts, cap=caps.posts_24h, need=posts, now=now)
    if caps.posts_month is not None:
        yield _until(month_posts, used=used.posts_month, cap=caps.posts_month, need=posts, end=end)
    if caps.reads_month is not None:
        yield _until(month_reads, used=used.reads_month, cap=caps.reads_month, need=reads, end=end)


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
        scope=span.scope,
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
    span: _Span, *, used: Decimal | int, cap: Decimal | int | None, need: Decimal | int, end: datetime
) -> Gauge:
    gauge = Gauge(
        name=span.name,
        window=span.window,
        used=Decimal(used),
        cap=_decimal(cap),
        resets_at=end,
        weighed=need != 0,
        scope=span.scope,
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
            scope=one.scope,
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
    """Spreads what is left of each budget over what is left of the month, when the plan wants more."""
    if not limits.planned_per_day or not limits.cost_per_post:
        return
    budgets = (
        (Scope.ALL, limits.budget_usd, usage.cost_month),
        (Scope.PROFILE, limits.profile_budget_usd, usage.own_cost_month),
    )
    for scope, budget, cost in budgets:
        free = None if budget is None else _spread(budget - cost, usage, limits, now)
        if free is not None and free > now:
            gauge = Gauge(
                name="budget_pace",
                window="month",
                used=cost,
                cap=budget,
                resets_at=next_month(now),
                scope=scope,
            )
            yield _closed(gauge, frees_at=free)


def _spread(left_usd: Decimal, usage: Usage, limits: Limits, now: datetime) -> datetime | None:
    """When the next post is due, if what is left of a budget is spread; None when nothing is to wait."""
    end, start = next_month(now), month_start(now)
    affordable = int(max(Decimal(0), left_usd) / limits.cost_per_post)
    # The month's first post waits for nothing.
    if affordable == 0 or usage.last_post_at is None or usage.last_post_at < start:
        return None
    spread = usage.last_post_at + (end - usage.last_post_at) / (affordable + 1)
    # Once the plan has shrunk to what can be paid, there is nothing to spread. No month is longer than 31
    # days, and thousands of years before its end there are no dates.
    return min(spread, end - timedelta(days=1) * min(31, affordable / limits.planned_per_day))


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

"""A ledger in memory and a slow second opinion on it, written without a look at `core.limits`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bot.core.rates import RateWindow
from bot.core.spending.limits import Limits, Seen, Spent, Usage, Wanted
from bot.core.states import CallKind, CallState

QUARTER = timedelta(minutes=15)
DAY = timedelta(hours=24)
TEN_MINUTES = timedelta(minutes=10)


@dataclass(kw_only=True)
class Entry:
    at: datetime
    wanted: Wanted
    state: CallState = CallState.RESERVED
    cost: Decimal = Decimal(0)

    @property
    def counts(self) -> bool:
        return self.state is not CallState.RELEASED

    @property
    def ours(self) -> bool:
        return self.state is not CallState.EXTERNAL


@dataclass(kw_only=True)
class Header:
    window: RateWindow
    seen_at: datetime


@dataclass
class Ledger:
    entries: list[Entry] = field(default_factory=list)
    headers: dict[tuple[str, str], Header] = field(default_factory=dict)
    starts: list[datetime] = field(default_factory=list)

    def counting(self, kind: CallKind) -> list[Entry]:
        return [entry for entry in self.entries if entry.counts and entry.wanted.kind is kind]

    def used_since(self, endpoint: str, moment: datetime) -> int:
        return sum(
            entry.wanted.units
            for entry in self.counting(CallKind.POST)
            if entry.ours and entry.wanted.endpoint == endpoint and entry.at > moment
        )

    def usage(self, now: datetime) -> Usage:
        """The rows as the store reads them."""
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        posts, reads = self.counting(CallKind.POST), self.counting(CallKind.READ)
        everything = [entry for entry in self.entries if entry.counts]
        return Usage(
            posts=tuple(
                Spent(at=entry.at, units=entry.wanted.units)
                for entry in sorted(posts, key=lambda entry: entry.at, reverse=True)
                if entry.at > now - DAY
            ),
            posts_month=sum(entry.wanted.units for entry in posts if entry.at >= month),
            reads_month=sum(entry.wanted.units for entry in reads if entry.at >= month),
            cost_month=sum((entry.cost for entry in everything if entry.at >= month), Decimal(0)),
            tokens_day=sum(entry.wanted.tokens for entry in everything if entry.at.date() == now.date()),
            last_post_at=max((entry.at for entry in posts if entry.ours), default=None),
            seen=tuple(
                Seen(
                    endpoint=endpoint,
                    window=header.window,
                    seen_at=header.seen_at,
                    used_since=self.used_since(endpoint, header.seen_at),
                )
                for (endpoint, _), header in self.headers.items()
            ),
            starts=tuple(sorted(self.starts, reverse=True)),
        )

    def ahead(self, now: datetime) -> bool:
        """Whether the clock has jumped back behind something that was written."""
        told = (header.seen_at for header in self.headers.values())
        return any(moment > now for moment in [*(entry.at for entry in self.entries), *told, *self.starts])


def fullest(moments: Iterable[tuple[datetime, int]], length: timedelta) -> int:
    """The most units that any window of this length holds, wherever it is laid."""
    rows = list(moments)
    return max(
        (sum(units for at, units in rows if start <= at < start + length) for start, _ in rows), default=0
    )


def broken_caps(ledger: Ledger, limits: Limits) -> set[str]:
    """The caps that history exceeds, in any window of it."""
    posts = [(entry.at, entry.wanted.units) for entry in ledger.counting(CallKind.POST)]
    reads = [(entry.at, entry.wanted.units) for entry in ledger.counting(CallKind.READ)]
    counted = [entry for entry in ledger.entries if entry.counts]
    tokens: dict[str, int] = {}
    costs: dict[str, Decimal] = {}
    for entry in counted:
        tokens[f"{entry.at:%Y-%m-%d}"] = tokens.get(f"{entry.at:%Y-%m-%d}", 0) + entry.wanted.tokens
        costs[f"{entry.at:%Y-%m}"] = costs.get(f"{entry.at:%Y-%m}", Decimal(0)) + entry.cost
    most: dict[str, int | Decimal] = {
        "posts_15min": fullest(posts, QUARTER),
        "posts_24h": fullest(posts, DAY),
        "posts_month": max(_by_month(posts), default=0),
        "reads_month": max(_by_month(reads), default=0),
        "tokens_day": max(tokens.values(), default=0),
        "budget_usd": max(costs.values(), default=Decimal(0)),
    }
    caps: dict[str, int | Decimal | None] = {name: getattr(limits, name) for name in most}
    return {name for name, used in most.items() if (cap := caps[name]) is not None and used > cap}


def _by_month(moments: Iterable[tuple[datetime, int]]) -> Iterable[int]:
    sums: dict[str, int] = {}
    for at, units in moments:
        sums[f"{at:%Y-%m}"] = sums.get(f"{at:%Y-%m}", 0) + units
    return sums.values()


def obstacles(ledger: Ledger, limits: Limits, now: datetime, wanted: Wanted) -> set[str]:
    """The names of all that stands against the wanted call, by trying it out."""
    need = {CallKind.POST: wanted.units, CallKind.READ: wanted.units}
    found: set[str] = set()
    if wanted.kind is CallKind.POST:
        for name, length in (("posts_15min", QUARTER), ("posts_24h", DAY)):
            recent = [
                (entry.at, entry.wanted.units)
                for entry in ledger.counting(CallKind.POST)
                if entry.at + length > now
            ]
            cap = getattr(limits, name)
            if cap is not None and fullest([*recent, (now, wanted.units)], length) > cap:
                found.add(name)
    for name, kind in (("posts_month", CallKind.POST), ("reads_month", CallKind.READ)):
        this_month = [
            entry.wanted.units
            for entry in ledger.counting(kind)
            if (entry.at.year, entry.at.month) == (now.year, now.month)
        ]
        cap = getattr(limits, name)
        if cap is not None and wanted.kind is kind and sum(this_month) + need[kind] > cap:
            found.add(name)
    found |= _money(ledger, limits, now, wanted)
    found |= set(_of_x(ledger, now, wanted))
    if wanted.kind is CallKind.POST and wanted.spaced:
        ours = [entry for entry in ledger.counting(CallKind.POST) if entry.ours]
        if any(now - entry.at < limits.spacing for entry in ours):
            found.add("spacing")
        if sum(now - start < TEN_MINUTES for start in ledger.starts) > 4:
            found.add("restarts")
    return found


def _money(ledger: Ledger, limits: Limits, now: datetime, wanted: Wanted) -> set[str]:
    counted = [entry for entry in ledger.entries if entry.counts]
    found = set()
    today = sum(entry.wanted.tokens for entry in counted if entry.at.date() == now.date())
    if limits.tokens_day is not None and wanted.tokens and today + wanted.tokens > limits.tokens_day:
        found.add("tokens_day")
    month = [entry.cost for entry in counted if f"{entry.at:%Y-%m}" == f"{now:%Y-%m}"]
    total = sum(month, wanted.cost_usd)
    if limits.budget_usd is not None and wanted.cost_usd and total > limits.budget_usd:
        found.add("budget_usd")
    return found


def _of_x(ledger: Ledger, now: datetime, wanted: Wanted) -> Iterator[str]:
    for (endpoint, name), header in ledger.headers.items():
        touches = endpoint in {"*", wanted.endpoint}
        left = header.window.remaining - ledger.used_since(endpoint, header.seen_at)
        longest = QUARTER if name == "15m" else DAY
        ends = min(header.window.resets_at, header.seen_at + longest)
        if touches and ends > now and left < wanted.units:
            yield f"x_{name}"


def impossible(limits: Limits, wanted: Wanted) -> set[str]:
    """The caps that the wanted call exceeds on its own."""
    posts = wanted.units if wanted.kind is CallKind.POST else 0
    reads = wanted.units if wanted.kind is CallKind.READ else 0
    needs = {
        "posts_15min": posts,
        "posts_24h": posts,
        "posts_month": posts,
        "reads_month": reads,
        "tokens_day": wanted.tokens,
        "budget_usd": wanted.cost_usd,
    }
    return {
        name
        for name, need in needs.items()
        if (cap := getattr(limits, name)) is not None and need and need > cap
    }


def month_end(now: datetime) -> datetime:
    day = now
    while (day.year, day.month) == (now.year, now.month):
        day += timedelta(days=1)
    return datetime(day.year, day.month, 1, tzinfo=UTC)

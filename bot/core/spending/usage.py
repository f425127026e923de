"""What is weighed: caps, what was used, what is wanted, and one limit as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bot.core.rates import RateWindow
from bot.core.states import CallKind

CREATE_POST = "POST /2/tweets"
# The most that a cap on a count can be.
MOST = 10**9


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an account may spend; None is no limit.

    `planned_per_day` and `cost_per_post` say what the plan would spend, so that a tight budget
    is spread over the month.
    """

    posts_15min: int | None = 100
    posts_24h: int | None = 17
    posts_month: int | None = None
    reads_month: int | None = None
    tokens_day: int | None = None
    budget_usd: Decimal | None = None
    spacing: timedelta = timedelta(0)
    planned_per_day: int = 0
    cost_per_post: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Posts that were made or may have been made at one moment."""

    at: datetime
    units: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What X's headers last said of one window, and what was reserved on it since."""

    endpoint: str
    window: RateWindow
    seen_at: datetime
    used_since: int = 0
    drift: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What the rows say was used. Every figure comes from rows that were read.

    Attributes:
        posts: all posts of the last 24 hours, summed by the second, newest first.
        posts_month: posts since the first of the month, UTC.
        reads_month: resources read since the first of the month, UTC.
        cost_month: US dollars since the first of the month, UTC, all APIs and profiles.
        tokens_day: language-model tokens since midnight, UTC.
        last_post_at: when this bot last posted, or may have.
        seen: X's own windows.
        starts: the worker's last starts, newest first.
    """

    posts: tuple[Spent, ...] = ()
    posts_month: int = 0
    reads_month: int = 0
    cost_month: Decimal = Decimal(0)
    tokens_day: int = 0
    last_post_at: datetime | None = None
    seen: tuple[Seen, ...] = ()
    starts: tuple[datetime, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the caller is about to spend.

    `spaced` is False for a person's wish: caps and budget bind it, spacing and pace don't.
    """

    kind: CallKind = CallKind.POST
    endpoint: str = CREATE_POST
    units: int = 1
    cost_usd: Decimal = Decimal(0)
    tokens: int = 0
    spaced: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauge:
    """One limit as it stands: what `usage` draws and `decide` weighs.

    `frees_at` is when the wanted amount fits: None when it fits now. `never` says it never will
    under these limits, `weighed` whether the wanted call spends of this limit at all.
    """

    name: str
    used: Decimal
    cap: Decimal | None
    window: str
    resets_at: datetime | None = None
    frees_at: datetime | None = None
    never: bool = False
    weighed: bool = True

    @property
    def remaining(self) -> Decimal | None:
        """What is left, never below zero; None without a cap."""
        return None if self.cap is None else max(Decimal(0), self.cap - self.used)

    @property
    def closed(self) -> bool:
        """Whether the wanted amount does not fit now."""
        return self.never or self.frees_at is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelUsage:
    """Tokens that a language-model call spends or spent."""

    model: str
    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        """Both directions together."""
        return self.input_tokens + self.output_tokens

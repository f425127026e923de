"""What is weighed: caps, what was used, what is wanted, and one limit as it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from bot.core.rates import RateWindow
from bot.core.states import CallKind

CREATE_POST = "POST /2/tweets"
# The most that a cap on a count can be.
MOST = 10**9


class Scope(StrEnum):
    """Whose use a limit counts: a profile's, that of all profiles of one X app, or everybody's."""

    PROFILE = "profile"
    APP = "app"
    ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedCaps:
    """What several profiles may use together; None is no limit."""

    posts_24h: int | None = None
    posts_month: int | None = None
    reads_month: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return any(cap is not None for cap in (self.posts_24h, self.posts_month, self.reads_month))


NO_SHARED_CAPS = SharedCaps()


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an account may spend; None is no limit.

    `tokens_day`, `budget_usd` and `in_all` bind all profiles together, `app` those of one X app, the
    others each profile alone. `planned_per_day` and `cost_per_post` say what the plan would spend, so
    that a tight budget is spread over the month.
    """

    posts_15min: int | None = 100
    posts_24h: int | None = 17
    posts_month: int | None = None
    reads_month: int | None = None
    tokens_day: int | None = None
    budget_usd: Decimal | None = None
    profile_budget_usd: Decimal | None = None
    app: SharedCaps = NO_SHARED_CAPS
    in_all: SharedCaps = NO_SHARED_CAPS
    spacing: timedelta = timedelta(0)
    planned_per_day: int = 0
    cost_per_post: Decimal = Decimal(0)

    @property
    def shared(self) -> frozenset[Scope]:
        """The scopes wider than a profile that have limits, whose use must be read."""
        caps = {Scope.APP: self.app, Scope.ALL: self.in_all}
        return frozenset(scope for scope, one in caps.items() if one.any)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Posts that were made or may have been made at one moment."""

    at: datetime
    units: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What X's headers last said of one window, and what was reserved on it since.

    `scope` is the app's where X counts all profiles of an app in the window.
    """

    endpoint: str
    window: RateWindow
    seen_at: datetime
    used_since: int = 0
    drift: int = 0
    scope: Scope = Scope.PROFILE


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedUsage:
    """What the profiles of a scope used together.

    Attributes:
        posts: all posts of the last 24 hours, summed by the minute, newest first.
        posts_month: posts since the first of the month, UTC.
        reads_month: resources read since the first of the month, UTC.
    """

    posts: tuple[Spent, ...] = ()
    posts_month: int = 0
    reads_month: int = 0

    def with_posts(self, units: int, at: datetime) -> SharedUsage:
        """The use with further posts of a moment."""
        if not units:
            return self
        more = Spent(at=at, units=units)
        return replace(self, posts=(more, *self.posts), posts_month=self.posts_month + units)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What the rows say was used. Every figure comes from rows that were read.

    Attributes:
        posts: all posts of the last 24 hours, summed by the second, newest first.
        posts_month: posts since the first of the month, UTC.
        reads_month: resources read since the first of the month, UTC.
        cost_month: US dollars since the first of the month, UTC, all APIs and profiles.
        own_cost_month: those of the profile, and of nobody in particular.
        tokens_day: language-model tokens since midnight, UTC.
        last_post_at: when this bot last posted, or may have.
        seen: X's own windows.
        starts: the worker's last starts, newest first.
        app_id: which X app the profile's keys belong to, None while that isn't known.
        app: what all profiles of the app used, and what belongs to no known app; None is not read.
        in_all: what everybody used; None is not read.
    """

    posts: tuple[Spent, ...] = ()
    posts_month: int = 0
    reads_month: int = 0
    cost_month: Decimal = Decimal(0)
    own_cost_month: Decimal = Decimal(0)
    tokens_day: int = 0
    last_post_at: datetime | None = None
    seen: tuple[Seen, ...] = ()
    starts: tuple[datetime, ...] = ()
    app_id: str | None = None
    app: SharedUsage | None = None
    in_all: SharedUsage | None = None


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
    under these limits, `weighed` whether the wanted call spends of this limit at all, `scope` whose
    use is counted.
    """

    name: str
    used: Decimal
    cap: Decimal | None
    window: str
    resets_at: datetime | None = None
    frees_at: datetime | None = None
    never: bool = False
    weighed: bool = True
    scope: Scope = Scope.PROFILE

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

"""What rows say was used: the sums that every decision is made of, for any number of profiles at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Connection,
    Date,
    Select,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import ProgrammingError

from bot.core.codes import DecisionKind
from bot.core.errors import RowUnreadable, UsageUnreadable
from bot.core.model import ProfileId
from bot.core.spending.limits import STARTS_WINDOW, Scope, Spent, Usage, month_start
from bot.core.states import CallKind, CallState
from bot.store.foundations import SUM_AGAIN
from bot.store.odd_rows import odd_rows_named
from bot.store.open_windows import OPEN_WINDOWS, windows_of
from bot.store.rows.base import Moment
from bot.store.rows.posting import PROFILES
from bot.store.rows.spending import CALLS, DAILY_USAGE, DECISIONS
from bot.store.shared_usage import SHARED, Shared, newest_first
from bot.store.together import Rows, Together
from bot.store.troubles import UPGRADE


@dataclass(frozen=True)
class UsageReader:
    """Reads the use of some profiles at a moment."""

    connection: Connection
    profile_ids: Sequence[ProfileId]
    now: datetime
    shared: AbstractSet[Scope] = frozenset()

    def read(self) -> Mapping[ProfileId | None, Usage]:
        """The use of each, and under None that of nobody in particular, which counts for everyone."""
        told = _ASKED.read(self.connection, self._values())
        everybodys = _Everybodys(**told["everybodys"][0])
        day, months = _days(told["day"]), _months_of(told["months"])
        last = {row["id"]: row["at"] for row in told["last_posts"]}
        apps: dict[ProfileId | None, str | None] = {row["id"]: row["app"] for row in told["last_posts"]}
        seen = windows_of(told["windows"], self.profile_ids, apps)
        starts = tuple(row["at"] for row in told["starts"])
        shared = Shared.of(self.shared, told["shared"])
        whose: list[ProfileId | None] = [*self.profile_ids, None]
        return {
            one: Usage(
                posts=newest_first(*(day[owner] for owner in {one, None})),
                posts_month=sum(months[owner, CallKind.POST].units for owner in {one, None}),
                reads_month=sum(months[owner, CallKind.READ].units for owner in {one, None}),
                cost_month=everybodys.cost,
                own_cost_month=sum(
                    (months[owner, kind].cost for owner in {one, None} for kind in CallKind), Decimal(0)
                ),
                tokens_day=everybodys.tokens,
                last_post_at=last.get(one),
                seen=() if one is None else seen[one],
                starts=starts,
                app_id=apps.get(one),
                app=shared.of_app(apps.get(one)),
                in_all=shared.of_all(everybodys.posts, everybodys.reads),
            )
            for one in whose
        }

    def _values(self) -> Mapping[str, Any]:
        month = month_start(self.now)
        return {
            "profile_ids": self.profile_ids,
            "now": self.now,
            "after": self.now - timedelta(hours=24),
            "since": self.now - STARTS_WINDOW,
            "start": month,
            "first": month.date(),
            "today": self.now.date(),
            "of_apps": Scope.APP in self.shared,
            "of_all": Scope.ALL in self.shared,
        }


@dataclass(frozen=True)
class _Month:
    """What a profile spent of one kind since the first of the month."""

    units: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True)
class _Everybodys:
    """What the daily rows say: all of the month, and the day's tokens."""

    cost: Decimal
    tokens: int
    posts: int
    reads: int


def _days(rows: Rows) -> Mapping[ProfileId | None, Sequence[Spent]]:
    found = defaultdict[ProfileId | None, list[Spent]](list)
    for row in rows:
        found[row["profile_id"]].append(Spent(at=row["at"], units=row["units"]))
    return found


def _months_of(rows: Rows) -> Mapping[tuple[ProfileId | None, CallKind], _Month]:
    found = defaultdict[tuple[ProfileId | None, CallKind], _Month](_Month)
    for row in rows:
        found[row["profile_id"], row["kind"]] = _Month(row["units"], row["cost"])
    return found


@contextmanager
def readable(connection: Connection) -> Iterator[None]:
    """Names a ledger that can't be read for what it is: a reason to spend nothing."""
    try:
        with odd_rows_named(connection):
            yield
    except RowUnreadable as error:
        fix = SUM_AGAIN if "api_usage_tracking" in str(error) else error.fix
        raise UsageUnreadable(f"usage can't be read: {error}; nothing is posted", fix=fix) from error
    except ProgrammingError as error:
        first = str(error.orig).strip().splitlines()[0]
        raise UsageUnreadable(
            f"usage can't be read: {first}; nothing is posted", fix=f"run: {UPGRADE}"
        ) from error


# What every decision asks is built once: building a statement takes longer than its answer.
_IDS = bindparam("profile_ids", type_=ARRAY(Uuid))
_COUNTS = CALLS.c.state != CallState.RELEASED
_THEIRS = or_(CALLS.c.profile_id == any_(_IDS), CALLS.c.profile_id.is_(None))


def _day() -> Select[Any]:
    """All posts of a day, summed by the second: however many rows there are, few are handed over.

    What a second ends with is exact enough for a moment that is named to the second.
    """
    latest = func.max(CALLS.c.at, type_=CALLS.c.at.type)
    second = func.date_trunc("second", CALLS.c.at - literal_column("interval '1 microsecond'"))
    return (
        select(CALLS.c.profile_id, latest.label("at"), func.sum(CALLS.c.units).label("units"))
        .where(
            CALLS.c.kind == CallKind.POST,
            _COUNTS,
            CALLS.c.at > bindparam("after", type_=CALLS.c.at.type),
            CALLS.c.units > 0,
            _THEIRS,
        )
        .group_by(CALLS.c.profile_id, second)
        .order_by(latest.desc())
    )


def _last_posts() -> Select[Any]:
    owner = func.unnest(_IDS).table_valued(column("id", Uuid), name="owner").render_derived()
    last = (
        select(CALLS.c.at)
        .where(
            CALLS.c.profile_id == owner.c.id,
            CALLS.c.kind == CallKind.POST,
            _COUNTS,
            CALLS.c.units > 0,
        )
        .order_by(CALLS.c.at.desc())
        .limit(1)
        .lateral("last")
    )
    known = owner.outerjoin(PROFILES, PROFILES.c.id == owner.c.id).outerjoin(last, true())
    return select(owner.c.id, PROFILES.c.app, last.c.at).select_from(known)


_DAY, _LAST_POSTS = _day(), _last_posts()
_MONTHS = (
    select(
        CALLS.c.profile_id,
        CALLS.c.kind,
        func.sum(CALLS.c.units).label("units"),
        func.sum(CALLS.c.cost_usd).label("cost"),
    )
    .where(
        CALLS.c.kind.in_(tuple(CallKind)),
        _COUNTS,
        CALLS.c.at >= bindparam("start", type_=CALLS.c.at.type),
        _THEIRS,
    )
    .group_by(CALLS.c.profile_id, CALLS.c.kind)
)
_TOKENS_TODAY = func.sum(DAILY_USAGE.c.tokens_used).filter(
    DAILY_USAGE.c.date == bindparam("today", type_=Date)
)
_EVERYBODYS = select(
    func.coalesce(func.sum(DAILY_USAGE.c.cost_usd), Decimal(0)).label("cost"),
    func.coalesce(_TOKENS_TODAY, 0).label("tokens"),
    func.coalesce(func.sum(DAILY_USAGE.c.tweets_posted), 0).label("posts"),
    func.coalesce(func.sum(DAILY_USAGE.c.reads_made), 0).label("reads"),
).where(DAILY_USAGE.c.date >= bindparam("first", type_=Date))
_STARTS = (
    select(DECISIONS.c.at)
    .where(DECISIONS.c.kind == DecisionKind.START, DECISIONS.c.at > bindparam("since", type_=Moment()))
    .order_by(DECISIONS.c.at.desc())
)
_ASKED = Together(
    everybodys=_EVERYBODYS,
    day=_DAY,
    months=_MONTHS,
    last_posts=_LAST_POSTS,
    windows=OPEN_WINDOWS,
    starts=_STARTS,
    shared=SHARED,
)

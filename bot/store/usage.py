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

from bot.core.errors import RowUnreadable, UsageUnreadable
from bot.core.model import ProfileId
from bot.core.spending.limits import STARTS_WINDOW, Scope, Spent, Usage, month_start
from bot.core.states import CallKind, CallState
from bot.store.decisions import DecisionTable
from bot.store.foundations import SUM_AGAIN
from bot.store.odd_rows import odd_rows_named
from bot.store.open_windows import open_windows
from bot.store.rows.posting import PROFILES
from bot.store.rows.spending import CALLS, DAILY_USAGE
from bot.store.shared_usage import SharedReader, newest_first


@dataclass(frozen=True)
class UsageReader:
    """Reads the use of some profiles at a moment."""

    connection: Connection
    profile_ids: Sequence[ProfileId]
    now: datetime
    shared: AbstractSet[Scope] = frozenset()

    def read(self) -> Mapping[ProfileId | None, Usage]:
        """The use of each, and under None that of nobody in particular, which counts for everyone."""
        everybodys = self._everybodys()
        day, months, last = self._posts_of_a_day(), self._months(), self._last_posts()
        apps: dict[ProfileId | None, str | None] = {one: app for one, (app, _) in last.items()}
        seen = open_windows(self.connection, self.profile_ids, apps, now=self.now)
        starts = tuple(DecisionTable(self.connection).starts(since=self.now - STARTS_WINDOW))
        shared = SharedReader(self.connection, self.now, self.shared).read(apps.values())
        whose: list[ProfileId | None] = [*self.profile_ids, None]
        return {
            one: Usage(
                posts=day[None] if one is None else newest_first(day[one], day[None]),
                posts_month=sum(months[owner, CallKind.POST].units for owner in {one, None}),
                reads_month=sum(months[owner, CallKind.READ].units for owner in {one, None}),
                cost_month=everybodys.cost,
                own_cost_month=sum(
                    (months[owner, kind].cost for owner in {one, None} for kind in CallKind), Decimal(0)
                ),
                tokens_day=everybodys.tokens,
                last_post_at=None if one is None else last[one][1],
                seen=() if one is None else seen[one],
                starts=starts,
                app_id=apps.get(one),
                app=shared.of_app(apps.get(one)),
                in_all=shared.of_all(everybodys.posts, everybodys.reads),
            )
            for one in whose
        }

    def _posts_of_a_day(self) -> Mapping[ProfileId | None, tuple[Spent, ...]]:
        found = defaultdict[ProfileId | None, tuple[Spent, ...]](tuple)
        values = {"profile_ids": self.profile_ids, "after": self.now - timedelta(hours=24)}
        for owner, at, units in self.connection.execute(_DAY, values):
            found[owner] += (Spent(at=at, units=int(units)),)
        return found

    def _months(self) -> Mapping[tuple[ProfileId | None, CallKind], _Month]:
        found = defaultdict[tuple[ProfileId | None, CallKind], _Month](_Month)
        values = {"profile_ids": self.profile_ids, "start": month_start(self.now)}
        for owner, kind, units, cost in self.connection.execute(_MONTHS, values):
            found[owner, kind] = _Month(int(units), Decimal(cost))
        return found

    def _last_posts(self) -> Mapping[ProfileId, tuple[str | None, datetime | None]]:
        """Each profile's app, and when it last posted."""
        rows = self.connection.execute(_LAST_POSTS, {"profile_ids": self.profile_ids})
        return {ProfileId(owner): (app, at) for owner, app, at in rows}

    def _everybodys(self) -> _Everybodys:
        values = {"first": month_start(self.now).date(), "today": self.now.date()}
        cost, tokens, posts, reads = self.connection.execute(_EVERYBODYS, values).one()
        return _Everybodys(cost=Decimal(cost), tokens=int(tokens), posts=int(posts), reads=int(reads))


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
            f"usage can't be read: {first}; nothing is posted", fix="run: alembic upgrade head"
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
    select(CALLS.c.profile_id, CALLS.c.kind, func.sum(CALLS.c.units), func.sum(CALLS.c.cost_usd))
    .where(
        CALLS.c.kind.in_(tuple(CallKind)),
        _COUNTS,
        CALLS.c.at >= bindparam("start", type_=CALLS.c.at.type),
        _THEIRS,
    )
    .group_by(CALLS.c.profile_id, CALLS.c.kind)
)
_EVERYBODYS = select(
    func.coalesce(func.sum(DAILY_USAGE.c.cost_usd), Decimal(0)),
    func.coalesce(func.sum(DAILY_USAGE.c.tokens_used).filter(DAILY_USAGE.c.date == bindparam("today")), 0),
    func.coalesce(func.sum(DAILY_USAGE.c.tweets_posted), 0),
    func.coalesce(func.sum(DAILY_USAGE.c.reads_made), 0),
).where(DAILY_USAGE.c.date >= bindparam("first"))

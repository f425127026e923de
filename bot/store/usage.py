"""What rows say was used: the sums that every decision is made of, for any number of profiles at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
from bot.core.spending.limits import STARTS_WINDOW, Spent, Usage, month_start
from bot.core.states import CallKind, CallState
from bot.store.decisions import DecisionTable
from bot.store.foundations import SUM_AGAIN
from bot.store.odd_rows import odd_rows_named
from bot.store.rates import RateTable
from bot.store.rows.spending import CALLS, DAILY_USAGE


@dataclass(frozen=True)
class UsageReader:
    """Reads the use of some profiles at a moment."""

    connection: Connection
    profile_ids: Sequence[ProfileId]
    now: datetime

    def read(self) -> Mapping[ProfileId | None, Usage]:
        """The use of each, and under None that of nobody in particular, which counts for everyone."""
        day, months, last = self._posts_of_a_day(), self._months(), self._last_posts()
        cost, tokens = self._money()
        seen = RateTable(self.connection).seen(self.profile_ids, now=self.now)
        starts = tuple(DecisionTable(self.connection).starts(since=self.now - STARTS_WINDOW))
        whose: list[ProfileId | None] = [*self.profile_ids, None]
        return {
            one: Usage(
                posts=day[None] if one is None else _newest_first(day[one], day[None]),
                posts_month=sum(months[owner, CallKind.POST] for owner in {one, None}),
                reads_month=sum(months[owner, CallKind.READ] for owner in {one, None}),
                cost_month=cost,
                tokens_day=tokens,
                last_post_at=None if one is None else last.get(one),
                seen=() if one is None else seen[one],
                starts=starts,
            )
            for one in whose
        }

    def _posts_of_a_day(self) -> Mapping[ProfileId | None, tuple[Spent, ...]]:
        found = defaultdict[ProfileId | None, tuple[Spent, ...]](tuple)
        values = {"profile_ids": self.profile_ids, "after": self.now - timedelta(hours=24)}
        for owner, at, units in self.connection.execute(_DAY, values):
            found[owner] += (Spent(at=at, units=int(units)),)
        return found

    def _months(self) -> Mapping[tuple[ProfileId | None, CallKind], int]:
        found = defaultdict[tuple[ProfileId | None, CallKind], int](int)
        values = {"profile_ids": self.profile_ids, "start": month_start(self.now)}
        for owner, kind, units in self.connection.execute(_MONTHS, values):
            found[owner, kind] = int(units)
        return found

    def _last_posts(self) -> Mapping[ProfileId, datetime]:
        rows = self.connection.execute(_LAST_POSTS, {"profile_ids": self.profile_ids})
        return {ProfileId(owner): at for owner, at in rows}

    def _money(self) -> tuple[Decimal, int]:
        values = {"first": month_start(self.now).date(), "today": self.now.date()}
        cost, tokens = self.connection.execute(_MONEY, values).one()
        return Decimal(cost), int(tokens)


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


def _newest_first(own: Sequence[Spent], everyones: Sequence[Spent]) -> tuple[Spent, ...]:
    return tuple(sorted((*own, *everyones), key=lambda one: one.at, reverse=True))


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
    return select(owner.c.id, last.c.at).select_from(owner.join(last, true()))


_DAY, _LAST_POSTS = _day(), _last_posts()
_MONTHS = (
    select(CALLS.c.profile_id, CALLS.c.kind, func.sum(CALLS.c.units))
    .where(
        CALLS.c.kind.in_((CallKind.POST, CallKind.READ)),
        _COUNTS,
        CALLS.c.at >= bindparam("start", type_=CALLS.c.at.type),
        _THEIRS,
    )
    .group_by(CALLS.c.profile_id, CALLS.c.kind)
)
_MONEY = select(
    func.coalesce(func.sum(DAILY_USAGE.c.cost_usd), Decimal(0)),
    func.coalesce(func.sum(DAILY_USAGE.c.tokens_used).filter(DAILY_USAGE.c.date == bindparam("today")), 0),
).where(DAILY_USAGE.c.date >= bindparam("first"))

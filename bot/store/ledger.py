"""What was spent: the ledger of reserved calls and its daily rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import ProgrammingError

from bot.core.errors import RowUnreadable, UsageUnreadable
from bot.core.model import Call, CallId, ProfileId, TweetId
from bot.core.spending.limits import STARTS_WINDOW, Spent, Usage, month_start
from bot.core.states import CallKind, CallState, check_transition
from bot.ports import Ledger
from bot.store.decisions import DecisionTable
from bot.store.foundations import SUM_AGAIN, mend, missing_foundations
from bot.store.odd_rows import odd_rows_named
from bot.store.rates import RateTable
from bot.store.rows.base import FORGET_AT_ONCE
from bot.store.rows.spending import CALLS, DAILY_USAGE

LEDGER_LOCK = 7_305_991_205


class _Month(NamedTuple):
    posts: int
    reads: int


@dataclass(frozen=True)
class LedgerTable(Ledger):
    """`api_calls` and `api_usage_tracking`."""

    connection: Connection

    def lock(self) -> None:
        """Lets one transaction at a time weigh and reserve.

        A transaction-scoped advisory lock: it works behind transaction poolers, and the daily
        row that every reservation touches would make them queue anyway.
        """
        self.connection.execute(select(func.pg_advisory_xact_lock(LEDGER_LOCK)))

    def usage(self, profile_id: ProfileId | None, *, now: datetime) -> Usage:
        """What the rows say was used.

        Raises:
            UsageUnreadable: a table, its constraint or its trigger is missing, or rows can't be
                read. "0 used" is only ever a sum of rows that were read.
        """
        with _readable(self.connection):
            self._check_foundations()
            month = self._month(profile_id, now)
            spent = self._posts_of_a_day(profile_id, now)
            cost, tokens = self._money(now)
            return Usage(
                posts=spent,
                posts_month=month.posts,
                reads_month=month.reads,
                cost_month=cost,
                tokens_day=tokens,
                last_post_at=self._last_post_at(profile_id),
                seen=() if profile_id is None else RateTable(self.connection).seen(profile_id, now=now),
                starts=tuple(DecisionTable(self.connection).starts(since=now - STARTS_WINDOW)),
            )

    def reserve(self, call: Call) -> Call:
        """Adds a reserved row."""
        self.connection.execute(
            insert(CALLS).values(
                id=call.id,
                profile_id=call.profile_id,
                tweet_id=call.tweet_id,
                api=call.api,
                kind=call.kind,
                endpoint=call.endpoint,
                units=call.units,
                tokens=call.tokens,
                cost_usd=call.cost_usd,
                state=call.state,
                at=call.at,
                note=call.note,
            )
        )
        return call

    def change(self, call_id: CallId, state: CallState, **values: Any) -> None:
        """Settles, releases or marks unknown; `units`, `cost_usd`, `tokens` may be corrected."""
        current = self.connection.scalar(select(CALLS.c.state).where(CALLS.c.id == call_id).with_for_update())
        if current is None:
            raise LookupError(f"call {call_id} is gone")
        check_transition(current, state)
        self.connection.execute(update(CALLS).where(CALLS.c.id == call_id).values(state=state, **values))

    def of_tweet(self, tweet_id: TweetId) -> Sequence[Call]:
        """The tweet's open calls, newest first."""
        statement = (
            select(*_CALL_COLUMNS)
            .where(CALLS.c.tweet_id == tweet_id, CALLS.c.state.in_((CallState.RESERVED, CallState.UNKNOWN)))
            .order_by(CALLS.c.at.desc())
        )
        with _readable(self.connection):
            return [Call(**row) for row in self.connection.execute(statement).mappings()]

    def orphans(self, profile_id: ProfileId, *, before: datetime) -> Sequence[Call]:
        """Reserved calls without a tweet from before a moment: their process is gone."""
        statement = select(*_CALL_COLUMNS).where(
            CALLS.c.profile_id == profile_id,
            CALLS.c.state == CallState.RESERVED,
            CALLS.c.tweet_id.is_(None),
            CALLS.c.at < before,
        )
        with _readable(self.connection):
            return [Call(**row) for row in self.connection.execute(statement).mappings()]

    def forget(self, *, before: datetime, released_before: datetime) -> int:
        """Deletes old rows, some thousands at most; the daily rows keep what they counted.

        Args:
            before: rows of calls from before this moment go, once their outcome is known.
            released_before: rows that count nothing go sooner.

        Returns:
            How many went.
        """
        self.connection.execute(_FORGETS)
        values = {"before": before, "released_before": released_before}
        return len(self.connection.execute(_FORGET, values).all())

    def _check_foundations(self) -> None:
        missing = missing_foundations(self.connection)
        if missing:
            raise UsageUnreadable(
                f"usage can't be read: {'; '.join(missing)}; nothing is posted",
                fix=f"run: {mend(missing)}",
            )

    def _posts_of_a_day(self, profile_id: ProfileId | None, now: datetime) -> tuple[Spent, ...]:
        statement = _DAY_OF_NOBODY if profile_id is None else _DAY
        values = {"profile_id": profile_id, "after": now - timedelta(hours=24)}
        rows = self.connection.execute(statement, values)
        return tuple(Spent(at=at, units=int(units)) for at, units in rows)

    def _month(self, profile_id: ProfileId | None, now: datetime) -> _Month:
        statement = _MONTH_OF_NOBODY if profile_id is None else _MONTH
        values = {"profile_id": profile_id, "start": month_start(now)}
        posts, reads = self.connection.execute(statement, values).one()
        return _Month(posts=int(posts), reads=int(reads))

    def _money(self, now: datetime) -> tuple[Decimal, int]:
        values = {"first": month_start(now).date(), "today": now.date()}
        cost, tokens = self.connection.execute(_MONEY, values).one()
        return Decimal(cost), int(tokens)

    def _last_post_at(self, profile_id: ProfileId | None) -> datetime | None:
        if profile_id is None:
            return None
        return self.connection.scalar(_LAST_POST, {"profile_id": profile_id})


@contextmanager
def _readable(connection: Connection) -> Iterator[None]:
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


def _counting(kind: CallKind, *columns: Any, since: ColumnElement[bool], nobody: bool) -> Any:
    """Rows that count for a profile: its own, and those that belong to nobody in particular."""
    base = select(*columns, literal(1)).where(
        CALLS.c.kind == kind, CALLS.c.state != CallState.RELEASED, since
    )
    unowned = base.where(CALLS.c.profile_id.is_(None))
    return (
        unowned if nobody else union_all(base.where(CALLS.c.profile_id == bindparam("profile_id")), unowned)
    )


def _day(*, nobody: bool) -> Select[Any]:
    """All posts of a day, summed by the second: however many rows there are, few are handed over.

    What a second ends with is exact enough for a moment that is named to the second.
    """
    since = and_(CALLS.c.at > bindparam("after"), CALLS.c.units > 0)
    counted = _counting(CallKind.POST, CALLS.c.at, CALLS.c.units, since=since, nobody=nobody).subquery()
    latest = func.max(counted.c.at)
    return (
        select(latest.label("at"), func.sum(counted.c.units).label("units"))
        .group_by(func.date_trunc("second", counted.c.at - literal_column("interval '1 microsecond'")))
        .order_by(latest.desc())
    )


def _month(*, nobody: bool) -> Select[Any]:
    since = CALLS.c.at >= bindparam("start")
    sums = []
    for kind in (CallKind.POST, CallKind.READ):
        counted = _counting(kind, CALLS.c.units, since=since, nobody=nobody).subquery()
        sums.append(select(func.coalesce(func.sum(counted.c.units), 0)).scalar_subquery())
    return select(*sums)


_DAY, _DAY_OF_NOBODY = _day(nobody=False), _day(nobody=True)
_MONTH, _MONTH_OF_NOBODY = _month(nobody=False), _month(nobody=True)
_MONEY = select(
    func.coalesce(func.sum(DAILY_USAGE.c.cost_usd), Decimal(0)),
    func.coalesce(func.sum(DAILY_USAGE.c.tokens_used).filter(DAILY_USAGE.c.date == bindparam("today")), 0),
).where(DAILY_USAGE.c.date >= bindparam("first"))
_LAST_POST = (
    select(CALLS.c.at)
    .where(
        CALLS.c.profile_id == bindparam("profile_id"),
        CALLS.c.kind == CallKind.POST,
        CALLS.c.state != CallState.RELEASED,
        CALLS.c.units > 0,
    )
    .order_by(CALLS.c.at.desc())
    .limit(1)
)
_FORGETS = select(func.set_config("bot.forgets", "on", True))
_OLD = (
    select(CALLS.c.id)
    .where(
        or_(
            and_(CALLS.c.state == CallState.RELEASED, CALLS.c.at < bindparam("released_before")),
            and_(
                CALLS.c.state.in_((CallState.SETTLED, CallState.EXTERNAL)), CALLS.c.at < bindparam("before")
            ),
        )
    )
    .limit(FORGET_AT_ONCE)
)
_FORGET = delete(CALLS).where(CALLS.c.id.in_(_OLD)).returning(CALLS.c.id)
_CALL_COLUMNS = (
    CALLS.c.id,
    CALLS.c.profile_id,
    CALLS.c.tweet_id,
    CALLS.c.api,
    CALLS.c.kind,
    CALLS.c.endpoint,
    CALLS.c.units,
    CALLS.c.tokens,
    CALLS.c.cost_usd,
    CALLS.c.state,
    CALLS.c.at,
    CALLS.c.note,
)

"""What several profiles used together: those of one X app, and everybody. One statement, where limits ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    Boolean,
    CompoundSelect,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from bot.core.spending.limits import Scope, SharedUsage, Spent
from bot.core.states import CallKind, CallState
from bot.store.rows.base import Moment
from bot.store.rows.posting import PROFILES
from bot.store.rows.spending import APP_USAGE, CALLS
from bot.store.together import Rows

# In the sums; in other rows it is NULL.
UNKNOWN_APP = ""


@dataclass(frozen=True)
class Shared:
    """What was read of some apps, and of everybody.

    Attributes:
        scopes: those that were read.
        days: the posts of the last 24 hours, by app, or under ALL everybody's.
        months: posts and reads since the first of the month, by app.
    """

    scopes: AbstractSet[Scope]
    days: Mapping[str | Scope, Sequence[Spent]] = field(default_factory=dict)
    months: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, scopes: AbstractSet[Scope], rows: Rows) -> Self:
        """What the rows of `SHARED` say of these scopes."""
        days = defaultdict[str | Scope, list[Spent]](list)
        months = {}
        for row in rows:
            if row["at"] is None:
                months[row["app"]] = (row["posts"], row["reads"])
            else:
                whose = Scope.ALL if row["scope"] == Scope.ALL else row["app"]
                days[whose].append(Spent(at=row["at"], units=row["posts"]))
        return cls(scopes, {one: newest_first(spent) for one, spent in days.items()}, months)

    def of_app(self, app_id: str | None) -> SharedUsage | None:
        """What an app was used for; what is of no known app counts for every app."""
        if Scope.APP not in self.scopes:
            return None
        apps = {app_id or UNKNOWN_APP, UNKNOWN_APP}
        months = [self.months.get(one, (0, 0)) for one in apps]
        return SharedUsage(
            posts=newest_first(*(self.days.get(one, ()) for one in apps)),
            posts_month=sum(posts for posts, _ in months),
            reads_month=sum(reads for _, reads in months),
        )

    def of_all(self, posts_month: int, reads_month: int) -> SharedUsage | None:
        """What everybody used; the month is the daily rows'."""
        if Scope.ALL not in self.scopes:
            return None
        day = tuple(self.days.get(Scope.ALL, ()))
        return SharedUsage(posts=day, posts_month=posts_month, reads_month=reads_month)


def newest_first(*spent: Sequence[Spent]) -> tuple[Spent, ...]:
    """The posts of several, together."""
    return tuple(sorted((one for some in spent for one in some), key=lambda one: one.at, reverse=True))


def _shared() -> CompoundSelect[Any]:
    theirs = PROFILES.c.id == any_(bindparam("profile_ids", type_=ARRAY(Uuid)))
    apps = any_(select(PROFILES.c.app).where(theirs, PROFILES.c.app.is_not(None)).scalar_subquery())
    of_apps, of_all = bindparam("of_apps", type_=Boolean), bindparam("of_all", type_=Boolean)
    app = func.coalesce(CALLS.c.app, UNKNOWN_APP)
    # Whatever the minute ends with frees it: never too early, and at most a minute late.
    minute = func.date_trunc("minute", CALLS.c.at - literal_column("interval '1 microsecond'"))
    of_them = or_(CALLS.c.app == apps, CALLS.c.app.is_(None))
    month = select(
        literal(Scope.APP.value, Text).label("scope"),
        APP_USAGE.c.app,
        cast(null(), Moment()).label("at"),
        func.sum(APP_USAGE.c.tweets_posted).label("posts"),
        func.sum(APP_USAGE.c.reads_made).label("reads"),
    ).where(
        of_apps,
        or_(APP_USAGE.c.app == apps, APP_USAGE.c.app == UNKNOWN_APP),
        APP_USAGE.c.date >= bindparam("first", type_=APP_USAGE.c.date.type),
    )
    return union_all(
        _day(Scope.APP, app).where(of_apps, of_them).group_by(CALLS.c.app, minute),
        _day(Scope.ALL, literal(UNKNOWN_APP, Text)).where(of_all).group_by(minute),
        month.group_by(APP_USAGE.c.app),
    )


def _day(scope: Scope, app: Any) -> Select[Any]:
    return select(
        literal(scope.value, Text).label("scope"),
        app.label("app"),
        func.max(CALLS.c.at, type_=CALLS.c.at.type).label("at"),
        func.sum(CALLS.c.units).label("posts"),
        literal(0, BigInteger).label("reads"),
    ).where(
        CALLS.c.kind == CallKind.POST,
        CALLS.c.state != CallState.RELEASED,
        CALLS.c.at > bindparam("after", type_=CALLS.c.at.type),
        CALLS.c.units > 0,
    )


SHARED = _shared()
"""What the apps of `profile_ids` used, and what everybody did, where `of_apps` and `of_all` ask for it."""

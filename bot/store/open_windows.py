"""The windows of X's that are open still, each with what was called since X spoke of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from bot.core.model import ProfileId
from bot.core.rates import RateWindow
from bot.core.spending.limits import Scope, Seen
from bot.core.states import CallKind, CallState
from bot.store.rows.base import Moment
from bot.store.rows.posting import PROFILES
from bot.store.rows.spending import CALLS, RATES
from bot.store.together import Rows

# The window that X counts for all accounts which one app acts for.
OF_AN_APP = "24h_app"


def windows_of(
    rows: Rows, profile_ids: Sequence[ProfileId], apps: Mapping[ProfileId | None, str | None]
) -> Mapping[ProfileId, tuple[Seen, ...]]:
    """Each profile's windows that are open still, with the calls since that X has not told of.

    A window that X counts for a whole app is what X last said of it to any profile of the app.

    Args:
        rows: of `OPEN_WINDOWS`.
        profile_ids: whose.
        apps: the app that each profile's keys belong to.
    """
    of_app = defaultdict[str | None, list[ProfileId]](list)
    for one in profile_ids:
        of_app[apps.get(one)].append(one)
    found: dict[ProfileId, tuple[Seen, ...]] = dict.fromkeys(profile_ids, ())
    for row in rows:
        for one in of_app[row["app"]] if row["shared"] else [ProfileId(row["profile_id"])]:
            found[one] += (_seen(row),)
    return found


def _seen(row: Mapping[str, Any]) -> Seen:
    return Seen(
        endpoint=row["endpoint"],
        window=RateWindow(
            name=row["name"],
            limit=row["quota"],
            remaining=row["remaining"],
            resets_at=row["resets_at"],
            reason=row["reason"],
        ),
        seen_at=row["seen_at"],
        used_since=row["used_since"],
        drift=row["drift_left"],
        scope=Scope.APP if row["shared"] else Scope.PROFILE,
    )


# What every decision asks is built once: building a statement takes longer than its answer.
USED_SINCE = (
    select(func.count())
    .select_from(CALLS)
    .where(
        CALLS.c.profile_id == RATES.c.profile_id,
        CALLS.c.state.in_((CallState.RESERVED, CallState.UNKNOWN)),
        CALLS.c.endpoint == RATES.c.endpoint,
        CALLS.c.at > RATES.c.seen_at,
    )
    .scalar_subquery()
)
_RECORDED_SINCE = (
    select(func.coalesce(func.sum(CALLS.c.units), 0))
    .where(
        CALLS.c.profile_id.is_(None),
        or_(
            and_(CALLS.c.kind == CallKind.READ, RATES.c.endpoint.startswith("GET ")),
            and_(CALLS.c.kind == CallKind.POST, not_(RATES.c.endpoint.startswith("GET "))),
        ),
        CALLS.c.state == CallState.EXTERNAL,
        CALLS.c.at > bindparam("now", type_=Moment()) - literal(timedelta(hours=24)),
        CALLS.c.created_at > RATES.c.updated_at,
    )
    .scalar_subquery()
)
# What was recorded as used elsewhere since X spoke explains as much of the drift.
_DRIFT_LEFT = case((RATES.c.drift == 0, 0), else_=func.greatest(0, RATES.c.drift - _RECORDED_SINCE))


def _open_windows() -> CompoundSelect[Any]:
    """The windows of the profiles, and of each that X counts for one of the apps what it said last.

    Of an app's window whatever was reserved since may be unheard, and so may what is still under way
    from before: other profiles' answers come in between.
    """
    theirs = PROFILES.c.id == any_(bindparam("profile_ids", type_=ARRAY(Uuid)))
    apps = select(PROFILES.c.app).where(theirs, PROFILES.c.app.is_not(None)).scalar_subquery()
    in_time = RATES.c.resets_at > bindparam("now", type_=Moment())
    of_known_app = and_(RATES.c.name == OF_AN_APP, RATES.c.app.is_not(None))
    own = select(
        RATES, USED_SINCE.label("used_since"), _DRIFT_LEFT.label("drift_left"), false().label("shared")
    ).where(
        RATES.c.profile_id == any_(bindparam("profile_ids", type_=ARRAY(Uuid))), in_time, not_(of_known_app)
    )
    last = (
        select(RATES)
        .where(RATES.c.app == any_(apps), RATES.c.name == OF_AN_APP, in_time)
        .ext(distinct_on(RATES.c.app, RATES.c.endpoint))
        .order_by(RATES.c.app, RATES.c.endpoint, RATES.c.seen_at.desc(), RATES.c.remaining)
        .subquery("last")
    )
    of_them = and_(CALLS.c.app == last.c.app, CALLS.c.endpoint == last.c.endpoint)
    of_x = CALLS.c.kind.in_((CallKind.POST, CallKind.READ))
    used = [
        select(func.count()).select_from(CALLS).where(of_them, *rows).correlate(last).scalar_subquery()
        for rows in (
            (of_x, CALLS.c.state != CallState.RELEASED, CALLS.c.at > last.c.seen_at),
            (CALLS.c.state == CallState.RESERVED, CALLS.c.at <= last.c.seen_at),
        )
    ]
    return union_all(
        own, select(last, (used[0] + used[1]).label("used_since"), literal(0).label("drift_left"), true())
    )


OPEN_WINDOWS = _open_windows()
"""The open windows of `profile_ids`, and of the apps that their keys belong to, at `now`."""

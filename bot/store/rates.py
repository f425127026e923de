"""What X's own headers and refusals last said of its windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert

from bot.core.model import Call, ProfileId
from bot.core.rates import RateWindow
from bot.core.spending.limits import bounded
from bot.core.states import CallKind, CallState
from bot.ports import Rates
from bot.store.given_rows import GivenRows
from bot.store.open_windows import OF_AN_APP, USED_SINCE
from bot.store.rows.base import Moment
from bot.store.rows.posting import PROFILES
from bot.store.rows.spending import CALLS, RATES

# Windows whose calls all run through this ledger, unless other programs use the same keys: an app's
# own window counts whoever uses the app.
_DRIFT_LENGTHS = {"15m": timedelta(minutes=15), "24h_user": timedelta(hours=24)}
ELSEWHERE = "elsewhere"
# The most posts that one request reads.
_PAGE = 100


@dataclass(frozen=True)
class RateTable(Rates):
    """`rate_windows`."""

    connection: Connection

    def saw(
        self, profile_id: ProfileId, endpoint: str, windows: Sequence[RateWindow], *, now: datetime
    ) -> Mapping[str, int]:
        """Keeps what X's headers said; returns the drift of each window that has one."""
        return self.saw_all(endpoint, {profile_id: windows}, now=now)[profile_id]

    def saw_all(
        self, endpoint: str, told: Mapping[ProfileId, Sequence[RateWindow]], *, now: datetime
    ) -> Mapping[ProfileId, Mapping[str, int]]:
        """Keeps what X's headers said to each profile; returns the drift of each window that has one.

        Drift is how many more calls X counts in a window than the ledger may have made: other
        programs on the same keys. No window is kept for longer than it may close anything.
        """
        # Of two windows of a name the last one was said last.
        kept = {(one, w.name): bounded(w, now) for one, windows in told.items() for w in windows}
        drifts: dict[ProfileId, dict[str, int]] = {one: {} for one in told}
        if kept:
            rows = [
                {
                    "profile_id": one,
                    "name": name,
                    "limit": window.limit,
                    "remaining": window.remaining,
                    "resets_at": window.resets_at,
                    "reason": window.reason,
                    "start": _began(window),
                }
                for (one, name), window in kept.items()
            ]
            values = {"endpoint": endpoint, "kind": kind_of(endpoint), "seen_at": now}
            for row in self.connection.execute(_KEEP, _TOLD.values(rows) | values):
                if row.drift:
                    drifts[ProfileId(row.profile_id)][row.name] = row.drift
        return drifts

    def count_unheard(self, call: Call) -> None:
        """Takes a call that X made, and whose answer nobody heard, off what was left before it."""
        self.connection.execute(
            update(RATES)
            .where(
                RATES.c.profile_id == call.profile_id,
                RATES.c.endpoint == call.endpoint,
                RATES.c.seen_at < call.at,
                RATES.c.resets_at > call.at,
                RATES.c.remaining > 0,
            )
            .values(remaining=RATES.c.remaining - 1)
        )

    def lift_blocks(self, profile_id: ProfileId) -> int:
        """Forgets every closed window, for an operator's `resume`; returns how many.

        The app's are forgotten for all its profiles: each of them heard of the same window.
        """
        app = select(PROFILES.c.app).where(PROFILES.c.id == profile_id).scalar_subquery()
        of_the_app = and_(RATES.c.name == OF_AN_APP, RATES.c.app == app)
        lifted = self.connection.execute(
            delete(RATES)
            .where(or_(RATES.c.profile_id == profile_id, of_the_app), RATES.c.remaining <= USED_SINCE)
            .returning(RATES.c.name)
        )
        return len(lifted.all())


def _began(window: RateWindow) -> datetime | None:
    """When a window began that drift is known of; X tells its end to the second."""
    if window.limit is None or window.name not in _DRIFT_LENGTHS:
        return None
    return window.resets_at - _DRIFT_LENGTHS[window.name] - timedelta(seconds=1)


def kind_of(endpoint: str) -> CallKind:
    """What a call of an endpoint spends."""
    return CallKind.READ if endpoint.startswith("GET ") else CallKind.POST


_TOLD = GivenRows(
    profile_id=Uuid(),
    name=Text(),
    limit=Integer(),
    remaining=Integer(),
    resets_at=Moment(),
    reason=Text(),
    start=Moment(),
)


def _drift(told: FromClause) -> ColumnElement[int]:
    """What X counts beyond all that this ledger may have made since a window began, released calls too.

    A call is one request, and one more for each page of posts. None can be known of a window that began
    before the ledger's first row.
    """
    since = (CALLS.c.kind == bindparam("kind", type_=CALLS.c.kind.type), CALLS.c.at > told.c.start)
    own = [
        select((1 + CALLS.c.units // _PAGE).label("calls")).where(
            owner, *since, CALLS.c.endpoint == bindparam("endpoint"), state
        )
        for owner in (CALLS.c.profile_id == told.c.profile_id, CALLS.c.profile_id.is_(None))
        for state in (CALLS.c.state != CallState.RELEASED, CALLS.c.state == CallState.RELEASED)
    ]
    elsewhere = select(CALLS.c.units.label("calls")).where(
        CALLS.c.profile_id.is_(None),
        *since,
        CALLS.c.endpoint == ELSEWHERE,
        CALLS.c.state != CallState.RELEASED,
    )
    calls = union_all(*(one.correlate(told) for one in (*own, elsewhere))).subquery().lateral()
    first = [
        select(func.min(CALLS.c.at))
        .where(
            CALLS.c.profile_id == told.c.profile_id, CALLS.c.kind == kind, CALLS.c.state != CallState.RELEASED
        )
        .correlate(told)
        .scalar_subquery()
        for kind in (CallKind.POST, CallKind.READ)
    ]
    made = select(func.coalesce(func.sum(calls.c.calls), 0)).correlate(told).scalar_subquery()
    counted = func.greatest(0, told.c.limit - told.c.remaining - made)
    return case((func.least(*first) <= told.c.start, counted), else_=0)


def _keep() -> ReturningInsert[Any]:
    told = _TOLD.table
    fields = ("quota", "remaining", "resets_at", "seen_at", "drift", "reason", "app")
    columns = ["profile_id", "endpoint", "name", *fields]
    endpoint, seen_at = bindparam("endpoint", type_=Text), bindparam("seen_at", type_=Moment())
    said = select(
        told.c.profile_id,
        endpoint,
        told.c.name,
        told.c.limit,
        told.c.remaining,
        told.c.resets_at,
        seen_at,
        _drift(told),
        told.c.reason,
        PROFILES.c.app,
    ).join_from(told, PROFILES, PROFILES.c.id == told.c.profile_id)
    statement = upsert(RATES).from_select(columns, said)
    return statement.on_conflict_do_update(
        index_elements=[RATES.c.profile_id, RATES.c.endpoint, RATES.c.name],
        set_={field: statement.excluded[field] for field in fields},
    ).returning(RATES.c.profile_id, RATES.c.name, RATES.c.drift)


_KEEP = _keep()

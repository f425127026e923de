"""What X's own headers and refusals last said of its windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from bot.core.model import Call, ProfileId
from bot.core.rates import RateWindow
from bot.core.spending.limits import Seen, bounded
from bot.core.states import CallKind, CallState
from bot.ports import Rates
from bot.store.rows.base import Moment
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
        """Keeps what X's headers said; returns the drift of each window that has one.

        Drift is how many more calls X counts in a window than the ledger may have made: other
        programs on the same keys. No window is kept for longer than it may close anything.
        """
        drifts = {}
        for told in windows:
            window = bounded(told, now)
            drift = self._drift(profile_id, endpoint, window)
            statement = upsert(RATES).values(
                profile_id=profile_id,
                endpoint=endpoint,
                name=window.name,
                quota=window.limit,
                remaining=window.remaining,
                resets_at=window.resets_at,
                seen_at=now,
                drift=drift,
                reason=window.reason,
            )
            fields = ("quota", "remaining", "resets_at", "seen_at", "drift", "reason")
            self.connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[RATES.c.profile_id, RATES.c.endpoint, RATES.c.name],
                    set_={field: statement.excluded[field] for field in fields},
                )
            )
            if drift:
                drifts[window.name] = drift
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
        """Forgets every closed window, for an operator's `resume`; returns how many."""
        lifted = self.connection.execute(
            delete(RATES)
            .where(RATES.c.profile_id == profile_id, RATES.c.remaining <= _USED_SINCE)
            .returning(RATES.c.name)
        )
        return len(lifted.all())

    def seen(self, profile_id: ProfileId, *, now: datetime) -> tuple[Seen, ...]:
        """The windows that are open still, with the calls since that X has not told of."""
        rows = self.connection.execute(_OPEN_WINDOWS, {"profile_id": profile_id, "now": now}).mappings()
        return tuple(
            Seen(
                endpoint=row["endpoint"],
                window=RateWindow(
                    name=row["name"],
                    limit=row["quota"],
                    remaining=row["remaining"],
                    resets_at=row["resets_at"],
                    reason=row["reason"],
                ),
                seen_at=row["seen_at"],
                used_since=int(row["used_since"]),
                drift=int(row["drift_left"]),
            )
            for row in rows
        )

    def _drift(self, profile_id: ProfileId, endpoint: str, window: RateWindow) -> int:
        """What X counts beyond all that this ledger may have made, released calls included.

        None can be known of a window that began before the ledger's first row.
        """
        length = _DRIFT_LENGTHS.get(window.name)
        if length is None or window.limit is None:
            return 0
        values = {
            "profile_id": profile_id,
            "endpoint": endpoint,
            "kind": kind_of(endpoint),
            "start": window.resets_at - length - timedelta(seconds=1),
        }
        ours = self.connection.execute(_CALLS_SINCE, values).one()
        return max(0, window.limit - window.remaining - int(ours.calls)) if ours.covered else 0


def kind_of(endpoint: str) -> CallKind:
    """What a call of an endpoint spends."""
    return CallKind.READ if endpoint.startswith("GET ") else CallKind.POST


# What every decision asks is built once: building a statement takes longer than its answer.
_USED_SINCE = (
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
_OPEN_WINDOWS = select(RATES, _USED_SINCE.label("used_since"), _DRIFT_LEFT.label("drift_left")).where(
    RATES.c.profile_id == bindparam("profile_id"), RATES.c.resets_at > bindparam("now")
)


def _calls_since() -> Select[Any]:
    """The requests that calls since a moment may have been: one, and one more for each page of posts."""
    since = (CALLS.c.kind == bindparam("kind"), CALLS.c.at > bindparam("start"))
    own = [
        select((1 + CALLS.c.units // _PAGE).label("calls")).where(
            owner, *since, CALLS.c.endpoint == bindparam("endpoint"), state
        )
        for owner in (CALLS.c.profile_id == bindparam("profile_id"), CALLS.c.profile_id.is_(None))
        for state in (CALLS.c.state != CallState.RELEASED, CALLS.c.state == CallState.RELEASED)
    ]
    elsewhere = select(CALLS.c.units.label("calls")).where(
        CALLS.c.profile_id.is_(None),
        *since,
        CALLS.c.endpoint == ELSEWHERE,
        CALLS.c.state != CallState.RELEASED,
    )
    calls = union_all(*own, elsewhere).subquery()
    first = [
        select(func.min(CALLS.c.at))
        .where(
            CALLS.c.profile_id == bindparam("profile_id"),
            CALLS.c.kind == kind,
            CALLS.c.state != CallState.RELEASED,
        )
        .scalar_subquery()
        for kind in (CallKind.POST, CallKind.READ)
    ]
    older = func.least(*first) <= bindparam("start", type_=Moment())
    return select(
        select(func.coalesce(func.sum(calls.c.calls), 0)).scalar_subquery().label("calls"),
        func.coalesce(older, false()).label("covered"),
    )


_CALLS_SINCE = _calls_since()

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

from bot.core.limits import Seen, bounded
from bot.core.model import Call, ProfileId, RateWindow
from bot.core.states import CallKind, CallState
from bot.store.base import Moment
from bot.store.books import CallRow, RateRow

# Windows whose calls all run through this ledger, unless other programs use the same keys: an app's
# own window counts whoever uses the app.
_DRIFT_LENGTHS = {"15m": timedelta(minutes=15), "24h_user": timedelta(hours=24)}
ELSEWHERE = "elsewhere"
# The most posts that one request reads.
_PAGE = 100


@dataclass(frozen=True)
class RateTable:
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
            statement = upsert(RateRow).values(
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
                    index_elements=[RateRow.profile_id, RateRow.endpoint, RateRow.name],
                    set_={field: statement.excluded[field] for field in fields},
                )
            )
            if drift:
                drifts[window.name] = drift
        return drifts

    def count_unheard(self, call: Call) -> None:
        """Takes a call that X made, and whose answer nobody heard, off what was left before it."""
        self.connection.execute(
            update(RateRow)
            .where(
                RateRow.profile_id == call.profile_id,
                RateRow.endpoint == call.endpoint,
                RateRow.seen_at < call.at,
                RateRow.resets_at > call.at,
                RateRow.remaining > 0,
            )
            .values(remaining=RateRow.remaining - 1)
        )

    def lift_blocks(self, profile_id: ProfileId) -> int:
        """Forgets every closed window, for an operator's `resume`; returns how many."""
        lifted = self.connection.execute(
            delete(RateRow)
            .where(RateRow.profile_id == profile_id, RateRow.remaining <= _USED_SINCE)
            .returning(RateRow.name)
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
    .select_from(CallRow)
    .where(
        CallRow.profile_id == RateRow.profile_id,
        CallRow.state.in_((CallState.RESERVED, CallState.UNKNOWN)),
        CallRow.endpoint == RateRow.endpoint,
        CallRow.at > RateRow.seen_at,
    )
    .scalar_subquery()
)
_RECORDED_SINCE = (
    select(func.coalesce(func.sum(CallRow.units), 0))
    .where(
        CallRow.profile_id.is_(None),
        or_(
            and_(CallRow.kind == CallKind.READ, RateRow.endpoint.startswith("GET ")),
            and_(CallRow.kind == CallKind.POST, not_(RateRow.endpoint.startswith("GET "))),
        ),
        CallRow.state == CallState.EXTERNAL,
        CallRow.at > bindparam("now", type_=Moment()) - literal(timedelta(hours=24)),
        CallRow.created_at > RateRow.updated_at,
    )
    .scalar_subquery()
)
# What was recorded as used elsewhere since X spoke explains as much of the drift.
_DRIFT_LEFT = case((RateRow.drift == 0, 0), else_=func.greatest(0, RateRow.drift - _RECORDED_SINCE))
_OPEN_WINDOWS = select(
    RateRow.__table__, _USED_SINCE.label("used_since"), _DRIFT_LEFT.label("drift_left")
).where(RateRow.profile_id == bindparam("profile_id"), RateRow.resets_at > bindparam("now"))


def _calls_since() -> Select[Any]:
    """The requests that calls since a moment may have been: one, and one more for each page of posts."""
    since = (CallRow.kind == bindparam("kind"), CallRow.at > bindparam("start"))
    own = [
        select((1 + CallRow.units // _PAGE).label("calls")).where(
            owner, *since, CallRow.endpoint == bindparam("endpoint"), state
        )
        for owner in (CallRow.profile_id == bindparam("profile_id"), CallRow.profile_id.is_(None))
        for state in (CallRow.state != CallState.RELEASED, CallRow.state == CallState.RELEASED)
    ]
    elsewhere = select(CallRow.units.label("calls")).where(
        CallRow.profile_id.is_(None),
        *since,
        CallRow.endpoint == ELSEWHERE,
        CallRow.state != CallState.RELEASED,
    )
    calls = union_all(*own, elsewhere).subquery()
    first = [
        select(func.min(CallRow.at))
        .where(
            CallRow.profile_id == bindparam("profile_id"),
            CallRow.kind == kind,
            CallRow.state != CallState.RELEASED,
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

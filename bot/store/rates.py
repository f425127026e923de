"""What X's own headers and refusals last said of its windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from bot.core.limits import Seen
from bot.core.model import Call, ProfileId, RateWindow
from bot.core.states import CallKind, CallState
from bot.store.books import CallRow, RateRow

_WINDOW_LENGTHS = {
    "15m": timedelta(minutes=15),
    "24h_app": timedelta(hours=24),
    "24h_user": timedelta(hours=24),
}
_LIFTABLE = ("credits", "keys", "usage_cap", "block")


@dataclass(frozen=True)
class RateTable:
    """`rate_windows`."""

    connection: Connection

    def saw(
        self, profile_id: ProfileId, endpoint: str, windows: Sequence[RateWindow], *, now: datetime
    ) -> Mapping[str, int]:
        """Keeps what X's headers said; returns the drift of each window that has one.

        Drift is how many more calls X counts in a window than the ledger does: other programs on
        the same keys.
        """
        drifts = {}
        for window in windows:
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
        """Forgets closed windows, for an operator's `resume`; returns how many."""
        lifted = self.connection.execute(
            update(RateRow)
            .where(RateRow.profile_id == profile_id, RateRow.remaining == 0, RateRow.name.in_(_LIFTABLE))
            .values(resets_at=RateRow.seen_at)
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
                drift=row["drift"],
            )
            for row in rows
        )

    def _drift(self, profile_id: ProfileId, endpoint: str, window: RateWindow) -> int:
        length = _WINDOW_LENGTHS.get(window.name)
        if length is None or window.limit is None:
            return 0
        ours = self.connection.scalar(
            select(func.coalesce(func.sum(CallRow.units), 0)).where(
                or_(CallRow.profile_id == profile_id, CallRow.profile_id.is_(None)),
                CallRow.endpoint.in_((endpoint, "elsewhere")),
                CallRow.kind == CallKind.POST,
                CallRow.state != CallState.RELEASED,
                CallRow.at > window.resets_at - length - timedelta(seconds=1),
            )
        )
        return max(0, window.limit - window.remaining - int(ours or 0))


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
_OPEN_WINDOWS = select(RateRow.__table__, _USED_SINCE.label("used_since")).where(
    RateRow.profile_id == bindparam("profile_id"), RateRow.resets_at > bindparam("now")
)

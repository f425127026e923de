"""Why the bot did what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from bot.core.model import DecisionRecord, ProfileId
from bot.store.books import DecisionRow

START, STOP = "start", "stop"
# Each of these is an event of its own.
_NEVER_COUNTED_UP = frozenset({START, STOP})


@dataclass(frozen=True)
class DecisionTable:
    """`decisions`."""

    connection: Connection

    def record(self, decision: DecisionRecord) -> None:
        """Adds a row; the same decision again, where its kind's last was the same, only counts up.

        A worker that looks every few seconds and finds nothing to do would otherwise leave
        thousands of equal rows a day.
        """
        last = (
            self.connection.execute(
                _LAST_OF_NOBODY if decision.profile_id is None else _LAST,
                {"profile_id": decision.profile_id, "kind": decision.kind},
            )
            .mappings()
            .one_or_none()
        )
        if (
            last is not None
            and decision.kind not in _NEVER_COUNTED_UP
            and all(last[column] == getattr(decision, name) for column, name in _SAME.items())
        ):
            self.connection.execute(
                _COUNT_UP,
                {
                    "row": last["id"],
                    "last_at": decision.at,
                    "used": decision.used,
                    "numbers": dict(decision.numbers),
                },
            )
            return
        values = {column: getattr(decision, name) for column, name in _SAME.items()}
        self.connection.execute(
            insert(DecisionRow).values(
                profile_id=decision.profile_id,
                at=decision.at,
                last_at=decision.at,
                used=decision.used,
                numbers=dict(decision.numbers),
                **values,
            )
        )

    def last(
        self, profile_id: ProfileId | None, *, limit: int, kinds: Sequence[str] = ()
    ) -> Sequence[DecisionRecord]:
        """The newest rows, newest first."""
        statement = select(DecisionRow.__table__).where(_belongs_to(profile_id))
        if kinds:
            statement = statement.where(DecisionRow.kind.in_(kinds))
        rows = self.connection.execute(
            statement.order_by(DecisionRow.last_at.desc(), DecisionRow.created_at.desc()).limit(limit)
        ).mappings()
        return [_decision(row) for row in rows]

    def starts(self, *, since: datetime) -> Sequence[datetime]:
        """When workers started since a moment, newest first."""
        statement = (
            select(DecisionRow.at)
            .where(DecisionRow.kind == START, DecisionRow.at > since)
            .order_by(DecisionRow.at.desc())
        )
        return list(self.connection.scalars(statement))


_SAME = {
    "kind": "kind",
    "verdict": "verdict",
    "reason": "reason",
    "limit_name": "limit",
    "cap": "cap",
    "until": "until",
    "slot_id": "slot_id",
    "tweet_id": "tweet_id",
}


def _belongs_to(profile_id: ProfileId | None):  # type: ignore[no-untyped-def]  # noqa: ANN202 - SQLAlchemy's own expression type
    return DecisionRow.profile_id.is_(None) if profile_id is None else DecisionRow.profile_id == profile_id


# What every tick leaves is built once: building a statement takes longer than its answer.
_NEWEST = (
    select(DecisionRow.__table__)
    .where(DecisionRow.kind == bindparam("kind"))
    .order_by(DecisionRow.last_at.desc())
    .limit(1)
    .with_for_update()
)
_LAST = _NEWEST.where(DecisionRow.profile_id == bindparam("profile_id"))
_LAST_OF_NOBODY = _NEWEST.where(DecisionRow.profile_id.is_(None))
_COUNT_UP = (
    update(DecisionRow.__table__)  # type: ignore[arg-type]  # a mapped class's table is one
    .where(DecisionRow.id == bindparam("row"))
    .values(
        repeated=DecisionRow.repeated + 1,
        last_at=bindparam("last_at"),
        used=bindparam("used"),
        numbers=bindparam("numbers"),
    )
)


def _decision(row: RowMapping) -> DecisionRecord:
    return DecisionRecord(
        at=row["at"],
        last_at=row["last_at"],
        repeated=row["repeated"],
        profile_id=row["profile_id"],
        used=row["used"],
        numbers=row["numbers"],
        **{name: row[column] for column, name in _SAME.items()},
    )

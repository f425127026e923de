"""Why the bot did what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from bot.core.codes import DecisionKind
from bot.core.model import DecisionRecord, ProfileId
from bot.ports import Decisions
from bot.store.given_rows import GivenRows
from bot.store.rows.base import FORGET_AT_ONCE
from bot.store.rows.spending import DECISIONS

# Each of these is an event of its own.
_NEVER_COUNTED_UP = frozenset({DecisionKind.START, DecisionKind.STOP})


@dataclass(frozen=True)
class DecisionTable(Decisions):
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
        self.record_new([decision])

    def record_new(self, decisions: Sequence[DecisionRecord]) -> None:
        """Adds rows that no earlier one can be the same as, in one statement."""
        self.connection.execute(_RECORD, _RECORDED.values(_row(one) for one in decisions))

    def last(
        self, profile_id: ProfileId | None, *, limit: int, kinds: Sequence[str] = ()
    ) -> Sequence[DecisionRecord]:
        """The newest rows, newest first."""
        statement = select(DECISIONS).where(_belongs_to(profile_id))
        if kinds:
            statement = statement.where(DECISIONS.c.kind.in_(kinds))
        rows = self.connection.execute(
            statement.order_by(DECISIONS.c.last_at.desc(), DECISIONS.c.created_at.desc()).limit(limit)
        ).mappings()
        return [_decision(row) for row in rows]

    def forget(self, *, before: datetime) -> int:
        """Deletes rows that last held before a moment, some thousands at most; returns how many."""
        return len(self.connection.execute(_FORGET, {"before": before}).all())


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
    return DECISIONS.c.profile_id.is_(None) if profile_id is None else DECISIONS.c.profile_id == profile_id


# What every tick leaves is built once: building a statement takes longer than its answer.
_NEWEST = (
    select(DECISIONS)
    .where(DECISIONS.c.kind == bindparam("kind"))
    .order_by(DECISIONS.c.last_at.desc())
    .limit(1)
    .with_for_update()
)
_LAST = _NEWEST.where(DECISIONS.c.profile_id == bindparam("profile_id"))
_LAST_OF_NOBODY = _NEWEST.where(DECISIONS.c.profile_id.is_(None))
_COUNT_UP = (
    update(DECISIONS)
    .where(DECISIONS.c.id == bindparam("row"))
    .values(
        repeated=DECISIONS.c.repeated + 1,
        last_at=bindparam("last_at"),
        used=bindparam("used"),
        numbers=bindparam("numbers"),
    )
)

_COLUMNS = ("profile_id", "at", "last_at", "used", "numbers", *_SAME)
_RECORDED = GivenRows(**{name: DECISIONS.c[name].type for name in _COLUMNS})
# However many rows: a statement that grew with them would be read anew each time. Ids are the database's.
_RECORD = insert(DECISIONS).from_select(_COLUMNS, select(_RECORDED.table), include_defaults=False)
_FORGET = (
    delete(DECISIONS)
    .where(
        DECISIONS.c.id.in_(
            select(DECISIONS.c.id).where(DECISIONS.c.last_at < bindparam("before")).limit(FORGET_AT_ONCE)
        )
    )
    .returning(DECISIONS.c.id)
)


def _row(decision: DecisionRecord) -> dict[str, Any]:
    return {
        "profile_id": decision.profile_id,
        "at": decision.at,
        "last_at": decision.at,
        "used": decision.used,
        "numbers": dict(decision.numbers),
        **{column: getattr(decision, name) for column, name in _SAME.items()},
    }


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

"""Which workers live, by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from bot.core.health import WorkerLife
from bot.ports import Workers
from bot.store.rows.base import Moment
from bot.store.rows.spending import WORKERS


@dataclass(frozen=True)
class WorkerTable(Workers):
    """`workers`."""

    connection: Connection

    def begin(self, *, holder: str, host: str, pid: int) -> None:
        """Adds a worker that starts now."""
        statement = upsert(WORKERS).values(
            holder=holder, host=host, pid=pid, started_at=_NOW, beat_at=_NOW, stopped_at=None
        )
        self.connection.execute(
            statement.on_conflict_do_update(
                index_elements=[WORKERS.c.holder],
                set_={"started_at": _NOW, "beat_at": _NOW, "stopped_at": None},
            )
        )

    def end(self, *, holder: str) -> None:
        """Says that a worker stopped in order."""
        self.connection.execute(
            update(WORKERS).where(WORKERS.c.holder == holder).values(stopped_at=_NOW, beat_at=_NOW)
        )

    def life(self, *, patience: timedelta) -> WorkerLife:
        """The newest worker that lives; else the newest of all, unless it stopped in order.

        Args:
            patience: how long a worker may be silent and still count as alive.
        """
        row = self.connection.execute(_NEWEST, {"patience": patience}).one_or_none()
        if row is None or (row.stopped_at is not None and not row.alive):
            return WorkerLife()
        return WorkerLife(
            alive=row.alive, since=row.started_at, last_beat=row.beat_at, silent_for=row.silent_for
        )

    def forget(self, *, before: datetime) -> int:
        """Deletes workers that were last heard of before a moment; returns how many."""
        gone = delete(WORKERS).where(WORKERS.c.beat_at < before).returning(WORKERS.c.holder)
        return len(self.connection.execute(gone).all())


_NOW = func.clock_timestamp(type_=Moment())
_ALIVE = WORKERS.c.stopped_at.is_(None) & (
    WORKERS.c.beat_at > func.clock_timestamp() - bindparam("patience", type_=literal(timedelta()).type)
)
_NEWEST = (
    select(
        WORKERS.c.started_at,
        WORKERS.c.beat_at,
        WORKERS.c.stopped_at,
        _ALIVE.label("alive"),
        (func.clock_timestamp() - WORKERS.c.beat_at).label("silent_for"),
    )
    .order_by(_ALIVE.desc(), WORKERS.c.started_at.desc())
    .limit(1)
)

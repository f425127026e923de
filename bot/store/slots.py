"""The posting schedule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Float,
    Integer,
    Interval,
    RowMapping,
    Select,
    Text,
    any_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from bot.core.errors import NotPossibleNow
from bot.core.model import Plan, ProfileId, Slot, SlotId
from bot.core.posting.schedule import SlotWish
from bot.core.states import SlotStatus, TweetStatus, leading_to
from bot.ports import Slots
from bot.store.rows.base import REVISION
from bot.store.rows.posting import SLOTS, TWEETS
from bot.store.saving import why_not_saved


@dataclass(frozen=True)
class SlotTable(Slots):
    """`posting_schedule`."""

    connection: Connection

    def add(self, profile_id: ProfileId, plan: Plan, wishes: Sequence[SlotWish]) -> int:
        """Adds wishes that are not there yet; returns how many were new."""
        if not wishes:
            return 0
        statement = upsert(SLOTS).values(
            [
                {
                    "profile_id": profile_id,
                    "plan_id": plan.id,
                    "due_at": wish.due_at,
                    "local_date": wish.local_date,
                    "local_time": wish.local_time,
                    "timezone": wish.timezone,
                }
                for wish in wishes
            ]
        )
        added = self.connection.execute(statement.on_conflict_do_nothing().returning(SLOTS.c.id))
        return len(added.all())

    def overdue(self, profile_id: ProfileId, *, now: datetime) -> Sequence[Slot]:
        """Planned slots whose moment has come, oldest first."""
        return self._slots(_OVERDUE, profile_id=profile_id, now=now)

    def claimed(self, profile_id: ProfileId) -> Sequence[Slot]:
        """Slots whose tweet is on its way."""
        return self._slots(_CLAIMED, profile_id=profile_id)

    def upcoming(
        self, profile_id: ProfileId, *, after: datetime, before: datetime, limit: int | None = None
    ) -> Sequence[Slot]:
        """Planned slots in an interval, oldest first; so many at the most."""
        most = limit or _SLOTS_AT_ONCE
        return self._slots(_UPCOMING, profile_id=profile_id, after=after, before=before, most=most)

    def add_by_hand(self, profile_id: ProfileId, *, due_at: datetime) -> Slot:
        """Adds a slot that no plan wants.

        Raises:
            NotPossibleNow: the profile has another slot at that moment.
        """
        statement = upsert(SLOTS).values(profile_id=profile_id, due_at=due_at)
        added = self.connection.execute(statement.on_conflict_do_nothing().returning(*_COLUMNS))
        row = added.mappings().one_or_none()
        if row is None:
            raise NotPossibleNow(**_TAKEN)
        return _slot(row)

    def by_id(self, slot_ids: Collection[SlotId]) -> Mapping[SlotId, Slot]:
        """Those of them that there are."""
        found = self.connection.execute(select(*_COLUMNS).where(SLOTS.c.id.in_(slot_ids))).mappings()
        return {slot.id: slot for slot in map(_slot, found)}

    def planned(self, profile_id: ProfileId) -> Sequence[Slot]:
        """Every slot that is still planned, oldest first."""
        return self._slots(_PLANNED, profile_id=profile_id)

    def reschedule(self, slot: Slot) -> Slot:
        """Writes a locked row's new moment.

        Returns:
            The slot as it may be saved again.

        Raises:
            RowChanged: the row was not locked, or has been saved since.
            NotPossibleNow: the profile has another slot at that moment.
        """
        values = {"slot": slot.id, "as_locked": slot.revision, "due_at": slot.due_at}
        try:
            revision = self.connection.scalar(_RESCHEDULE, values)
        except IntegrityError as error:
            if "uq_posting_schedule_profile_id_due_at" not in str(error.orig):
                raise
            raise NotPossibleNow(**_TAKEN) from error
        if revision is None:
            raise why_not_saved(self.lock(slot.id).status, slot.status)
        return replace(slot, revision=revision)

    def lock(self, slot_id: SlotId) -> Slot:
        """One row, locked to the transaction's end: what is decided of it can be saved.

        Raises:
            LookupError: there is none.
        """
        row = self.connection.execute(_LOCK, {"slot": slot_id}).mappings().one_or_none()
        if row is None:
            raise LookupError(f"slot {slot_id} is gone")
        return _slot(row)

    def save(self, slot: Slot) -> Slot:
        """Writes a row's next state, and the reason for it, over the one that it was computed from.

        Returns:
            The slot as it may be saved again.

        Raises:
            RowChanged: the row was not locked, or has been saved since.
            ForbiddenTransition: the diagram does not lead from the row's state to this one.
        """
        values = {
            "slot": slot.id,
            "as_locked": slot.revision,
            "from_states": [slot.status, *leading_to(slot.status)],
            "status": slot.status,
            "reason": slot.reason,
        }
        revision = self.connection.scalar(_SAVE, values)
        if revision is None:
            raise why_not_saved(self.lock(slot.id).status, slot.status)
        return replace(slot, revision=revision)

    def to_write(self, profile_id: ProfileId, *, after: datetime, before: datetime) -> Slot | None:
        """The first planned slot of an interval without a tweet that nobody writes for or has put off."""
        found = self._slots(_TO_WRITE, profile_id=profile_id, after=after, before=before, most=1)
        return found[0] if found else None

    def claim_writing(self, slot_id: SlotId, *, by: str, span: timedelta) -> bool:
        """Takes the slot to write for it, for so long; False when another has it, or it has a tweet."""
        claimed = self.connection.execute(_CLAIM_WRITING, {"slot": slot_id, "by": by, "span": span})
        return claimed.one_or_none() is not None

    def still_to_write(self, slot_id: SlotId) -> bool:
        """Whether the slot is planned and has no tweet; its row stays locked to the transaction's end."""
        locked = self.connection.execute(_LOCK_PLANNED, {"slot": slot_id}).one_or_none()
        return locked is not None and not self.connection.scalar(_HAS_TWEET, {"slot": slot_id})

    def put_off_writing(self, slot_id: SlotId, *, first: timedelta, longest: timedelta) -> None:
        """Lets nobody write for the slot for a while: the first pause, doubled with each try."""
        self.connection.execute(
            _PUT_OFF_WRITING,
            {"slot": slot_id, "first": first.total_seconds(), "longest": longest.total_seconds()},
        )

    def give_back_writing(self, *, by: str) -> int:
        """Lets others write where this worker was writing; returns how many slots those are."""
        return len(self.connection.execute(_GIVE_BACK_WRITING, {"by": by}).all())

    def _slots(self, statement: Select[*tuple[Any, ...]], **values: object) -> Sequence[Slot]:
        return [_slot(row) for row in self.connection.execute(statement, values).mappings()]


_TAKEN = {"message": "there is a slot at that very moment", "fix": "take another minute"}
_SLOTS_AT_ONCE = 500
# The table's own columns: results of mapped attributes are looked up at several times the price.
_COLUMN = SLOTS.c
_COLUMNS = (
    _COLUMN.id,
    _COLUMN.profile_id,
    _COLUMN.due_at,
    _COLUMN.status,
    _COLUMN.plan_id,
    _COLUMN.local_date,
    _COLUMN.local_time,
    _COLUMN.timezone,
    _COLUMN.topic,
    _COLUMN.format,
    _COLUMN.reason,
)
# What every tick asks is built once: building a statement takes longer than its answer.
_SLOTS: Select[*tuple[Any, ...]] = (
    select(*_COLUMNS)
    .where(SLOTS.c.profile_id == bindparam("profile_id"))
    .order_by(SLOTS.c.due_at)
    .limit(_SLOTS_AT_ONCE)
)
_PLANNED = _SLOTS.where(SLOTS.c.status == SlotStatus.PLANNED)
_OVERDUE = _PLANNED.where(SLOTS.c.due_at <= bindparam("now"))
_UPCOMING = _PLANNED.where(SLOTS.c.due_at > bindparam("after"), SLOTS.c.due_at <= bindparam("before")).limit(
    bindparam("most", type_=Integer)
)
_FREE = or_(SLOTS.c.writing_until.is_(None), SLOTS.c.writing_until <= func.clock_timestamp())
# A text that a person turned down leaves its slot to be written for anew.
WRITTEN = exists().where(TWEETS.c.slot_id == SLOTS.c.id, TWEETS.c.status != TweetStatus.REJECTED)
_TO_WRITE = _UPCOMING.where(_FREE, ~WRITTEN)
_THE_SLOT = SLOTS.c.id == bindparam("slot")
_CLAIM_WRITING = (
    update(SLOTS)
    .where(_THE_SLOT, SLOTS.c.status == SlotStatus.PLANNED, _FREE, ~WRITTEN)
    .values(
        writing_by=bindparam("by"),
        writing_until=func.clock_timestamp() + bindparam("span", type_=Interval),
    )
    .returning(SLOTS.c.id)
)
_LOCK = select(*_COLUMNS, REVISION).where(_THE_SLOT).with_for_update()
_RESCHEDULE = (
    update(SLOTS)
    .where(
        _THE_SLOT,
        SLOTS.c.status == SlotStatus.PLANNED,
        REVISION.element == bindparam("as_locked", type_=Text),
    )
    .values(due_at=bindparam("due_at", type_=SLOTS.c.due_at.type))
    .returning(REVISION)
)
_SAVE = (
    update(SLOTS)
    .where(
        _THE_SLOT,
        SLOTS.c.status == any_(bindparam("from_states", type_=ARRAY(SLOTS.c.status.type))),
        REVISION.element == bindparam("as_locked", type_=Text),
    )
    .returning(REVISION)
)
_LOCK_PLANNED = select(SLOTS.c.id).where(_THE_SLOT, SLOTS.c.status == SlotStatus.PLANNED).with_for_update()
_HAS_TWEET = select(
    exists().where(TWEETS.c.slot_id == bindparam("slot"), TWEETS.c.status != TweetStatus.REJECTED)
)
_PUT_OFF_WRITING = (
    update(SLOTS)
    .where(_THE_SLOT)
    .values(
        writing_by=None,
        writing_until=func.clock_timestamp()
        + func.make_interval(
            0,
            0,
            0,
            0,
            0,
            0,
            func.least(
                bindparam("first", type_=Float) * func.power(2, func.least(SLOTS.c.writing_tries, 16)),
                bindparam("longest", type_=Float),
            ),
        ),
        writing_tries=SLOTS.c.writing_tries + 1,
    )
)
_GIVE_BACK_WRITING = (
    update(SLOTS)
    .where(
        SLOTS.c.status == SlotStatus.PLANNED,
        SLOTS.c.writing_by == bindparam("by"),
    )
    .values(writing_by=None, writing_until=None)
    .returning(SLOTS.c.id)
)
_CLAIMED = _SLOTS.where(SLOTS.c.status == SlotStatus.CLAIMED)


def _slot(row: RowMapping) -> Slot:
    return Slot(**row)

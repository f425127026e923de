"""What a profile has open at a moment, and what of it comes too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import Plan, Slot, Tweet
from bot.core.posting.lifecycle import failed
from bot.core.posting.schedule import is_on_its_way, is_too_late, tolerance
from bot.core.spending.limits import Wait, closed_beyond
from bot.core.states import LatePolicy, SlotStatus
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome
from bot.engine.posting.threads import break_thread
from bot.engine.slots import move_slot


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenWork:
    """What a profile has open at a moment."""

    now: datetime
    plan: Plan | None
    overdue: Sequence[Slot]
    claimed: Sequence[Slot]
    open: Sequence[Tweet]
    next_due: datetime | None

    @property
    def tolerance(self) -> timedelta:
        """How late a slot may be posted."""
        return tolerance(self.plan)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.overdue or self.claimed or self.open)

    @property
    def next_attempt(self) -> datetime | None:
        """When something that was tried before is tried again."""
        return min(
            (one.next_attempt_at for one in self.open if one.next_attempt_at is not None), default=None
        )


def gather(context: ProfileContext) -> OpenWork:
    """Reads what is open, in one transaction."""
    with context.database.transaction() as tx:
        now = context.clock.now()
        plan = tx.plans.active(context.profile.id)
        claimed = tx.slots.claimed(context.profile.id)
        on_their_way = {slot.id for slot in claimed}
        coming = tx.slots.upcoming(context.profile.id, after=now, before=now + timedelta(days=7), limit=1)
        overdue = tx.slots.overdue(context.profile.id, now=now)
        tried = tx.tweets.open(context.profile.id)
    return OpenWork(
        now=now,
        plan=plan,
        overdue=overdue,
        claimed=claimed,
        open=[tweet for tweet in tried if is_on_its_way(tweet, on_their_way)],
        next_due=coming[0].due_at if coming else None,
    )


def give_up_late(context: ProfileContext, work: OpenWork) -> OpenWork:
    """Ends what was tried before and is too late now; returns what is open after that."""
    ended = False
    late = {slot.id for slot in work.claimed if work.now - slot.due_at > work.tolerance}
    for tweet in work.open:
        if is_too_late(tweet, late, now=work.now, tolerance=work.tolerance):
            _end_late(context, work, tweet)
            ended = True
    return gather(context) if ended else work


def miss(context: ProfileContext, work: OpenWork, slot: Slot, reason: str) -> None:
    """Lets a slot expire whose moment has passed; its draft waits for another."""
    with context.database.transaction() as tx:
        move_slot(tx, slot.id, SlotStatus.EXPIRED, reason=reason)
        about = tx.tweets.of_slot(slot.id) or slot
        context.decisions(tx, DecisionKind.PUBLISH, now=work.now).note(Ruling.EXPIRED, reason, about=about)
    context.log.warning("slot_missed", slot=str(slot.id), due_at=slot.due_at, reason=reason)


def skip_if_closed(context: ProfileContext, work: OpenWork, slot: Slot, outcome: Outcome) -> None:
    """Gives a slot up at once when its limit stays closed beyond the slot's tolerance."""
    verdict = outcome.verdict
    if not isinstance(verdict, Wait) or not closed_beyond(verdict, slot.due_at + work.tolerance):
        return
    with context.database.transaction() as tx:
        move_slot(tx, slot.id, SlotStatus.EXPIRED, reason=verdict.limit)
    context.log.info("slot_given_up", slot=str(slot.id), limit=verdict.limit, until=verdict.until)


def _end_late(context: ProfileContext, work: OpenWork, tweet: Tweet) -> None:
    moves = tweet.slot_id is not None and (work.plan is None or work.plan.late_policy is LatePolicy.MOVE)
    with context.database.transaction() as tx:
        if tweet.slot_id is not None:
            move_slot(tx, tweet.slot_id, SlotStatus.EXPIRED, reason="late")
        if not moves:
            break_thread(tx, tx.tweets.save(failed(tx.tweets.lock(tweet.id), "too_late")))
        context.decisions(tx, DecisionKind.PUBLISH, now=work.now).note(
            Ruling.MOVED if moves else Ruling.EXPIRED, "too late for its slot", about=tweet
        )

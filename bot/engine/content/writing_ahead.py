"""Write ahead: the drafts of coming slots, and of due ones, while posting goes on."""

from __future__ import annotations

from contextlib import suppress

from bot.core.codes import DecisionKind, Ruling
from bot.core.content.drafts import Brief
from bot.core.errors import BotError
from bot.core.model import Plan, Slot, Tweet
from bot.core.posting.lifecycle import assigned
from bot.core.posting.schedule import tolerance
from bot.core.spending.limits import Verdict, closed_beyond
from bot.core.states import SlotStatus
from bot.engine.content.preparing import write_draft
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome
from bot.engine.slots import move_slot
from bot.ports import Transaction


def prepare_next(context: ProfileContext) -> Tweet | None:
    """Gives the first slot without a draft one, from those that are due up to those ahead; one a call.

    Writing may take minutes, so that it holds no lease: the slot alone is claimed, and the claim of
    a writer that was killed runs out.

    Raises:
        BotError: there is no draft; a decision row says why, and the next try is put off.
    """
    claimed = _claim_slot(context)
    if claimed is None:
        return None
    plan, slot = claimed
    done: Tweet | Outcome | None = None
    try:
        done = _reuse_or_write(context, plan, slot)
    finally:
        if not isinstance(done, Tweet):
            _leave_for_later(context, slot)
    if isinstance(done, Tweet):
        return done
    _explain_missing_draft(context, plan, slot, done)
    return None


def _claim_slot(context: ProfileContext) -> tuple[Plan | None, Slot] | None:
    now, settings = context.clock.now(), context.settings
    with context.database.transaction() as tx:
        plan = tx.plans.active(context.profile.id)
        oldest = now - tolerance(plan)
        slot = tx.slots.to_write(context.profile.id, after=oldest, before=now + settings.prepare_ahead)
        if slot is None or not tx.slots.claim_writing(slot.id, by=settings.holder, span=settings.write_time):
            return None
    return plan, slot


def _reuse_or_write(context: ProfileContext, plan: Plan | None, slot: Slot) -> Tweet | Outcome:
    """A draft left over from a missed slot, else a new one."""
    with context.database.transaction() as tx:
        left = tx.tweets.left_over(context.profile.id)
        if left is not None and tx.slots.still_to_write(slot.id):
            context.log.info("draft_moved", tweet=str(left.id), slot=str(slot.id))
            return tx.tweets.save(assigned(tx.tweets.lock(left.id), slot.id))
    return write_draft(context, Brief(plan=plan, slot=slot, topic=slot.topic))


def _leave_for_later(context: ProfileContext, slot: Slot) -> None:
    settings = context.settings
    with suppress(BotError), context.database.transaction() as tx:
        tx.slots.put_off_writing(slot.id, first=settings.write_pause, longest=settings.write_pause_longest)


def _explain_missing_draft(context: ProfileContext, plan: Plan | None, slot: Slot, outcome: Outcome) -> None:
    """Says why there is no draft, and gives a due slot up whose limit stays closed for too long."""
    now, verdict = context.clock.now(), outcome.verdict
    with context.database.transaction() as tx:
        if verdict is None:
            # A limit that was weighed has left its row already.
            decisions = context.decisions(tx, DecisionKind.PREPARE, now=now)
            decisions.note(Ruling(outcome.kind.value), outcome.line, about=slot)
        elif slot.due_at <= now and closed_beyond(verdict, slot.due_at + tolerance(plan)):
            _give_slot_up(context, tx, slot, verdict)


def _give_slot_up(context: ProfileContext, tx: Transaction, slot: Slot, verdict: Verdict) -> None:
    if tx.slots.still_to_write(slot.id):
        move_slot(tx, slot.id, SlotStatus.EXPIRED, reason=verdict.limit)
        context.log.info("slot_given_up", slot=str(slot.id), limit=verdict.limit, until=verdict.until)

"""Write ahead: the drafts of coming slots, and of due ones, while posting goes on."""

from __future__ import annotations

from contextlib import suppress

from bot.core.errors import BotError
from bot.core.limits import Wait
from bot.core.model import Plan, Profile, Slot, Tweet
from bot.core.states import SlotStatus
from bot.engine.agenda import DEFAULT_TOLERANCE
from bot.engine.noting import noted
from bot.engine.parts import Outcome, OutcomeKind, Parts
from bot.engine.preparing import closed_beyond, write_draft


def prepare_next(parts: Parts, profile: Profile) -> Tweet | None:
    """Gives the first slot without a draft one, from those that are due up to those ahead; one a call.

    Writing may take minutes, so that it holds no lease: the slot alone is claimed, and the claim of
    a writer that was killed runs out.

    Raises:
        BotError: there is no draft; a decision row says why, and the next try is put off.
    """
    now, settings = parts.clock.now(), parts.settings
    with parts.database.transaction() as tx:
        plan = tx.profiles.active_plan(profile.id)
        oldest = now - (plan.late_tolerance if plan else DEFAULT_TOLERANCE)
        slot = tx.slots.to_write(profile.id, after=oldest, before=now + settings.prepare_ahead)
        if slot is None or not tx.slots.claim_writing(slot.id, by=settings.holder, span=settings.write_time):
            return None
    outcome = None
    try:
        outcome = _prepare(parts, profile, plan, slot)
    finally:
        if outcome is None or outcome.kind is not OutcomeKind.POSTED:
            _leave_for_later(parts, slot)
    if outcome.kind is OutcomeKind.POSTED:
        return outcome.tweet
    _explain(parts, profile, plan, slot, outcome)
    return None


def _prepare(parts: Parts, profile: Profile, plan: Plan | None, slot: Slot) -> Outcome:
    """A draft left over from a missed slot, else a new one."""
    with parts.database.transaction() as tx:
        left = tx.tweets.left_over(profile.id)
        if left is not None and tx.slots.still_to_write(slot.id):
            parts.log.info("draft_moved", tweet=str(left.id), slot=str(slot.id))
            moved = tx.tweets.note(left.id, slot_id=slot.id)
            return Outcome(kind=OutcomeKind.POSTED, tweet=moved)
    return write_draft(parts, profile, plan, slot=slot, topic=slot.topic)


def _leave_for_later(parts: Parts, slot: Slot) -> None:
    settings = parts.settings
    with suppress(BotError), parts.database.transaction() as tx:
        tx.slots.put_off_writing(slot.id, first=settings.write_pause, longest=settings.write_pause_longest)


def _explain(parts: Parts, profile: Profile, plan: Plan | None, slot: Slot, outcome: Outcome) -> None:
    """Says why there is no draft, and gives a due slot up whose limit stays closed for too long."""
    now = parts.clock.now()
    last = slot.due_at + (plan.late_tolerance if plan else DEFAULT_TOLERANCE)
    verdict = outcome.verdict
    with parts.database.transaction() as tx:
        if verdict is None:
            # A limit that was weighed has left its row already.
            reason = outcome.detail or outcome.reason or ""
            tx.decisions.record(
                noted(outcome.kind.value, reason, now=now, kind="prepare", profile=profile, slot=slot)
            )
        if not isinstance(verdict, Wait) or slot.due_at > now or not closed_beyond(verdict, last):
            return
        if tx.slots.still_to_write(slot.id):
            tx.slots.move(slot.id, SlotStatus.EXPIRED, reason=verdict.limit)
            parts.log.info("slot_given_up", slot=str(slot.id), limit=verdict.limit, until=verdict.until)

"""What a profile has open at a moment, and what of it comes too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.limits import Wait
from bot.core.model import Plan, Profile, Slot, Tweet
from bot.core.states import LatePolicy, Origin, SlotStatus, TweetStatus
from bot.engine.noting import noted
from bot.engine.parts import Outcome, Parts
from bot.engine.preparing import closed_beyond
from bot.engine.recording import break_thread

DEFAULT_TOLERANCE = timedelta(minutes=20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Agenda:
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
        return self.plan.late_tolerance if self.plan else DEFAULT_TOLERANCE

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.overdue or self.claimed or self.open)


def gather(parts: Parts, profile: Profile) -> Agenda:
    """Reads what is open, in one transaction."""
    with parts.database.transaction() as tx:
        now = parts.clock.now()
        plan = tx.profiles.active_plan(profile.id)
        claimed = tx.slots.claimed(profile.id)
        coming = tx.slots.upcoming(profile.id, after=now, before=now + timedelta(days=7), limit=1)
        return Agenda(
            now=now,
            plan=plan,
            overdue=tx.slots.overdue(profile.id, now=now),
            claimed=claimed,
            open=[tweet for tweet in tx.tweets.open(profile.id) if _on_its_way(tweet, claimed)],
            next_due=coming[0].due_at if coming else None,
        )


def give_up_late(parts: Parts, profile: Profile, agenda: Agenda) -> Agenda:
    """Ends what was tried before and is too late now; returns what is open after that."""
    ended = False
    late = {slot.id for slot in agenda.claimed if agenda.now - slot.due_at > agenda.tolerance}
    for tweet in agenda.open:
        if tweet.status is not TweetStatus.APPROVED or tweet.part > 1:
            continue
        begun = tweet.intent_at or agenda.now
        # A resend is late some time after its intent; a text that a person queued goes when it may.
        resent = tweet.origin is Origin.MANUAL and tweet.resends > 0
        if tweet.slot_id in late or (resent and agenda.now - begun > agenda.tolerance):
            _end_late(parts, profile, agenda, tweet)
            ended = True
    return gather(parts, profile) if ended else agenda


def miss(parts: Parts, profile: Profile, agenda: Agenda, slot: Slot, reason: str) -> None:
    """Lets a slot expire whose moment has passed; its draft waits for another."""
    with parts.database.transaction() as tx:
        tx.slots.move(slot.id, SlotStatus.EXPIRED, reason=reason)
        tweet = tx.tweets.of_slot(slot.id)
        tx.decisions.record(
            noted("expired", reason, now=agenda.now, kind="publish", profile=profile, slot=slot, tweet=tweet)
        )
    parts.log.warning("slot_missed", slot=str(slot.id), due_at=slot.due_at, reason=reason)


def skip_if_closed(parts: Parts, agenda: Agenda, slot: Slot, outcome: Outcome) -> None:
    """Gives a slot up at once when its limit stays closed beyond the slot's tolerance."""
    verdict = outcome.verdict
    if not isinstance(verdict, Wait) or not closed_beyond(verdict, slot.due_at + agenda.tolerance):
        return
    with parts.database.transaction() as tx:
        tx.slots.move(slot.id, SlotStatus.EXPIRED, reason=verdict.limit)
    parts.log.info("slot_given_up", slot=str(slot.id), limit=verdict.limit, until=verdict.until)


def _end_late(parts: Parts, profile: Profile, agenda: Agenda, tweet: Tweet) -> None:
    moves = tweet.slot_id is not None and (agenda.plan is None or agenda.plan.late_policy is LatePolicy.MOVE)
    with parts.database.transaction() as tx:
        if tweet.slot_id is not None:
            tx.slots.move(tweet.slot_id, SlotStatus.EXPIRED, reason="late")
        if not moves:
            failed = tx.tweets.change(tweet.id, TweetStatus.FAILED, reason="too_late")
            break_thread(tx, failed)
        tx.decisions.record(
            noted(
                "moved" if moves else "expired",
                "too late for its slot",
                now=agenda.now,
                kind="publish",
                profile=profile,
                tweet=tweet,
            )
        )


def _on_its_way(tweet: Tweet, claimed: Sequence[Slot]) -> bool:
    """Whether a tick has to look at it: an intent was made, it follows in a thread, or a person queued it.

    A draft whose slot was missed is on no way: it waits for a slot that has none.
    """
    if tweet.status in {TweetStatus.PUBLISHING, TweetStatus.UNKNOWN}:
        return True
    if tweet.status is not TweetStatus.APPROVED:
        return False
    if tweet.part > 1 or tweet.origin is Origin.MANUAL:
        return True
    return any(slot.id == tweet.slot_id for slot in claimed)

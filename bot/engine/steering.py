"""Steering: what a person does with a profile and its queue, one verb each, for every way in alike.

Each verb is one transaction, and leaves a decision row. Those that change a post take the lock under which
posts are intended: no text is changed between being weighed and being sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.codes import DecisionKind, Ruling
from bot.core.content.drafts import Brief, Draft
from bot.core.content.guard import judge
from bot.core.content.rules import Problem
from bot.core.errors import NotPossibleNow
from bot.core.model import Profile, Slot, Tweet, TweetId
from bot.core.posting.lifecycle import (
    OPERATOR,
    approved,
    as_it_was,
    assigned,
    drafted,
    edited,
    for_slot,
    is_unsent,
    rejected,
    rescheduled,
    unapproved,
)
from bot.core.states import SlotStatus, TweetStatus
from bot.engine.content.keeping import said_already
from bot.engine.context import Services
from bot.engine.decisions import About, DecisionRecorder
from bot.engine.posting.threads import break_thread
from bot.engine.queue import IN_QUEUE, SEE_QUEUE, Queued, against, find, only, queued, starting
from bot.engine.slots import move_slot
from bot.ports import Transaction

# A moment that somebody called now is over when it is acted on.
JUST_NOW = timedelta(minutes=1)
FURTHEST = timedelta(days=3650)


@dataclass(frozen=True, kw_only=True, slots=True)
class Steering:
    """A person's acts on one profile. A post is named by its id, or by how its id begins."""

    services: Services
    profile: Profile

    def approve(self, which: str) -> Queued:
        """Lets the very text that stands there go out, a thread with all its parts.

        Returns:
            The post as it is now; as it was where the guard has anything against it.
        """
        with self.services.database.transaction() as tx:
            parts = self._lock(tx, which)
            problems = against(tx, parts, now=self._now)
            if not problems:
                parts = [_approve(tx, part) for part in parts]
                self._note(tx, Ruling.APPROVED, "approved by the operator", parts[0])
            return queued(self.services, tx, parts, problems)

    def reject(self, which: str, *, because: str) -> Queued:
        """Keeps a text from ever going out; for its slot, another is written."""
        with self.services.database.transaction() as tx:
            return self._reject(tx, self._lock(tx, which), because)

    def drop(self, which: str) -> Queued:
        """Throws a post away, and gives its slot up."""
        with self.services.database.transaction() as tx:
            dropped = self._reject(tx, self._lock(tx, which), "dropped")
            if dropped.slot is not None and dropped.slot.status is SlotStatus.PLANNED:
                move_slot(tx, dropped.slot.id, SlotStatus.SKIPPED, reason="dropped")
            return dropped

    def edit(self, which: str, text: str) -> Queued:
        """Changes a text that was never sent; an approval of it falls, a thread's with all its parts.

        Returns:
            The post as it is now; as it was where the guard has anything against the new text.

        Raises:
            NotPossibleNow: it may have been sent.
        """
        with self.services.database.transaction() as tx:
            parts = self._lock(tx, which)
            meant = find(tx, self.profile, which).id
            problems = self._edit(tx, parts, meant, text)
            rows = [tx.tweets.get(part.id) for part in parts]
            return queued(self.services, tx, rows, problems)

    def schedule(self, text: str, *, at: datetime) -> Queued | Sequence[Problem]:
        """Queues a text of the person's own for a moment of their choice.

        Returns:
            The post; what the guard has against the text, where it has anything.

        Raises:
            NotPossibleNow: the moment is over, or taken.
        """
        with self.services.database.transaction() as tx:
            judgement = judge(text, recent_fingerprints=said_already(tx, self.profile.id, now=self._now))
            if not judgement.valid:
                return judgement.problems
            slot = tx.slots.add_by_hand(self.profile.id, due_at=self._coming(at))
            draft = Draft(text=judgement.text, source=None, writer=OPERATOR)
            tweet_id = TweetId(self.services.new_id())
            tweet = tx.tweets.add(drafted(tweet_id, self.profile, draft, judgement.text, Brief(slot=slot)))
            self._note(tx, Ruling.PLANNED, "scheduled by the operator", tweet)
            return queued(self.services, tx, [tweet], ())

    def move(self, which: str, *, to: datetime) -> Slot:
        """Gives a planned slot, named by its own id or its post's, another moment.

        A post without a slot that is still to come gets one of its own.

        Raises:
            NotPossibleNow: the moment is over or taken.
        """
        with self.services.database.transaction() as tx:
            found = self._lock_slot(tx, which)
            if found is None:
                return self._give_slot(tx, which, self._coming(to))
            slot, about = found
            moved = tx.slots.reschedule(rescheduled(slot, self._coming(to)))
            self._note(tx, Ruling.MOVED, f"moved from {slot.due_at:%Y-%m-%d %H:%M} UTC", about)
        return moved

    def skip(self, which: str) -> Slot:
        """Gives a planned slot up; its post, if it has one, goes out at the next free one."""
        with self.services.database.transaction() as tx:
            found = self._lock_slot(tx, which)
            if found is None:
                raise NotPossibleNow("it has no slot that is still to come", fix=SEE_QUEUE)
            slot, about = found
            move_slot(tx, slot.id, SlotStatus.SKIPPED, reason="skipped")
            if isinstance(about, Tweet):
                tx.tweets.save(assigned(tx.tweets.lock(about.id), None))
            self._note(tx, Ruling.SKIPPED, "skipped by the operator", about)
        return slot

    def pause(self, reason: str | None) -> Profile:
        """Stops posting until it is resumed."""
        with self.services.database.transaction() as tx:
            profile = tx.profiles.pause(self.profile.id, paused=True, reason=reason)
            self._note(tx, Ruling.PAUSED, reason or "paused by the operator")
        return profile

    def resume(self) -> tuple[Profile, int]:
        """Lets posting go on, and lifts blocks that X's refusals set; returns how many those were."""
        with self.services.database.transaction() as tx:
            profile = tx.profiles.pause(self.profile.id, paused=False, reason=None)
            lifted = tx.rates.lift_blocks(self.profile.id)
            tx.tweets.retry_now(self.profile.id)
            self._note(tx, Ruling.RESUMED, f"resumed; blocks lifted: {lifted}")
        return profile, lifted

    @property
    def _now(self) -> datetime:
        return self.services.clock.now()

    def _lock(self, tx: Transaction, which: str) -> Sequence[Tweet]:
        """The post, or its thread's parts that are not sent yet, locked."""
        tx.tweets.lock_texts(self.profile.id)
        tx.ledger.lock()
        tweet = find(tx, self.profile, which)
        ids = [tweet.id]
        if tweet.thread_id is not None:
            ids = [part.id for part in tx.tweets.parts(tweet.thread_id) if part.status in IN_QUEUE]
        return [tx.tweets.lock(one) for one in ids]

    def _give_slot(self, tx: Transaction, which: str, due_at: datetime) -> Slot:
        first = self._lock(tx, which)[0]
        slot = tx.slots.add_by_hand(self.profile.id, due_at=due_at)
        given = tx.tweets.save(for_slot(first, slot.id))
        self._note(tx, Ruling.MOVED, "given a slot by the operator", given)
        return slot

    def _lock_slot(self, tx: Transaction, which: str) -> tuple[Slot, About] | None:
        """The planned slot that is meant, locked, and what a decision about it concerns.

        None for a post that has none which is still to come.
        """
        # In the order in which every writer of texts takes the two.
        tx.tweets.lock_texts(self.profile.id)
        tx.ledger.lock()
        planned = tx.slots.planned(self.profile.id)
        found = starting(planned, which)
        if not found:
            of_post = find(tx, self.profile, which).slot_id
            found = [slot for slot in planned if slot.id == of_post]
            if not found:
                return None
        slot = tx.slots.lock(only(found, which).id)
        return slot, tx.tweets.of_slot(slot.id) or slot

    def _reject(self, tx: Transaction, parts: Sequence[Tweet], because: str) -> Queued:
        first = tx.tweets.save(rejected(parts[0], because))
        break_thread(tx, first)
        if first.slot_id is not None and tx.slots.lock(first.slot_id).status is SlotStatus.CLAIMED:
            # X refused it for now, and it is not tried again.
            move_slot(tx, first.slot_id, SlotStatus.SKIPPED, reason="rejected")
        self._note(tx, Ruling.REJECTED, because, first)
        return queued(self.services, tx, [first, *(tx.tweets.get(part.id) for part in parts[1:])], ())

    def _edit(self, tx: Transaction, parts: Sequence[Tweet], meant: TweetId, text: str) -> Sequence[Problem]:
        """Saves the new text, unless the guard has anything against it."""
        tweet = next(part for part in parts if part.id == meant)
        if not is_unsent(tweet):
            raise NotPossibleNow(
                "it may have been sent, so its text stays", fix="`why` says what became of it"
            )
        said = said_already(tx, self.profile.id, now=self._now, apart_from=[meant])
        judgement = judge(text, recent_fingerprints=said)
        if judgement.valid and judgement.text != tweet.text:
            if tweet.writer not in {None, OPERATOR}:
                tx.tweets.add(as_it_was(tweet, TweetId(self.services.new_id())))
            for part in parts:
                if part.id == meant:
                    tx.tweets.save(edited(part, judgement.text))
                elif is_unsent(part):
                    tx.tweets.save(unapproved(part))
            self._note(tx, Ruling.EDITED, "its text was changed by the operator", tweet)
        return judgement.problems

    def _coming(self, moment: datetime) -> datetime:
        if moment < self._now - JUST_NOW:
            raise NotPossibleNow(f"{moment:%Y-%m-%d %H:%M} UTC is over", fix="name a moment to come")
        if moment > self._now + FURTHEST:
            raise NotPossibleNow(f"{moment:%Y-%m-%d} is too far ahead", fix="name a moment within ten years")
        return moment

    def _note(self, tx: Transaction, ruling: Ruling, reason: str, about: About = None) -> None:
        decisions = DecisionRecorder(tx=tx, kind=DecisionKind.OPERATOR, profile=self.profile, now=self._now)
        decisions.note(ruling, reason, about=about)


def _approve(tx: Transaction, part: Tweet) -> Tweet:
    return part if part.status is TweetStatus.APPROVED else tx.tweets.save(approved(part))

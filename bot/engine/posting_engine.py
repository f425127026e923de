"""The engine: what the worker's jobs and the commands call. Each method gathers, decides, acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.errors import BotError, LeaseLost
from bot.core.limits import Wait
from bot.core.model import DecisionRecord, Lease, Plan, Profile, Slot, Tweet
from bot.core.schedule import settle_overdue
from bot.core.states import LatePolicy, Mode, Origin, SlotStatus, TweetStatus
from bot.engine.parts import Outcome, OutcomeKind, Parts, leased
from bot.engine.preparing import closed_beyond, prepare_slot
from bot.engine.publishing import publish
from bot.engine.reconciling import find_orphans, settle_unknown
from bot.engine.recording import break_thread
from bot.ports import Transaction

DEFAULT_TOLERANCE = timedelta(minutes=20)
_GONE = frozenset({TweetStatus.DELETED, TweetStatus.FAILED, TweetStatus.REJECTED})


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


@dataclass(frozen=True, slots=True)
class PostingEngine:
    """Acts for profiles, one tick at a time."""

    parts: Parts

    def tick(self, profile: Profile) -> Sequence[Outcome]:
        """Settles what is unknown, then publishes what is due: at most one slot.

        Raises:
            BotError: nothing could be decided; a decision row says so where rows can be written.
        """
        agenda = self._gather(profile)
        if agenda.idle:
            self._record(profile, agenda.now, "nothing", "nothing is due", until=agenda.next_due)
            return ()
        with leased(self.parts, profile) as lease:
            if lease is None:
                self._record(profile, agenda.now, "nothing", "another worker acts for this profile")
                return ()
            try:
                find_orphans(self.parts, profile, lease)
                unknown = settle_unknown(self.parts, profile, lease)
                agenda = self._give_up_late(profile, self._gather(profile))
                if unknown:
                    self._record(
                        profile, agenda.now, "nothing", f"{unknown} outcome(s) unknown: settled first"
                    )
                    return ()
                return self._act(profile, lease, agenda)
            except LeaseLost as error:
                self._record(profile, self.parts.clock.now(), "nothing", str(error))
                return ()
            except BotError as error:
                self._record(profile, self.parts.clock.now(), "failed", error.line)
                raise

    def settle(self, profile: Profile) -> int | None:
        """Settles what is unknown because a person asks, resending what is proven absent.

        Returns:
            How many tweets stay unknown; None while another worker acts for the profile.
        """
        with leased(self.parts, profile) as lease:
            if lease is None:
                return None
            try:
                find_orphans(self.parts, profile, lease)
                unknown = settle_unknown(self.parts, profile, lease, by_hand=True)
                agenda = self._give_up_late(profile, self._gather(profile))
                if not (unknown or profile.paused):
                    self._resume(profile, lease, agenda)
            except LeaseLost:
                return None
            with self.parts.database.transaction() as tx:
                return len(tx.tweets.with_status(profile.id, TweetStatus.UNKNOWN))

    def abandon(self, profile: Profile) -> None:
        """Marks what is being called unknown, for a process that must end before the answer."""
        with leased(self.parts, profile) as lease:
            if lease is not None:
                find_orphans(self.parts, profile, lease)

    def _gather(self, profile: Profile) -> Agenda:
        with self.parts.database.transaction() as tx:
            now = self.parts.clock.now()
            plan = tx.profiles.active_plan(profile.id)
            claimed = tx.slots.claimed(profile.id)
            coming = tx.slots.upcoming(profile.id, after=now, before=now + timedelta(days=7))
            return Agenda(
                now=now,
                plan=plan,
                overdue=tx.slots.overdue(profile.id, now=now),
                claimed=claimed,
                open=[tweet for tweet in tx.tweets.open(profile.id) if _on_its_way(tweet, claimed)],
                next_due=coming[0].due_at if coming else None,
            )

    def _act(self, profile: Profile, lease: Lease, agenda: Agenda) -> Sequence[Outcome]:
        choice = settle_overdue(agenda.overdue, now=agenda.now, tolerance=agenda.tolerance)
        for missed in choice.missed:
            self._miss(profile, agenda, missed.slot, missed.reason)
        if profile.paused:
            self._record(profile, agenda.now, "paused", profile.pause_reason or "paused by the operator")
            return ()
        outcomes = self._resume(profile, lease, agenda)
        acted = any(outcome.kind is not OutcomeKind.WAITING for outcome in outcomes)
        if acted or choice.due is None:
            if not outcomes and not choice.missed:
                later = [tweet.next_attempt_at for tweet in agenda.open if tweet.next_attempt_at is not None]
                self._record(
                    profile, agenda.now, "nothing", "nothing is ready yet", until=min(later, default=None)
                )
            return outcomes
        return self._post_slot(profile, lease, agenda.plan, choice.due)

    def _resume(self, profile: Profile, lease: Lease, agenda: Agenda) -> Sequence[Outcome]:
        """Goes on with what was tried before, and with threads at the part where they stopped."""
        if profile.mode is Mode.DRY_RUN:
            return []
        outcomes: list[Outcome] = []
        for tweet in agenda.open:
            if self._ended(profile, tweet) or not self._ready(tweet):
                continue
            outcomes += self.publish_thread(profile, lease, tweet, spaced=tweet.part == 1)
            if outcomes[-1].kind is OutcomeKind.UNKNOWN:
                break
        return outcomes

    def _post_slot(self, profile: Profile, lease: Lease, plan: Plan | None, slot: Slot) -> Sequence[Outcome]:
        with self.parts.database.transaction() as tx:
            tweet = tx.tweets.of_slot(slot.id)
        if tweet is None:
            prepared = prepare_slot(self.parts, profile, plan, slot)
            self._skip_if_closed(plan, slot, prepared)
            if prepared.kind is not OutcomeKind.POSTED or prepared.tweet is None:
                self._record(profile, self.parts.clock.now(), prepared.kind.value, prepared.detail, slot=slot)
                return (prepared,)
            tweet = prepared.tweet
        if profile.mode is Mode.DRY_RUN:
            return (self._dry_run(profile, slot, tweet),)
        if profile.mode is Mode.REVIEW and tweet.status is TweetStatus.DRAFTED:
            # Written before the mode changed: nobody has seen it yet.
            with self.parts.database.transaction() as tx:
                tweet = tx.tweets.change(tweet.id, TweetStatus.AWAITING_APPROVAL)
        if tweet.status is TweetStatus.AWAITING_APPROVAL:
            self._record(
                profile,
                self.parts.clock.now(),
                "nothing",
                "the draft awaits approval",
                slot=slot,
                tweet=tweet,
            )
            return ()
        outcomes = self.publish_thread(profile, lease, tweet, spaced=True)
        self._skip_if_closed(plan, slot, outcomes[0])
        return outcomes

    def _skip_if_closed(self, plan: Plan | None, slot: Slot, outcome: Outcome) -> None:
        """Gives a slot up at once when its limit stays closed beyond the slot's tolerance."""
        tolerance = plan.late_tolerance if plan else DEFAULT_TOLERANCE
        verdict = outcome.verdict
        if not isinstance(verdict, Wait) or not closed_beyond(verdict, slot.due_at + tolerance):
            return
        with self.parts.database.transaction() as tx:
            tx.slots.move(slot.id, SlotStatus.EXPIRED, reason=verdict.limit)
        self.parts.log.info("slot_given_up", slot=str(slot.id), limit=verdict.limit, until=verdict.until)

    def publish_thread(
        self, profile: Profile, lease: Lease, tweet: Tweet, *, spaced: bool
    ) -> Sequence[Outcome]:
        """Publishes a tweet and, when it is a thread's root, the parts that follow it."""
        following: Sequence[Tweet] = ()
        if tweet.thread_id is not None:
            with self.parts.database.transaction() as tx:
                following = [part for part in tx.tweets.parts(tweet.thread_id) if part.part > tweet.part]
        texts = tuple(part.text for part in following)
        outcomes = [publish(self.parts, profile, lease, tweet, spaced=spaced, following=texts)]
        while (part := self._next_part(outcomes[-1])) is not None:
            outcomes.append(publish(self.parts, profile, lease, part, spaced=False))
        return outcomes

    def _next_part(self, outcome: Outcome) -> Tweet | None:
        done = outcome.tweet
        if outcome.kind is not OutcomeKind.POSTED or done is None or done.thread_id is None:
            return None
        with self.parts.database.transaction() as tx:
            return next(
                (part for part in tx.tweets.parts(done.thread_id) if part.part == done.part + 1), None
            )

    def _ended(self, profile: Profile, tweet: Tweet) -> bool:
        """Ends a part that waits for one before it that will never be live, or is no more."""
        if tweet.status is not TweetStatus.APPROVED or tweet.part == 1:
            return False
        with self.parts.database.transaction() as tx:
            parts = tx.tweets.parts(tweet.thread_id or tweet.id)
            present = next(part for part in parts if part.id == tweet.id)
            if present.status is not TweetStatus.APPROVED:
                return True
            if not any(part.part < tweet.part and part.status in _GONE for part in parts):
                return False
            failed = tx.tweets.change(tweet.id, TweetStatus.FAILED, reason="thread_broken")
            break_thread(tx, failed)
            self._record_in(
                tx, profile, self.parts.clock.now(), "failed", "a part before it is gone", tweet=failed
            )
        return True

    def _ready(self, tweet: Tweet) -> bool:
        """Whether an approved tweet that was tried before, or a thread's next part, goes now."""
        if tweet.status is not TweetStatus.APPROVED:
            return False
        if tweet.next_attempt_at is not None and tweet.next_attempt_at > self.parts.clock.now():
            return False
        if tweet.part == 1:
            return True
        with self.parts.database.transaction() as tx:
            before = next(
                part for part in tx.tweets.parts(tweet.thread_id or tweet.id) if part.part == tweet.part - 1
            )
        return before.status is TweetStatus.POSTED

    def _give_up_late(self, profile: Profile, agenda: Agenda) -> Agenda:
        """Ends what was tried before and is too late now; returns what is open after that."""
        ended = False
        late = {slot.id for slot in agenda.claimed if agenda.now - slot.due_at > agenda.tolerance}
        for tweet in agenda.open:
            if tweet.status is not TweetStatus.APPROVED or tweet.part > 1:
                continue
            begun = tweet.intent_at or agenda.now
            if tweet.slot_id in late or (
                tweet.origin is Origin.MANUAL and agenda.now - begun > agenda.tolerance
            ):
                self._end_late(profile, agenda, tweet)
                ended = True
        return self._gather(profile) if ended else agenda

    def _end_late(self, profile: Profile, agenda: Agenda, tweet: Tweet) -> None:
        moves = tweet.slot_id is not None and (
            agenda.plan is None or agenda.plan.late_policy is LatePolicy.MOVE
        )
        with self.parts.database.transaction() as tx:
            if tweet.slot_id is not None:
                tx.slots.move(tweet.slot_id, SlotStatus.EXPIRED, reason="late")
            if not moves:
                failed = tx.tweets.change(tweet.id, TweetStatus.FAILED, reason="too_late")
                break_thread(tx, failed)
            self._record_in(
                tx,
                profile,
                agenda.now,
                "moved" if moves else "expired",
                "too late for its slot",
                tweet=tweet,
            )

    def _miss(self, profile: Profile, agenda: Agenda, slot: Slot, reason: str) -> None:
        with self.parts.database.transaction() as tx:
            tx.slots.move(slot.id, SlotStatus.EXPIRED, reason=reason)
            tweet = tx.tweets.of_slot(slot.id)
            self._record_in(tx, profile, agenda.now, "expired", reason, slot=slot, tweet=tweet)
        self.parts.log.warning("slot_missed", slot=str(slot.id), due_at=slot.due_at, reason=reason)

    def _dry_run(self, profile: Profile, slot: Slot, tweet: Tweet) -> Outcome:
        with self.parts.database.transaction() as tx:
            now = self.parts.clock.now()
            wanted = self.parts.limits.want_post(tx, tweet.text, spaced=True)
            verdict = self.parts.limits.judge(tx, profile.id, wanted, now)
            tx.slots.move(slot.id, SlotStatus.SKIPPED, reason="dry_run")
            self._record_in(tx, profile, now, "dry_run", verdict.reason, slot=slot, tweet=tweet)
        self.parts.log.info("dry_run", tweet=str(tweet.id), text=tweet.text)
        return Outcome(kind=OutcomeKind.DRY_RUN, tweet=tweet, verdict=verdict)

    def _record(self, profile: Profile, now: datetime, verdict: str, reason: str, **about: object) -> None:
        with self.parts.database.transaction() as tx:
            self._record_in(tx, profile, now, verdict, reason, **about)  # type: ignore[arg-type]  # same keywords

    def _record_in(
        self,
        tx: Transaction,
        profile: Profile,
        now: datetime,
        verdict: str,
        reason: str,
        *,
        slot: Slot | None = None,
        tweet: Tweet | None = None,
        until: datetime | None = None,
    ) -> None:
        tx.decisions.record(
            DecisionRecord(
                at=now,
                kind="publish",
                verdict=verdict,
                reason=reason,
                profile_id=profile.id,
                until=until,
                slot_id=slot.id if slot else (tweet.slot_id if tweet else None),
                tweet_id=tweet.id if tweet else None,
            )
        )


def _on_its_way(tweet: Tweet, claimed: Sequence[Slot]) -> bool:
    """Whether a tick has to look at it: an intent was made, or it follows in a thread.

    A draft whose slot was missed is on no way: it waits for a slot that has none.
    """
    if tweet.status in {TweetStatus.PUBLISHING, TweetStatus.UNKNOWN}:
        return True
    if tweet.status is not TweetStatus.APPROVED:
        return False
    if tweet.part > 1:
        return True
    wanted = tweet.origin is Origin.MANUAL or any(slot.id == tweet.slot_id for slot in claimed)
    return wanted and tweet.attempts > 0

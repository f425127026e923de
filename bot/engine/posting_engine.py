"""The engine: what the worker's jobs and the commands call. Each method gathers, decides, acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.errors import BotError, LeaseLost
from bot.core.model import Lease, Profile, Slot, Tweet
from bot.core.schedule import settle_overdue
from bot.core.states import Mode, SlotStatus, TweetStatus
from bot.engine.agenda import Agenda, gather, give_up_late, miss, skip_if_closed
from bot.engine.noting import noted
from bot.engine.parts import Outcome, OutcomeKind, Parts, leased
from bot.engine.publishing import publish
from bot.engine.reconciling import Unsettled, find_orphans, settle_unknown, unsettled
from bot.engine.recording import break_thread

_GONE = frozenset({TweetStatus.DELETED, TweetStatus.FAILED, TweetStatus.REJECTED})


@dataclass(frozen=True, slots=True)
class PostingEngine:
    """Acts for profiles, one tick at a time."""

    parts: Parts

    def tick(self, profile: Profile) -> Sequence[Outcome]:
        """Settles what is unknown, then publishes what is due: at most one slot.

        Raises:
            BotError: nothing could be decided; a decision row says so where rows can be written.
        """
        agenda = gather(self.parts, profile)
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
                agenda = give_up_late(self.parts, profile, gather(self.parts, profile))
                if unknown.holding_up:
                    said = f"{unknown.holding_up} outcome(s) unknown: settled first"
                    self._record(profile, agenda.now, "nothing", said)
                    return ()
                return self._act(profile, lease, agenda)
            except LeaseLost as error:
                self._record(profile, self.parts.clock.now(), "nothing", str(error))
                return ()
            except BotError as error:
                self._record(profile, self.parts.clock.now(), "failed", error.line)
                raise

    def settle(self, profile: Profile) -> Unsettled | None:
        """Settles what is unknown because a person asks, resending what is proven absent.

        Returns:
            What stays unknown; None while another worker acts for the profile.
        """
        with leased(self.parts, profile) as lease:
            if lease is None:
                return None
            try:
                find_orphans(self.parts, profile, lease)
                unknown = settle_unknown(self.parts, profile, lease, by_hand=True)
                agenda = give_up_late(self.parts, profile, gather(self.parts, profile))
                if not (unknown.holding_up or profile.paused):
                    self._resume(profile, lease, agenda)
            except LeaseLost:
                return None
            with self.parts.database.transaction() as tx:
                return unsettled(tx, profile)

    def abandon(self, profile: Profile) -> None:
        """Marks what is being called unknown, for a process that must end before the answer."""
        with leased(self.parts, profile) as lease:
            if lease is not None:
                find_orphans(self.parts, profile, lease)

    def _act(self, profile: Profile, lease: Lease, agenda: Agenda) -> Sequence[Outcome]:
        choice = settle_overdue(agenda.overdue, now=agenda.now, tolerance=agenda.tolerance)
        for missed in choice.missed:
            miss(self.parts, profile, agenda, missed.slot, missed.reason)
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
        return self._post_slot(profile, lease, agenda, self._ready_first(choice.due, choice.behind))

    def _ready_first(self, due: Slot, behind: Sequence[Slot]) -> Slot:
        """The first slot whose draft is there and approved, so that a hanging model holds no other up.

        Returns:
            `due` where none is ready: what it waits for is what a tick says.
        """
        if not behind:
            return due
        with self.parts.database.transaction() as tx:
            for slot in (due, *behind):
                tweet = tx.tweets.of_slot(slot.id)
                if tweet is not None and tweet.status is not TweetStatus.AWAITING_APPROVAL:
                    return slot
        return due

    def _resume(self, profile: Profile, lease: Lease, agenda: Agenda) -> Sequence[Outcome]:
        """Goes on with what was tried before, and with threads at the part where they stopped."""
        if profile.mode is Mode.DRY_RUN:
            return []
        outcomes: list[Outcome] = []
        for tweet in agenda.open:
            if self._ended(profile, tweet) or not self._ready(tweet):
                continue
            if outcomes and tweet.part == 1 and tweet.intent_at is None:
                break  # queued texts go in their order, one a tick
            outcomes += self.publish_thread(profile, lease, tweet, spaced=tweet.part == 1)
            if outcomes[-1].kind is OutcomeKind.UNKNOWN:
                break
        return outcomes

    def _post_slot(self, profile: Profile, lease: Lease, agenda: Agenda, slot: Slot) -> Sequence[Outcome]:
        with self.parts.database.transaction() as tx:
            tweet = tx.tweets.of_slot(slot.id)
        if tweet is None:
            # Writing may take minutes, and is another job's.
            self._record(profile, self.parts.clock.now(), "nothing", "no draft is ready yet", slot=slot)
            return ()
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
        skip_if_closed(self.parts, agenda, slot, outcomes[0])
        return outcomes

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
            now = self.parts.clock.now()
            tx.decisions.record(
                noted(
                    "failed",
                    "a part before it is gone",
                    now=now,
                    kind="publish",
                    profile=profile,
                    tweet=failed,
                )
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

    def _dry_run(self, profile: Profile, slot: Slot, tweet: Tweet) -> Outcome:
        with self.parts.database.transaction() as tx:
            now = self.parts.clock.now()
            wanted = self.parts.limits.want_post(tx, tweet.text, spaced=True)
            verdict = self.parts.limits.judge(tx, profile.id, wanted, now)
            tx.slots.move(slot.id, SlotStatus.SKIPPED, reason="dry_run")
            tx.decisions.record(
                noted(
                    "dry_run",
                    verdict.reason,
                    now=now,
                    kind="publish",
                    profile=profile,
                    slot=slot,
                    tweet=tweet,
                )
            )
        self.parts.log.info("dry_run", tweet=str(tweet.id), text=tweet.text)
        return Outcome(kind=OutcomeKind.DRY_RUN, tweet=tweet, verdict=verdict)

    def _record(
        self,
        profile: Profile,
        now: datetime,
        verdict: str,
        reason: str,
        *,
        slot: Slot | None = None,
        tweet: Tweet | None = None,
        until: datetime | None = None,
    ) -> None:
        decision = noted(
            verdict, reason, now=now, kind="publish", profile=profile, slot=slot, tweet=tweet, until=until
        )
        with self.parts.database.transaction() as tx:
            tx.decisions.record(decision)

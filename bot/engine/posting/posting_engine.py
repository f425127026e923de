"""The engine: what the worker's jobs and the commands call. Each method gathers, decides, acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import BotError, LeaseLost
from bot.core.model import Lease, Profile, Slot, Tweet
from bot.core.posting.lifecycle import awaiting_approval, broken_off
from bot.core.posting.schedule import settle_overdue
from bot.core.states import Mode, SlotStatus, TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.leasing import leased
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.open_work import OpenWork, gather, give_up_late, miss, skip_if_closed
from bot.engine.posting.publishing import dry_run, publish
from bot.engine.posting.reconciling import Unsettled, find_orphans, settle_unknown, unsettled
from bot.engine.posting.threads import before, break_thread, following, is_broken
from bot.engine.slots import move_slot


@dataclass(frozen=True, kw_only=True, slots=True)
class PostingEngine:
    """Acts for profiles, one tick at a time.

    Attributes:
        context: a profile's own client, writer and sources, with the services.
    """

    context: Callable[[Profile], ProfileContext]

    def tick(self, profile: Profile) -> Sequence[Outcome]:
        """`tick` for the profile."""
        return tick(self.context(profile))

    def settle(self, profile: Profile) -> Unsettled | None:
        """`settle` for the profile."""
        return settle(self.context(profile))

    def abandon(self, profile: Profile) -> None:
        """Marks what is being called unknown, for a process that must end before the answer."""
        context = self.context(profile)
        with leased(context) as lease:
            if lease is not None:
                find_orphans(context, lease)


def tick(context: ProfileContext) -> Sequence[Outcome]:
    """Settles what is unknown, then publishes what is due: at most one slot.

    Raises:
        BotError: nothing could be decided; a decision row says so where rows can be written.
    """
    work = gather(context)
    if work.idle:
        with context.deciding(DecisionKind.PUBLISH, now=work.now) as decisions:
            decisions.note(Ruling.NOTHING, "nothing is due", until=work.next_due)
        return ()
    with leased(context) as lease:
        if lease is None:
            with context.deciding(DecisionKind.PUBLISH, now=work.now) as decisions:
                decisions.note(Ruling.NOTHING, "another worker acts for this profile")
            return ()
        try:
            return _act(context, lease)
        except LeaseLost as error:
            with context.deciding(DecisionKind.PUBLISH) as decisions:
                decisions.note(Ruling.NOTHING, str(error))
            return ()
        except BotError as error:
            with context.deciding(DecisionKind.PUBLISH) as decisions:
                decisions.note(Ruling.FAILED, error.line)
            raise


def settle(context: ProfileContext) -> Unsettled | None:
    """Settles what is unknown because a person asks, resending what is proven absent.

    Returns:
        What stays unknown; None while another worker acts for the profile.
    """
    with leased(context) as lease:
        if lease is None:
            return None
        try:
            find_orphans(context, lease)
            unknown = settle_unknown(context, lease, by_hand=True)
            work = give_up_late(context, gather(context))
            if not (unknown.holding_up or context.profile.paused):
                _resume(context, lease, work)
        except LeaseLost:
            return None
        with context.database.transaction() as tx:
            return unsettled(tx, context.profile.id)


def publish_thread(context: ProfileContext, lease: Lease, tweet: Tweet, *, spaced: bool) -> Sequence[Outcome]:
    """Publishes a tweet and, when it is a thread's root, the parts that follow it."""
    texts = tuple(part.text for part in _following(context, tweet))
    outcomes = [publish(context, lease, tweet, spaced=spaced, following=texts)]
    while (part := _next_part(context, outcomes[-1])) is not None:
        outcomes.append(publish(context, lease, part, spaced=False))
    return outcomes


def _act(context: ProfileContext, lease: Lease) -> Sequence[Outcome]:
    find_orphans(context, lease)
    unknown = settle_unknown(context, lease)
    work = give_up_late(context, gather(context))
    if unknown.holding_up:
        said = f"{unknown.holding_up} outcome(s) unknown: settled first"
        with context.deciding(DecisionKind.PUBLISH, now=work.now) as decisions:
            decisions.note(Ruling.NOTHING, said)
        return ()
    choice = settle_overdue(work.overdue, now=work.now, tolerance=work.tolerance)
    for missed in choice.missed:
        miss(context, work, missed.slot, missed.reason)
    if context.profile.paused:
        reason = context.profile.pause_reason or "paused by the operator"
        with context.deciding(DecisionKind.PUBLISH, now=work.now) as decisions:
            decisions.note(Ruling.PAUSED, reason)
        return ()
    outcomes = _resume(context, lease, work)
    if choice.due is None or any(outcome.kind is not OutcomeKind.WAITING for outcome in outcomes):
        if not outcomes and not choice.missed:
            later = [tweet.next_attempt_at for tweet in work.open if tweet.next_attempt_at is not None]
            until = min(later, default=None)
            with context.deciding(DecisionKind.PUBLISH, now=work.now) as decisions:
                decisions.note(Ruling.NOTHING, "nothing is ready yet", until=until)
        return outcomes
    return _post_slot(context, lease, work, _ready_first(context, choice.due, choice.behind))


def _ready_first(context: ProfileContext, due: Slot, behind: Sequence[Slot]) -> Slot:
    """The first slot whose draft is there and approved, so that a hanging model holds no other up.

    Returns:
        `due` where none is ready: what it waits for is what a tick says.
    """
    if not behind:
        return due
    with context.database.transaction() as tx:
        for slot in (due, *behind):
            tweet = tx.tweets.of_slot(slot.id)
            if tweet is not None and tweet.status is not TweetStatus.AWAITING_APPROVAL:
                return slot
    return due


def _resume(context: ProfileContext, lease: Lease, work: OpenWork) -> Sequence[Outcome]:
    """Goes on with what was tried before, and with threads at the part where they stopped."""
    if context.profile.mode is Mode.DRY_RUN:
        return []
    outcomes: list[Outcome] = []
    for tweet in work.open:
        if _ended(context, tweet) or not _ready(context, tweet):
            continue
        if outcomes and tweet.part == 1 and tweet.intent_at is None:
            break  # queued texts go in their order, one a tick
        outcomes += publish_thread(context, lease, tweet, spaced=tweet.part == 1)
        if outcomes[-1].kind is OutcomeKind.UNKNOWN:
            break
    return outcomes


def _post_slot(context: ProfileContext, lease: Lease, work: OpenWork, slot: Slot) -> Sequence[Outcome]:
    with context.database.transaction() as tx:
        tweet = tx.tweets.of_slot(slot.id)
    if tweet is None:
        # Writing may take minutes, and is another job's.
        with context.deciding(DecisionKind.PUBLISH) as decisions:
            decisions.note(Ruling.NOTHING, "no draft is ready yet", about=slot)
        return ()
    if context.profile.mode is Mode.DRY_RUN:
        return (_dry_run_slot(context, slot, tweet),)
    if context.profile.mode is Mode.REVIEW and tweet.status is TweetStatus.DRAFTED:
        # Written before the mode changed: nobody has seen it yet.
        with context.database.transaction() as tx:
            tweet = tx.tweets.save(awaiting_approval(tx.tweets.lock(tweet.id)))
    if tweet.status is TweetStatus.AWAITING_APPROVAL:
        with context.deciding(DecisionKind.PUBLISH) as decisions:
            decisions.note(Ruling.NOTHING, "the draft awaits approval", about=tweet)
        return ()
    outcomes = publish_thread(context, lease, tweet, spaced=True)
    skip_if_closed(context, work, slot, outcomes[0])
    return outcomes


def _following(context: ProfileContext, tweet: Tweet) -> Sequence[Tweet]:
    if tweet.thread_id is None:
        return ()
    with context.database.transaction() as tx:
        return following(tx, tweet)


def _next_part(context: ProfileContext, outcome: Outcome) -> Tweet | None:
    if outcome.kind is not OutcomeKind.POSTED or outcome.tweet is None:
        return None
    return next(iter(_following(context, outcome.tweet)), None)


def _ended(context: ProfileContext, tweet: Tweet) -> bool:
    """Ends a part that waits for one before it that will never be live, or is no more."""
    if tweet.status is not TweetStatus.APPROVED or tweet.part == 1:
        return False
    with context.database.transaction() as tx:
        if tx.tweets.get(tweet.id).status is not TweetStatus.APPROVED:
            return True
        if not is_broken(tx, tweet):
            return False
        failed = tx.tweets.save(broken_off(tx.tweets.lock(tweet.id)))
        break_thread(tx, failed)
        decisions = context.decisions(tx, DecisionKind.PUBLISH)
        decisions.note(Ruling.FAILED, "a part before it is gone", about=failed)
    return True


def _ready(context: ProfileContext, tweet: Tweet) -> bool:
    """Whether an approved tweet that was tried before, or a thread's next part, goes now."""
    if tweet.status is not TweetStatus.APPROVED:
        return False
    if tweet.next_attempt_at is not None and tweet.next_attempt_at > context.clock.now():
        return False
    if tweet.part == 1:
        return True
    with context.database.transaction() as tx:
        replied = before(tx, tweet)
    return replied is not None and replied.status is TweetStatus.POSTED


def _dry_run_slot(context: ProfileContext, slot: Slot, tweet: Tweet) -> Outcome:
    with context.database.transaction() as tx:
        move_slot(tx, slot.id, SlotStatus.SKIPPED, reason="dry_run")
        return dry_run(context, tx, tweet, spaced=True)

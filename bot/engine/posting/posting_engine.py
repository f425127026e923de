"""The engine: what the worker's jobs and the commands call. Each method gathers, decides, acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import BotError, LeaseLost
from bot.core.model import Lease, Profile, Slot, Tweet
from bot.core.posting.lifecycle import awaiting_approval
from bot.core.posting.schedule import settle_overdue
from bot.core.states import Mode, SlotStatus, TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.decisions import About
from bot.engine.leasing import leased
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.open_work import OpenWork, gather, give_up_late, miss, skip_if_closed
from bot.engine.posting.publishing import dry_run, publish_thread
from bot.engine.posting.reconciling import Unsettled, find_orphans, settle_unknown, unsettled
from bot.engine.posting.resuming import resume
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
        return _do_nothing(context, "nothing is due", now=work.now, until=work.next_due)
    with leased(context) as lease:
        if lease is None:
            return _do_nothing(context, "another worker acts for this profile", now=work.now)
        try:
            return _act_leased(context, lease)
        except LeaseLost as error:
            return _do_nothing(context, str(error))
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
            unknown, work = _take_stock(context, lease, by_hand=True)
            if not (unknown.holding_up or context.profile.paused):
                resume(context, lease, work)
        except LeaseLost:
            return None
        with context.database.transaction() as tx:
            return unsettled(tx, context.profile.id)


def _take_stock(
    context: ProfileContext, lease: Lease, *, by_hand: bool = False
) -> tuple[Unsettled, OpenWork]:
    """Settles what can be; returns what stays unknown, and what is open and not too late."""
    find_orphans(context, lease)
    unknown = settle_unknown(context, lease, by_hand=by_hand)
    return unknown, give_up_late(context, gather(context))


def _act_leased(context: ProfileContext, lease: Lease) -> Sequence[Outcome]:
    unknown, work = _take_stock(context, lease)
    if unknown.holding_up:
        return _do_nothing(context, f"{unknown.holding_up} outcome(s) unknown: settled first", now=work.now)
    choice = settle_overdue(work.overdue, now=work.now, tolerance=work.tolerance)
    for missed in choice.missed:
        miss(context, work, missed.slot, missed.reason)
    if context.profile.paused:
        return _stay_paused(context, work.now)
    outcomes = resume(context, lease, work)
    if choice.due is not None and all(one.kind is OutcomeKind.WAITING for one in outcomes):
        return _post_slot(context, lease, work, _ready_first(context, choice.due, choice.behind))
    if not (outcomes or choice.missed):
        _do_nothing(context, "nothing is ready yet", now=work.now, until=work.next_attempt)
    return outcomes


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


def _post_slot(context: ProfileContext, lease: Lease, work: OpenWork, slot: Slot) -> Sequence[Outcome]:
    with context.database.transaction() as tx:
        tweet = tx.tweets.of_slot(slot.id)
    if tweet is None:
        # Writing may take minutes, and is another job's.
        return _do_nothing(context, "no draft is ready yet", about=slot)
    if context.profile.mode is Mode.DRY_RUN:
        return (_dry_run_slot(context, slot, tweet),)
    if context.profile.mode is Mode.REVIEW and tweet.status is TweetStatus.DRAFTED:
        tweet = _hand_in_for_review(context, tweet)
    if tweet.status is TweetStatus.AWAITING_APPROVAL:
        return _do_nothing(context, "the draft awaits approval", about=tweet)
    outcomes = publish_thread(context, lease, tweet, spaced=True)
    skip_if_closed(context, work, slot, outcomes[0])
    return outcomes


def _hand_in_for_review(context: ProfileContext, tweet: Tweet) -> Tweet:
    """Queues a draft for approval that was written before the mode changed: nobody has seen it yet."""
    with context.database.transaction() as tx:
        return tx.tweets.save(awaiting_approval(tx.tweets.lock(tweet.id)))


def _dry_run_slot(context: ProfileContext, slot: Slot, tweet: Tweet) -> Outcome:
    with context.database.transaction() as tx:
        move_slot(tx, slot.id, SlotStatus.SKIPPED, reason="dry_run")
        return dry_run(context, tx, tweet, spaced=True)


def _stay_paused(context: ProfileContext, now: datetime) -> Sequence[Outcome]:
    with context.deciding(DecisionKind.PUBLISH, now=now) as decisions:
        decisions.note(Ruling.PAUSED, context.profile.pause_reason or "paused by the operator")
    return ()


def _do_nothing(
    context: ProfileContext,
    reason: str,
    *,
    now: datetime | None = None,
    about: About = None,
    until: datetime | None = None,
) -> Sequence[Outcome]:
    """Says why a tick does nothing."""
    with context.deciding(DecisionKind.PUBLISH, now=now) as decisions:
        decisions.note(Ruling.NOTHING, reason, about=about, until=until)
    return ()

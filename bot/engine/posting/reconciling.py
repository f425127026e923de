"""Reconcile: what is unknown is read from the account's own timeline, and settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import Lease, ProfileId, Timeline, Tweet
from bot.core.posting.lifecycle import look_put_off, orphaned
from bot.core.posting.settling import covers, holds_up, is_due, is_unseen, pause_after
from bot.core.states import CallState, TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.posting.looks import Look
from bot.engine.spending.paid_reads import buy_timeline
from bot.ports import Transaction

# How many posts a read asks for, and how many when those don't reach back far enough.
PAGES = (10, 30, 100, 300, 800)


def find_orphans(context: ProfileContext, lease: Lease) -> int:
    """Marks intents without an outcome unknown; call it while holding the lease.

    Whoever holds the lease is the only one who acts, so a tweet that is still `publishing` belongs
    to a process that crashed, lost its lease, or could not save what it heard.
    """
    with context.database.transaction() as tx:
        tx.leases.check(lease)
        orphans = tx.tweets.with_status(context.profile.id, TweetStatus.PUBLISHING)
        for tweet in orphans:
            _mark_orphan(context, tx, tweet)
        long_ago = context.clock.now() - context.settings.lease_time
        for call in tx.ledger.orphans(context.profile.id, before=long_ago):
            # A read or a draft that nobody waits for any more: it may have been made, so it counts.
            tx.ledger.change(call.id, CallState.UNKNOWN, note="its process ended before the answer")
    return len(orphans)


def _mark_orphan(context: ProfileContext, tx: Transaction, tweet: Tweet) -> None:
    """Marks one tweet unknown, and the calls made for it."""
    tx.tweets.save(orphaned(tx.tweets.lock(tweet.id)))
    for call in tx.ledger.of_tweet(tweet.id):
        if call.state is CallState.RESERVED:
            tx.ledger.change(call.id, CallState.UNKNOWN)
    decisions = context.decisions(tx, DecisionKind.RECONCILE)
    decisions.note(Ruling.UNKNOWN, "its process ended before the outcome was saved", about=tweet)
    context.log.warning("orphan_found", tweet=str(tweet.id))


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsettled:
    """How many tweets stay unknown, and how many of them keep new ones waiting."""

    tweets: int
    holding_up: int


def unsettled(tx: Transaction, profile_id: ProfileId) -> Unsettled:
    """Counts what is unknown now."""
    unknown = tx.tweets.with_status(profile_id, TweetStatus.UNKNOWN)
    return Unsettled(tweets=len(unknown), holding_up=sum(holds_up(tweet) for tweet in unknown))


def settle_unknown(context: ProfileContext, lease: Lease, *, by_hand: bool = False) -> Unsettled:
    """Looks the unknown tweets up that are due for a look; returns what stays unknown.

    Call it while holding the lease. One read of the timeline serves them all. A person who asks
    does not wait for looks that were put off for longer than X's delay.
    """
    now = context.clock.now()
    with context.database.transaction() as tx:
        unknown = list(tx.tweets.with_status(context.profile.id, TweetStatus.UNKNOWN))
    delay = context.settings.settle_delay
    due = [tweet for tweet in unknown if is_due(tweet, now=now, delay=delay, by_hand=by_hand)]
    if due and context.profile.x_user_id is not None:
        due = _put_looks_off(context, lease, due, by_hand=by_hand)
        timeline = _read_far_enough(context, due) if due else None
        for tweet in due:
            _settle_tweet(context, lease, tweet, timeline)
    if not unknown:
        return Unsettled(tweets=0, holding_up=0)
    with context.database.transaction() as tx:
        return unsettled(tx, context.profile.id)


def _put_looks_off(
    context: ProfileContext, lease: Lease, due: Sequence[Tweet], *, by_hand: bool
) -> list[Tweet]:
    """Puts the next look off before this one is made, in case nothing comes of it.

    Returns:
        The tweets as they are now, without those that have been settled meanwhile.
    """
    now, delay = context.clock.now(), context.settings.settle_delay
    put_off = []
    with context.database.transaction() as tx:
        tx.leases.check(lease)
        for seen in due:
            tweet = tx.tweets.lock(seen.id)
            if tweet.status is not TweetStatus.UNKNOWN:
                continue
            if is_unseen(tweet, now=now):
                tweet = Look(context=context, tx=tx, tweet=tweet, now=now).tell_unseen()
            pause = delay if by_hand else pause_after(tweet, now=now, delay=delay)
            put_off.append(tx.tweets.save(look_put_off(tweet, until=now + pause)))
    return put_off


def _read_far_enough(context: ProfileContext, due: Sequence[Tweet]) -> Timeline | None:
    """Reads the timeline back past the first intents, through the limits agent.

    From its top: a read of what is younger than a known id would miss a post whose id is odd.
    """
    timeline = None
    for page in PAGES:
        longer = buy_timeline(context, DecisionKind.RECONCILE, posts=page)
        if longer is None:
            break
        timeline = longer
        if not timeline.whole or all(covers(timeline, tweet) for tweet in due):
            break
    return timeline


def _settle_tweet(context: ProfileContext, lease: Lease, seen: Tweet, timeline: Timeline | None) -> None:
    """Settles one tweet from what was read, if anything was.

    The read took time: the lease is checked again, and only the very tweet that was unknown before
    the read is settled by it.
    """
    with context.database.transaction() as tx:
        tx.leases.check(lease)
        tweet = tx.tweets.lock(seen.id)
        if tweet != seen:
            return
        look = Look(context=context, tx=tx, tweet=tweet, now=context.clock.now())
        if timeline is None:
            look.end_if_over()
        else:
            look.at(timeline)

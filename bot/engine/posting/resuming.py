"""Resume: what was tried before, and threads at the part where they stopped."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import Lease, Tweet
from bot.core.posting.lifecycle import broken_off
from bot.core.states import Mode, TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.open_work import OpenWork
from bot.engine.posting.publishing import publish_thread
from bot.engine.posting.threads import before, break_thread, is_broken
from bot.ports import Transaction


def resume(context: ProfileContext, lease: Lease, work: OpenWork) -> Sequence[Outcome]:
    """Goes on with what was tried before, and with threads at the part where they stopped."""
    if context.profile.mode is Mode.DRY_RUN:
        return []
    outcomes: list[Outcome] = []
    for tweet in work.open:
        if _end_if_broken(context, tweet) or not _goes_now(context, tweet):
            continue
        if outcomes and tweet.part == 1 and tweet.intent_at is None:
            break  # queued texts go in their order, one a tick
        outcomes += publish_thread(context, lease, tweet, spaced=tweet.part == 1)
        if outcomes[-1].kind is OutcomeKind.UNKNOWN:
            break
    return outcomes


def _end_if_broken(context: ProfileContext, tweet: Tweet) -> bool:
    """Ends a part that waits for one before it that will never be live, or is no more."""
    if tweet.status is not TweetStatus.APPROVED or tweet.part == 1:
        return False
    with context.database.transaction() as tx:
        if tx.tweets.get(tweet.id).status is not TweetStatus.APPROVED:
            return True
        if not is_broken(tx, tweet):
            return False
        _end_broken(context, tx, tweet)
    return True


def _end_broken(context: ProfileContext, tx: Transaction, tweet: Tweet) -> None:
    failed = tx.tweets.save(broken_off(tx.tweets.lock(tweet.id)))
    break_thread(tx, failed)
    decisions = context.decisions(tx, DecisionKind.PUBLISH)
    decisions.note(Ruling.FAILED, "a part before it is gone", about=failed)


def _goes_now(context: ProfileContext, tweet: Tweet) -> bool:
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

"""Publish: intent, call, record. Never twice, never over a limit, never blind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.core.codes import DecisionKind, ErrorCode, Ruling
from bot.core.errors import (
    Retryable,
    ServiceError,
)
from bot.core.model import Lease, Posted, Tweet
from bot.core.posting.lifecycle import doubted, publishing, recalled
from bot.core.posting.post import post_of
from bot.core.posting.settling import is_stale
from bot.core.posting.snowflakes import newest_believed
from bot.core.spending.limits import Wait, Wanted
from bot.core.states import CallState, TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.recording import Intent, record
from bot.engine.posting.threads import before
from bot.engine.slots import claim_slot
from bot.ports import Transaction


def publish(
    context: ProfileContext, lease: Lease, tweet: Tweet, *, spaced: bool, following: Sequence[str] = ()
) -> Outcome:
    """Publishes one tweet that may go out.

    Args:
        context: whose tweet it is.
        lease: the right to act, checked again in the transaction that writes the intent.
        tweet: a drafted or approved row.
        spaced: whether spacing and pace bind it, as they do everything but a person's wish.
        following: texts of the parts after it: a thread starts only when all of it fits and is paid.

    Raises:
        UsageUnreadable, DatabaseUnavailable, LeaseLost, PriceUnknown: nothing was sent.
    """
    intent = _write_intent(context, lease, tweet, spaced=spaced, following=following)
    if isinstance(intent, Outcome):
        return intent
    answer = call(context, intent)
    return record(context, intent, answer)


def dry_run(context: ProfileContext, tx: Transaction, tweet: Tweet, *, spaced: bool) -> Outcome:
    """Says what would become of a tweet, and leaves it as it is."""
    now = context.clock.now()
    wanted = context.limits.want_post(tx, tweet.text, spaced=spaced)
    verdict = context.limits.judge(tx, context.profile.id, wanted, now)
    context.decisions(tx, DecisionKind.PUBLISH, now=now).would(verdict, about=tweet)
    context.log.info("dry_run", tweet=str(tweet.id), text=tweet.text)
    return Outcome(
        kind=OutcomeKind.DRY_RUN, reason=verdict.verdict, detail=verdict.reason, tweet=tweet, verdict=verdict
    )


def _write_intent(
    context: ProfileContext, lease: Lease, tweet: Tweet, *, spaced: bool, following: Sequence[str]
) -> Intent | Outcome:
    with context.database.transaction() as tx:
        tx.ledger.lock()
        now = context.clock.now()
        tx.leases.check(lease)
        thread = context.limits.want_post(tx, tweet.text, *following, spaced=spaced)
        verdict = context.limits.judge(tx, context.profile.id, thread, now)
        context.decisions(tx, DecisionKind.PUBLISH, now=now).weighed(verdict, about=tweet)
        if isinstance(verdict, Wait):
            return _waiting(context, tweet, verdict)
        wanted = context.limits.want_post(tx, tweet.text, spaced=spaced)
        tweet = tx.tweets.lock(tweet.id)
        if is_stale(tweet, now=now, delay=context.settings.settle_delay):
            return _doubt(context, tx, tweet, wanted=wanted, now=now)
        replied = before(tx, tweet)
        return Intent(
            lease=lease,
            tweet=_intend(tx, lease, tweet, now=now),
            call=context.limits.reserve(
                tx, wanted, profile_id=context.profile.id, now=now, tweet_id=tweet.id
            ),
            verdict=verdict,
            post=post_of(tweet, reply_to=replied.x_tweet_id if replied else None),
            queued=tweet.status is TweetStatus.APPROVED,
        )


def _waiting(context: ProfileContext, tweet: Tweet, verdict: Wait) -> Outcome:
    context.log.info("post_waits", limit=verdict.limit, until=verdict.until, tweet=str(tweet.id))
    return Outcome(
        kind=OutcomeKind.WAITING, reason=verdict.limit, detail=verdict.reason, tweet=tweet, verdict=verdict
    )


def _intend(tx: Transaction, lease: Lease, tweet: Tweet, *, now: datetime) -> Tweet:
    """Marks the locked tweet as being sent, and its slot as taken."""
    after_x_id = None
    if tweet.first_intent_at is None:
        after_x_id = newest_believed(tx.sending.last_known(tweet.profile_id))
    sending = tx.tweets.save(publishing(tweet, fencing=lease.fencing, after_x_id=after_x_id, now=now))
    claim_slot(tx, tweet)
    return sending


def call(context: ProfileContext, intent: Intent) -> Posted | ServiceError:
    """Sends what is intended, once; an error is an answer."""
    # A process that was paused since its intent may have lost its lease; what it knows is stale,
    # and not calling is always safe.
    if context.clock.monotonic() + context.settings.call_time.total_seconds() > intent.lease.ends:
        return Retryable("the lease ran too short to make the call", code=ErrorCode.LEASE_SHORT)
    try:
        return context.x.create_post(intent.post)
    except ServiceError as error:
        return error


def _doubt(
    context: ProfileContext, tx: Transaction, tweet: Tweet, *, wanted: Wanted, now: datetime
) -> Outcome:
    """Makes a locked tweet unknown again whose absence was proven too long ago to resend it on that word."""
    # It stands for the call that was made then, if it reached X after all.
    called_at = tweet.intent_at or now
    call = context.limits.reserve(tx, wanted, profile_id=context.profile.id, now=called_at, tweet_id=tweet.id)
    tx.ledger.change(call.id, CallState.UNKNOWN)
    claim_slot(tx, tweet)
    row = tx.tweets.save(doubted(tx.tweets.save(recalled(tweet))))
    reason = "its absence was proven a while ago: it is looked for again before it is resent"
    context.decisions(tx, DecisionKind.PUBLISH, now=now).note(Ruling.UNKNOWN, reason, about=tweet)
    return Outcome(kind=OutcomeKind.UNKNOWN, reason="unsettled", detail=reason, tweet=row)

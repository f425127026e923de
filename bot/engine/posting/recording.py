"""Record: what X answered, saved in one transaction, whoever hears it and however late."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.codes import DecisionKind, ErrorCode, Ruling
from bot.core.errors import (
    DatabaseUnavailable,
    IdTaken,
    OutcomeUnknown,
    Retryable,
    ServiceError,
)
from bot.core.model import Call, CallId, Lease, Posted, Tweet
from bot.core.posting import lifecycle
from bot.core.posting.post import Post
from bot.core.posting.retrying import backoff, may_try_again
from bot.core.posting.settling import DUPLICATE
from bot.core.spending.limits import CREATE_POST, Verdict
from bot.core.states import CallState, SlotStatus, TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.threads import break_thread, open_next_part
from bot.engine.slots import finish_slot
from bot.ports import Transaction

# Until X opens again, the post waits.
_CLOSES = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.USAGE_CAPPED, ErrorCode.CREDITS_DEPLETED})
_FIX_ID = "the post is looked for on the timeline; check that X_API_BASE_URL leads to X"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What was committed before the call: from here on the post may exist."""

    lease: Lease
    tweet: Tweet
    call: Call
    verdict: Verdict
    post: Post
    queued: bool = False


def record(context: ProfileContext, intent: Intent, answer: Posted | ServiceError) -> Outcome:
    """Saves the outcome, trying for a while: X's yes must not be lost to a short database outage."""
    give_up = context.clock.now() + context.settings.record_time
    pause = 0.2
    while True:
        try:
            with context.database.transaction() as tx:
                return _save(context, tx, intent, answer)
        except IdTaken as error:
            # X's yes names a post that is known already: which one it made now, the timeline tells.
            answer = OutcomeUnknown(f"X said yes, but {error}", code=error.code, fix=_FIX_ID)
        except DatabaseUnavailable as error:
            context.log.warning("outcome_not_saved", tweet=str(intent.tweet.id), error=str(error))
            if context.clock.now() >= give_up:
                return Outcome(
                    kind=OutcomeKind.UNKNOWN,
                    reason="record_failed",
                    detail="the database went away before the outcome was saved; "
                    "it is read from the timeline and saved as soon as the database is back",
                    tweet=intent.tweet,
                    verdict=intent.verdict,
                    cost_usd=intent.call.cost_usd,
                )
            context.clock.wait(pause)
            pause = min(pause * 2, 5.0)


def _save(context: ProfileContext, tx: Transaction, intent: Intent, answer: Posted | ServiceError) -> Outcome:
    now = context.clock.now()
    drift = context.limits.keep_rates(
        tx,
        context.profile,
        CREATE_POST,
        answer,
        now=now,
    )
    for window, units in drift.items():
        context.log.warning("usage_drift", window=window, units=units, profile=context.profile.handle)
    row = tx.tweets.lock(intent.tweet.id)
    if row.status is not TweetStatus.PUBLISHING or row.fencing != intent.lease.fencing:
        return _save_late(context, tx, intent, row, answer)
    intent = replace(intent, tweet=row)
    if isinstance(answer, Posted):
        return _save_posted(context, tx, intent, answer, now)
    if isinstance(answer, OutcomeUnknown):
        return _save_unknown(context, tx, intent, answer, now)
    return _save_refusal(context, tx, intent, answer, now)


def _save_posted(
    context: ProfileContext, tx: Transaction, intent: Intent, posted: Posted, now: datetime
) -> Outcome:
    tweet = tx.tweets.save(lifecycle.posted(intent.tweet, posted.x_tweet_id, at=now))
    tx.ledger.change(intent.call.id, CallState.SETTLED)
    finish_slot(tx, tweet, SlotStatus.DONE)
    open_next_part(tx, tweet)
    context.log.info(
        "tweet_posted", tweet=str(tweet.id), x_tweet_id=posted.x_tweet_id, profile=context.profile.handle
    )
    return Outcome(
        kind=OutcomeKind.POSTED, tweet=tweet, verdict=intent.verdict, cost_usd=intent.call.cost_usd
    )


def _save_unknown(
    context: ProfileContext, tx: Transaction, intent: Intent, error: OutcomeUnknown, now: datetime
) -> Outcome:
    tweet = tx.tweets.save(lifecycle.unknown(intent.tweet, error.code))
    tx.ledger.change(intent.call.id, CallState.UNKNOWN)
    context.decisions(tx, DecisionKind.PUBLISH, now=now).note(Ruling.UNKNOWN, error.line, about=intent.tweet)
    context.log.warning("outcome_unknown", tweet=str(tweet.id), code=error.code, error=str(error))
    return Outcome(
        kind=OutcomeKind.UNKNOWN,
        reason=error.code,
        detail=error.line,
        tweet=tweet,
        verdict=intent.verdict,
        cost_usd=intent.call.cost_usd,
    )


def _save_refusal(
    context: ProfileContext, tx: Transaction, intent: Intent, error: ServiceError, now: datetime
) -> Outcome:
    tx.ledger.change(intent.call.id, CallState.RELEASED)
    again = may_try_again(intent.tweet, error, queued=intent.queued)
    tweet = _put_off(context, tx, intent, error) if again else _give_up(tx, intent, error)
    ruling = Ruling.RETRY if again else Ruling.REFUSED
    context.decisions(tx, DecisionKind.PUBLISH, now=now).note(
        ruling, error.line, about=intent.tweet, until=tweet.next_attempt_at
    )
    context.log.warning("post_refused", tweet=str(tweet.id), code=error.code, error=error.line)
    waiting = isinstance(error, Retryable) and error.code in _CLOSES
    return Outcome(
        kind=OutcomeKind.WAITING if waiting else OutcomeKind.FAILED,
        reason=error.code,
        detail=error.line,
        tweet=tweet,
        verdict=intent.verdict,
    )


def _put_off(context: ProfileContext, tx: Transaction, intent: Intent, error: ServiceError) -> Tweet:
    until = context.clock.now() + backoff(intent.tweet.attempts, rng=context.rng)
    return tx.tweets.save(lifecycle.put_off(intent.tweet, error.code, until=until))


def _give_up(tx: Transaction, intent: Intent, error: ServiceError) -> Tweet:
    tweet = tx.tweets.save(lifecycle.failed(intent.tweet, error.code))
    finish_slot(tx, tweet, SlotStatus.SKIPPED, reason=error.code)
    break_thread(tx, tweet)
    return tweet


def _save_late(
    context: ProfileContext, tx: Transaction, intent: Intent, row: Tweet, answer: Posted | ServiceError
) -> Outcome:
    """Handles an answer that comes after another worker took the tweet over.

    X's yes is the truth whoever hears it, and so is that the text is there already; anything else
    leaves the row to its present owner.
    """
    exists = isinstance(answer, Posted) or answer.code == DUPLICATE
    if exists and row.status is TweetStatus.APPROVED:
        row = _forestall_resend(context, tx, intent, row)
    if isinstance(answer, Posted):
        row = _save_late_yes(context, tx, intent, row, answer)
    elif exists and row.status is TweetStatus.UNKNOWN:
        row = tx.tweets.save(lifecycle.called_duplicate(row))
        context.decisions(tx, DecisionKind.PUBLISH).note(Ruling.UNKNOWN, answer.line, about=intent.tweet)
    context.log.warning("answer_came_late", tweet=str(row.id), status=row.status.value)
    posted = row.status is TweetStatus.POSTED
    return Outcome(
        kind=OutcomeKind.POSTED if posted else OutcomeKind.UNKNOWN,
        reason=None if posted else "taken_over",
        detail="" if posted else "another worker took the tweet over and settles it",
        tweet=row,
        verdict=intent.verdict,
        cost_usd=intent.call.cost_usd,
    )


def _forestall_resend(context: ProfileContext, tx: Transaction, intent: Intent, row: Tweet) -> Tweet:
    """Takes a tweet back that was taken for absent, and was about to be sent again."""
    recalled = tx.tweets.save(lifecycle.recalled(row))
    tx.ledger.reserve(replace(intent.call, id=CallId(context.new_id()), state=CallState.UNKNOWN))
    return tx.tweets.save(lifecycle.forestalled(recalled))


def _save_late_yes(
    context: ProfileContext, tx: Transaction, intent: Intent, row: Tweet, posted: Posted
) -> Tweet:
    now = context.clock.now()
    if row.status is TweetStatus.UNKNOWN:
        row = tx.tweets.save(lifecycle.adopted(row, posted.x_tweet_id, at=now))
        for call in tx.ledger.of_tweet(row.id):
            tx.ledger.change(call.id, CallState.SETTLED)
        finish_slot(tx, row, SlotStatus.DONE)
        open_next_part(tx, row)
    elif row.x_tweet_id != posted.x_tweet_id:
        tx.ledger.reserve(replace(intent.call, id=CallId(context.new_id()), state=CallState.EXTERNAL))
        context.decisions(tx, DecisionKind.PUBLISH, now=now).note(
            Ruling.LATE, f"X made {posted.x_tweet_id} after all", about=intent.tweet
        )
    return row

"""Record: what X answered, saved in one transaction, whoever hears it and however late."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.core.errors import (
    DatabaseUnavailable,
    Fatal,
    IdTaken,
    OutcomeUnknown,
    Refused,
    Retryable,
    ServiceError,
)
from bot.core.limits import CREATE_POST, Verdict
from bot.core.model import Call, CallId, DecisionRecord, Lease, Posted, Profile, Tweet
from bot.core.settling import DUPLICATE
from bot.core.states import CallState, Origin, SlotStatus, TweetStatus
from bot.engine.noting import noted
from bot.engine.parts import Outcome, OutcomeKind, Parts
from bot.ports import Transaction

RETRY_FIRST = timedelta(seconds=5)
RETRY_LONGEST = timedelta(minutes=10)
MAX_ATTEMPTS = 8
_FIX_ID = "the post is looked for on the timeline; check that X_API_BASE_URL leads to X"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What was committed before the call: from here on the post may exist."""

    profile: Profile
    lease: Lease
    tweet: Tweet
    call: Call
    verdict: Verdict
    reply_to: str | None
    queued: bool = False


def record(parts: Parts, intent: Intent, answer: Posted | ServiceError) -> Outcome:
    """Saves the outcome, trying for a while: X's yes must not be lost to a short database outage."""
    give_up = parts.clock.now() + parts.settings.record_time
    pause = 0.2
    while True:
        try:
            with parts.database.transaction() as tx:
                return _save(parts, tx, intent, answer)
        except IdTaken as error:
            # X's yes names a post that is known already: which one it made now, the timeline tells.
            answer = OutcomeUnknown(f"X said yes, but {error}", code=error.code, fix=_FIX_ID)
        except DatabaseUnavailable as error:
            parts.log.warning("outcome_not_saved", tweet=str(intent.tweet.id), error=str(error))
            if parts.clock.now() >= give_up:
                return Outcome(
                    kind=OutcomeKind.UNKNOWN,
                    reason="record_failed",
                    detail="the database went away before the outcome was saved; "
                    "it is read from the timeline and saved as soon as the database is back",
                    tweet=intent.tweet,
                    verdict=intent.verdict,
                    cost_usd=intent.call.cost_usd,
                )
            parts.clock.wait(pause)
            pause = min(pause * 2, 5.0)


def _save(parts: Parts, tx: Transaction, intent: Intent, answer: Posted | ServiceError) -> Outcome:
    now = parts.clock.now()
    drift = parts.limits.learn(
        tx,
        intent.profile,
        CREATE_POST,
        answer if isinstance(answer, ServiceError) else answer.rates,
        now=now,
    )
    for window, units in drift.items():
        parts.log.warning("usage_drift", window=window, units=units, profile=intent.profile.handle)
    row = tx.tweets.get(intent.tweet.id)
    if row.status is not TweetStatus.PUBLISHING or row.fencing != intent.lease.fencing:
        return _save_late(parts, tx, intent, row, answer)
    if isinstance(answer, Posted):
        return _save_posted(parts, tx, intent, answer, now)
    if isinstance(answer, OutcomeUnknown):
        return _save_unknown(parts, tx, intent, answer, now)
    return _save_refusal(parts, tx, intent, answer, now)


def _save_posted(parts: Parts, tx: Transaction, intent: Intent, posted: Posted, now: datetime) -> Outcome:
    tweet = tx.tweets.change(intent.tweet.id, TweetStatus.POSTED, x_tweet_id=posted.x_tweet_id, posted_at=now)
    tx.ledger.change(intent.call.id, CallState.SETTLED)
    finish_slot(tx, tweet, SlotStatus.DONE)
    open_next_part(tx, tweet)
    parts.log.info(
        "tweet_posted", tweet=str(tweet.id), x_tweet_id=posted.x_tweet_id, profile=intent.profile.handle
    )
    return Outcome(
        kind=OutcomeKind.POSTED, tweet=tweet, verdict=intent.verdict, cost_usd=intent.call.cost_usd
    )


def _save_unknown(
    parts: Parts, tx: Transaction, intent: Intent, error: OutcomeUnknown, now: datetime
) -> Outcome:
    tweet = tx.tweets.change(intent.tweet.id, TweetStatus.UNKNOWN, reason=error.code)
    tx.ledger.change(intent.call.id, CallState.UNKNOWN)
    tx.decisions.record(_note(now, intent, "unknown", error.line))
    parts.log.warning("outcome_unknown", tweet=str(tweet.id), code=error.code, error=str(error))
    return Outcome(
        kind=OutcomeKind.UNKNOWN,
        reason=error.code,
        detail=error.line,
        tweet=tweet,
        verdict=intent.verdict,
        cost_usd=intent.call.cost_usd,
    )


def _save_refusal(
    parts: Parts, tx: Transaction, intent: Intent, error: ServiceError, now: datetime
) -> Outcome:
    tx.ledger.change(intent.call.id, CallState.RELEASED)
    if may_try_again(intent.tweet, error, queued=intent.queued):
        again = now + backoff(parts, intent.tweet.attempts)
        # A call that was not even made is no attempt.
        attempts = intent.tweet.attempts - (error.code == "lease_short")
        tweet = tx.tweets.change(
            intent.tweet.id,
            TweetStatus.APPROVED,
            next_attempt_at=again,
            attempts=max(1, attempts),
            reason=error.code,
            # That it was absent was fresh when this call was about to be made, and X made nothing of it.
            looked_at=intent.tweet.intent_at,
        )
        verdict = "retry"
    else:
        tweet = tx.tweets.change(intent.tweet.id, TweetStatus.FAILED, reason=error.code)
        finish_slot(tx, tweet, SlotStatus.SKIPPED, reason=error.code)
        break_thread(tx, tweet)
        verdict = "refused"
    tx.decisions.record(_note(now, intent, verdict, error.line, until=tweet.next_attempt_at))
    parts.log.warning("post_refused", tweet=str(tweet.id), code=error.code, error=error.line)
    waiting = isinstance(error, Retryable) and error.code in {
        "rate_limited",
        "usage_capped",
        "credits_depleted",
    }
    return Outcome(
        kind=OutcomeKind.WAITING if waiting else OutcomeKind.FAILED,
        reason=error.code,
        detail=error.line,
        tweet=tweet,
        verdict=intent.verdict,
    )


def _save_late(
    parts: Parts, tx: Transaction, intent: Intent, row: Tweet, answer: Posted | ServiceError
) -> Outcome:
    """Handles an answer that comes after another worker took the tweet over.

    X's yes is the truth whoever hears it, and so is that the text is there already; anything else
    leaves the row to its present owner.
    """
    now = parts.clock.now()
    exists = isinstance(answer, Posted) or answer.code == DUPLICATE
    if exists and row.status is TweetStatus.APPROVED:
        # It was taken for absent and is about to be sent again: this answer forestalls that.
        row = tx.tweets.change(row.id, TweetStatus.PUBLISHING)
        row = tx.tweets.change(row.id, TweetStatus.UNKNOWN, next_attempt_at=None, looked_at=None)
        tx.ledger.reserve(replace(intent.call, id=CallId(parts.new_id()), state=CallState.UNKNOWN))
    if isinstance(answer, OutcomeUnknown) and exists and row.status is TweetStatus.UNKNOWN:
        row = tx.tweets.note(row.id, reason=DUPLICATE)
        tx.decisions.record(_note(now, intent, "unknown", answer.line))
    if isinstance(answer, Posted) and row.status is TweetStatus.UNKNOWN:
        row = tx.tweets.change(
            row.id, TweetStatus.POSTED, x_tweet_id=answer.x_tweet_id, posted_at=now, reason="adopted"
        )
        for call in tx.ledger.of_tweet(row.id):
            tx.ledger.change(call.id, CallState.SETTLED)
        finish_slot(tx, row, SlotStatus.DONE)
        open_next_part(tx, row)
    elif isinstance(answer, Posted) and row.x_tweet_id != answer.x_tweet_id:
        tx.ledger.reserve(replace(intent.call, id=CallId(parts.new_id()), state=CallState.EXTERNAL))
        tx.decisions.record(_note(now, intent, "late", f"X made {answer.x_tweet_id} after all"))
    parts.log.warning("answer_came_late", tweet=str(row.id), status=row.status.value)
    posted = row.status is TweetStatus.POSTED
    return Outcome(
        kind=OutcomeKind.POSTED if posted else OutcomeKind.UNKNOWN,
        reason=None if posted else "taken_over",
        detail="" if posted else "another worker took the tweet over and settles it",
        tweet=row,
        verdict=intent.verdict,
        cost_usd=intent.call.cost_usd,
    )


def may_try_again(tweet: Tweet, error: ServiceError, *, queued: bool = False) -> bool:
    """Whether a definite refusal leads to another call later.

    A person's wish is not repeated behind their back, unless they queued it or it is being resent
    after an unknown outcome. Wrong keys and spent credits pass once an operator mends them.
    """
    if isinstance(error, Refused) or tweet.attempts >= MAX_ATTEMPTS:
        return False
    if tweet.origin is Origin.MANUAL and tweet.part == 1 and not (queued or tweet.resends):
        return False
    return isinstance(error, (Retryable, Fatal))


def backoff(parts: Parts, attempts: int) -> timedelta:
    """Doubles with each attempt, with jitter so that many workers don't knock together."""
    longest = min(RETRY_FIRST * 2 ** max(0, attempts - 1), RETRY_LONGEST)
    return timedelta(seconds=longest.total_seconds() * parts.rng.uniform(0.5, 1.0))


def finish_slot(tx: Transaction, tweet: Tweet, status: SlotStatus, *, reason: str | None = None) -> None:
    """Closes the slot of a thread's root; replies don't change it."""
    if tweet.slot_id is not None and tweet.part == 1:
        tx.slots.move(tweet.slot_id, status, reason=reason)


def open_next_part(tx: Transaction, tweet: Tweet) -> None:
    """Lets the part after a live one go: from here on the thread is resumed at that part."""
    if tweet.thread_id is None:
        return
    for part in tx.tweets.parts(tweet.thread_id):
        if part.part == tweet.part + 1 and part.status is TweetStatus.DRAFTED:
            tx.tweets.change(part.id, TweetStatus.APPROVED)


def break_thread(tx: Transaction, tweet: Tweet) -> None:
    """Gives up the parts after one that will never be live."""
    if tweet.thread_id is None:
        return
    for part in tx.tweets.parts(tweet.thread_id):
        if part.part > tweet.part and part.status in {TweetStatus.DRAFTED, TweetStatus.APPROVED}:
            end = TweetStatus.FAILED if part.status is TweetStatus.APPROVED else TweetStatus.REJECTED
            tx.tweets.change(part.id, end, reason="thread_broken")


def _note(
    now: datetime, intent: Intent, verdict: str, reason: str, *, until: datetime | None = None
) -> DecisionRecord:
    return noted(
        verdict, reason, now=now, kind="publish", profile=intent.profile, tweet=intent.tweet, until=until
    )

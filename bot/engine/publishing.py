"""Publish: intent, call, record. Never twice, never over a limit, never blind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.core.errors import (
    Retryable,
    ServiceError,
)
from bot.core.limits import Wait, Wanted
from bot.core.model import Lease, Posted, Profile, Tweet
from bot.core.settling import is_stale
from bot.core.snowflakes import newest_believed
from bot.core.states import CallState, SlotStatus, TweetStatus
from bot.engine.noting import noted, weighed
from bot.engine.parts import Outcome, OutcomeKind, Parts
from bot.engine.recording import Intent, record
from bot.ports import Transaction

# Of so many of the newest posts at most the ids are doubted.
KNOWN_IDS = 3


def publish(
    parts: Parts, profile: Profile, lease: Lease, tweet: Tweet, *, spaced: bool, following: Sequence[str] = ()
) -> Outcome:
    """Publishes one tweet that may go out.

    Args:
        parts: what the engine works with.
        profile: whose tweet it is.
        lease: the right to act, checked again in the transaction that writes the intent.
        tweet: a drafted or approved row.
        spaced: whether spacing and pace bind it, as they do everything but a person's wish.
        following: texts of the parts after it: a thread starts only when all of it fits and is paid.

    Raises:
        UsageUnreadable, DatabaseUnavailable, LeaseLost, PriceUnknown: nothing was sent.
    """
    intent = _write_intent(parts, profile, lease, tweet, spaced=spaced, following=following)
    if isinstance(intent, Outcome):
        return intent
    answer = _call(parts, intent)
    return record(parts, intent, answer)


def _write_intent(
    parts: Parts, profile: Profile, lease: Lease, tweet: Tweet, *, spaced: bool, following: Sequence[str]
) -> Intent | Outcome:
    with parts.database.transaction() as tx:
        tx.ledger.lock()
        now = parts.clock.now()
        tx.leases.check(lease)
        verdict = parts.limits.judge(
            tx, profile.id, parts.limits.want_post(tx, tweet.text, *following, spaced=spaced), now
        )
        tx.decisions.record(
            weighed(
                verdict, now=now, kind="publish", profile=profile, slot_id=tweet.slot_id, tweet_id=tweet.id
            )
        )
        if isinstance(verdict, Wait):
            parts.log.info("post_waits", limit=verdict.limit, until=verdict.until, tweet=str(tweet.id))
            return Outcome(
                kind=OutcomeKind.WAITING,
                reason=verdict.limit,
                detail=verdict.reason,
                tweet=tweet,
                verdict=verdict,
            )
        wanted = parts.limits.want_post(tx, tweet.text, spaced=spaced)
        if is_stale(tweet, now=now, delay=parts.settings.settle_delay):
            return _doubt(parts, tx, profile, tweet, wanted=wanted, now=now)
        sending = tx.tweets.change(
            tweet.id,
            TweetStatus.PUBLISHING,
            first_intent_at=tweet.first_intent_at or now,
            after_x_id=tweet.after_x_id
            if tweet.first_intent_at
            else newest_believed(tx.tweets.last_known(profile.id, limit=KNOWN_IDS)),
            intent_at=now,
            fencing=lease.fencing,
            attempts=tweet.attempts + 1,
            absent_reads=0,
            vain_reads=0,
            looked_at=None,
            next_attempt_at=None,
            reason=None,
        )
        _claim_slot(tx, tweet)
        call = parts.limits.reserve(tx, wanted, profile_id=profile.id, now=now, tweet_id=tweet.id)
        return Intent(
            profile=profile,
            lease=lease,
            tweet=sending,
            call=call,
            verdict=verdict,
            reply_to=_reply_to(tx, tweet),
            queued=tweet.status is TweetStatus.APPROVED,
        )


def _call(parts: Parts, intent: Intent) -> Posted | ServiceError:
    # A process that was paused since its intent may have lost its lease; what it knows is stale,
    # and not calling is always safe.
    if parts.clock.monotonic() + parts.settings.call_time.total_seconds() > intent.lease.ends:
        return Retryable("the lease ran too short to make the call", code="lease_short")
    try:
        return parts.x.create_post(intent.tweet.text, reply_to=intent.reply_to)
    except ServiceError as error:
        return error


def _doubt(
    parts: Parts, tx: Transaction, profile: Profile, tweet: Tweet, *, wanted: Wanted, now: datetime
) -> Outcome:
    """Makes a tweet unknown again whose absence was proven too long ago to resend it on that word."""
    # It stands for the call that was made then, if it reached X after all.
    called_at = tweet.intent_at or now
    call = parts.limits.reserve(tx, wanted, profile_id=profile.id, now=called_at, tweet_id=tweet.id)
    tx.ledger.change(call.id, CallState.UNKNOWN)
    _claim_slot(tx, tweet)
    tx.tweets.change(tweet.id, TweetStatus.PUBLISHING)
    doubted = tx.tweets.change(
        tweet.id,
        TweetStatus.UNKNOWN,
        resends=tweet.resends - 1,
        absent_reads=0,
        vain_reads=0,
        looked_at=None,
        next_attempt_at=None,
        reason="absent_long_ago",
    )
    reason = "its absence was proven a while ago: it is looked for again before it is resent"
    tx.decisions.record(noted("unknown", reason, now=now, kind="publish", profile=profile, tweet=tweet))
    return Outcome(kind=OutcomeKind.UNKNOWN, reason="unsettled", detail=reason, tweet=doubted)


def _claim_slot(tx: Transaction, tweet: Tweet) -> None:
    if tweet.slot_id is None or tweet.part > 1:
        return
    if any(slot.id == tweet.slot_id for slot in tx.slots.claimed(tweet.profile_id)):
        return
    tx.slots.move(tweet.slot_id, SlotStatus.CLAIMED)


def _reply_to(tx: Transaction, tweet: Tweet) -> str | None:
    if tweet.thread_id is None or tweet.part == 1:
        return None
    before = next(part for part in tx.tweets.parts(tweet.thread_id) if part.part == tweet.part - 1)
    return before.x_tweet_id

"""Publish: intent, call, record. Never twice, never over a limit, never blind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.codes import DecisionKind, ErrorCode, Ruling
from bot.core.errors import Retryable, ServiceError
from bot.core.model import Call, Lease, Posted, Tweet
from bot.core.posting.lifecycle import doubted, publishing, recalled
from bot.core.posting.post import post_of
from bot.core.posting.settling import is_stale
from bot.core.posting.snowflakes import newest_believed
from bot.core.spending.limits import Verdict, Wait, Wanted
from bot.core.states import CallState, TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.recording import Intent, record
from bot.engine.posting.threads import before, following
from bot.engine.posting.wishes import turned_down
from bot.engine.slots import claim_slot
from bot.ports import Transaction

# What a person made of a text since it was read to be sent.
_CHANGED = frozenset({TweetStatus.AWAITING_APPROVAL, TweetStatus.REJECTED})


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
    with context.database.transaction() as tx:
        refusal = turned_down(context, tx, tweet, following)
        if refusal is not None:
            return refusal
        tx.ledger.lock()
        writer = _IntentWriter(context=context, tx=tx, lease=lease, now=context.clock.now())
        intent = writer.intend(tweet, spaced=spaced, following=following)
    if isinstance(intent, Outcome):
        return intent
    return record(context, intent, call(context, intent))


def publish_thread(context: ProfileContext, lease: Lease, tweet: Tweet, *, spaced: bool) -> Sequence[Outcome]:
    """Publishes a tweet and, when it is a thread's root, the parts that follow it."""
    texts = tuple(part.text for part in _parts_after(context, tweet))
    outcomes = [publish(context, lease, tweet, spaced=spaced, following=texts)]
    while (part := _next_part(context, outcomes[-1])) is not None:
        outcomes.append(publish(context, lease, part, spaced=False))
    return outcomes


def _parts_after(context: ProfileContext, tweet: Tweet) -> Sequence[Tweet]:
    if tweet.thread_id is None:
        return ()
    with context.database.transaction() as tx:
        return following(tx, tweet)


def _next_part(context: ProfileContext, outcome: Outcome) -> Tweet | None:
    if outcome.kind is not OutcomeKind.POSTED or outcome.tweet is None:
        return None
    return next(iter(_parts_after(context, outcome.tweet)), None)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _IntentWriter:
    """The transaction in which one post is weighed and intended, under the ledger's lock."""

    context: ProfileContext
    tx: Transaction
    lease: Lease
    now: datetime

    def intend(self, tweet: Tweet, *, spaced: bool, following: Sequence[str]) -> Intent | Outcome:
        """Writes the intent, where limits allow it and all that follows it."""
        tx, limits = self.tx, self.context.limits
        tx.leases.check(self.lease)
        verdict = self._weigh(limits.want_post(tx, tweet.text, *following, spaced=spaced), tweet)
        if isinstance(verdict, Wait):
            self.context.log.info("post_waits", limit=verdict.limit, until=verdict.until, tweet=str(tweet.id))
            return Outcome.waiting(verdict, tweet=tweet)
        wanted = limits.want_post(tx, tweet.text, spaced=spaced)
        locked = tx.tweets.lock(tweet.id)
        if locked.text != tweet.text or locked.status in _CHANGED:
            reason = "it was changed while it was about to be sent"
            return Outcome(kind=OutcomeKind.WAITING, reason="changed", detail=reason, tweet=locked)
        if is_stale(locked, now=self.now, delay=self.context.settings.settle_delay):
            return self._doubt(locked, wanted)
        return self._intend_locked(locked, wanted, verdict)

    def _weigh(self, wanted: Wanted, tweet: Tweet) -> Verdict:
        verdict = self.context.limits.judge(self.tx, self.context.profile.id, wanted, self.now)
        self.context.decisions(self.tx, DecisionKind.PUBLISH, now=self.now).weighed(verdict, about=tweet)
        return verdict

    def _intend_locked(self, tweet: Tweet, wanted: Wanted, verdict: Verdict) -> Intent:
        """The intent for the locked tweet, which is marked as being sent."""
        replied = before(self.tx, tweet)
        return Intent(
            lease=self.lease,
            tweet=self._mark_publishing(tweet),
            call=self._reserve(wanted, tweet, at=self.now),
            verdict=verdict,
            post=post_of(tweet, reply_to=replied.x_tweet_id if replied else None),
            queued=tweet.status is TweetStatus.APPROVED,
        )

    def _mark_publishing(self, tweet: Tweet) -> Tweet:
        """Marks the tweet as being sent, and its slot as taken."""
        after_x_id = None
        if tweet.first_intent_at is None:
            after_x_id = newest_believed(self.tx.sending.last_known(tweet.profile_id))
        sending = publishing(tweet, fencing=self.lease.fencing, after_x_id=after_x_id, now=self.now)
        saved = self.tx.tweets.save(sending)
        claim_slot(self.tx, tweet)
        return saved

    def _doubt(self, tweet: Tweet, wanted: Wanted) -> Outcome:
        """Makes a tweet unknown again whose absence was proven too long ago to resend it on that word."""
        # It stands for the call that was made then, if it reached X after all.
        call = self._reserve(wanted, tweet, at=tweet.intent_at or self.now)
        self.tx.ledger.change(call.id, CallState.UNKNOWN)
        claim_slot(self.tx, tweet)
        row = self.tx.tweets.save(doubted(self.tx.tweets.save(recalled(tweet))))
        reason = "its absence was proven a while ago: it is looked for again before it is resent"
        decisions = self.context.decisions(self.tx, DecisionKind.PUBLISH, now=self.now)
        decisions.note(Ruling.UNKNOWN, reason, about=tweet)
        return Outcome(kind=OutcomeKind.UNKNOWN, reason="unsettled", detail=reason, tweet=row)

    def _reserve(self, wanted: Wanted, tweet: Tweet, *, at: datetime) -> Call:
        return self.context.limits.reserve(
            self.tx, wanted, profile_id=self.context.profile.id, now=at, tweet_id=tweet.id
        )

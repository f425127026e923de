"""Record: what X answered, saved in one transaction, whoever hears it and however late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Self

from bot.core.codes import DecisionKind, ErrorCode, Ruling
from bot.core.errors import DatabaseUnavailable, IdTaken, OutcomeUnknown, Retryable, ServiceError
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
_NOT_SAVED = (
    "the database went away before the outcome was saved; "
    "it is read from the timeline and saved as soon as the database is back"
)
_TAKEN_OVER = "another worker took the tweet over and settles it"
_FIX_ID = "the post is looked for on the timeline; check that X_API_BASE_URL leads to X"

Answer = Posted | ServiceError


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What was committed before the call: from here on the post may exist."""

    lease: Lease
    tweet: Tweet
    call: Call
    verdict: Verdict
    post: Post
    queued: bool = False

    def outcome(
        self, kind: OutcomeKind, tweet: Tweet, *, reason: str | None = None, detail: str = ""
    ) -> Outcome:
        """What became of it, where the call counts."""
        return Outcome(
            kind=kind,
            reason=reason,
            detail=detail,
            tweet=tweet,
            verdict=self.verdict,
            cost_usd=self.call.cost_usd,
        )


def record(context: ProfileContext, intent: Intent, answer: Answer) -> Outcome:
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
                return intent.outcome(
                    OutcomeKind.UNKNOWN, intent.tweet, reason="record_failed", detail=_NOT_SAVED
                )
            context.clock.wait(pause)
            pause = min(pause * 2, 5.0)


def tell_drift(context: ProfileContext, drift: Mapping[str, int]) -> None:
    """Warns of calls that X counts and the ledger doesn't."""
    for window, units in drift.items():
        context.log.warning("usage_drift", window=window, units=units, profile=context.profile.handle)


def tell_posted(context: ProfileContext, tweet: Tweet) -> None:
    """Says that a tweet is live."""
    context.log.info(
        "tweet_posted", tweet=str(tweet.id), x_tweet_id=tweet.x_tweet_id, profile=context.profile.handle
    )


def _save(context: ProfileContext, tx: Transaction, intent: Intent, answer: Answer) -> Outcome:
    now = context.clock.now()
    tell_drift(context, context.limits.keep_rates(tx, context.profile, CREATE_POST, answer, now=now))
    row = tx.tweets.lock(intent.tweet.id)
    recording = _Recording(context=context, tx=tx, intent=intent, row=row, now=now)
    if row.status is TweetStatus.PUBLISHING and row.fencing == intent.lease.fencing:
        return recording.save(answer)
    return recording.forestalled(answer).save_late(answer)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recording:
    """One answer to one intent, and the intent's locked row, inside one transaction."""

    context: ProfileContext
    tx: Transaction
    intent: Intent
    row: Tweet
    now: datetime

    def save(self, answer: Answer) -> Outcome:
        """Saves an answer that comes in time."""
        if isinstance(answer, Posted):
            return self._save_posted(answer)
        if isinstance(answer, OutcomeUnknown):
            return self._save_unknown(answer)
        return self._save_refusal(answer)

    def save_late(self, answer: Answer) -> Outcome:
        """Saves an answer that comes after another worker took the tweet over.

        X's yes is the truth whoever hears it, and so is that the text is there already; anything else
        leaves the row to its present owner.
        """
        row = self._save_late_yes(answer) if isinstance(answer, Posted) else self._save_late_no(answer)
        self.context.log.warning("answer_came_late", tweet=str(row.id), status=row.status.value)
        if row.status is TweetStatus.POSTED:
            return self.intent.outcome(OutcomeKind.POSTED, row)
        return self.intent.outcome(OutcomeKind.UNKNOWN, row, reason="taken_over", detail=_TAKEN_OVER)

    def _save_posted(self, posted: Posted) -> Outcome:
        tweet = self.tx.tweets.save(lifecycle.posted(self.row, posted.x_tweet_id, at=self.now))
        self.tx.ledger.change(self.intent.call.id, CallState.SETTLED)
        self._close_live(tweet)
        tell_posted(self.context, tweet)
        return self.intent.outcome(OutcomeKind.POSTED, tweet)

    def _save_unknown(self, error: OutcomeUnknown) -> Outcome:
        tweet = self.tx.tweets.save(lifecycle.unknown(self.row, error.code))
        self.tx.ledger.change(self.intent.call.id, CallState.UNKNOWN)
        self._note(Ruling.UNKNOWN, error.line)
        self.context.log.warning("outcome_unknown", tweet=str(tweet.id), code=error.code, error=str(error))
        return self.intent.outcome(OutcomeKind.UNKNOWN, tweet, reason=error.code, detail=error.line)

    def _save_refusal(self, error: ServiceError) -> Outcome:
        self.tx.ledger.change(self.intent.call.id, CallState.RELEASED)
        again = may_try_again(self.row, error, queued=self.intent.queued)
        tweet = self._put_off(error) if again else self._give_up(error)
        ruling = Ruling.RETRY if again else Ruling.REFUSED
        self._note(ruling, error.line, until=tweet.next_attempt_at)
        self.context.log.warning(
            "post_refused",
            profile=self.context.profile.handle,
            tweet=str(tweet.id),
            code=error.code,
            error=error.line,
        )
        waiting = isinstance(error, Retryable) and error.code in _CLOSES
        kind = OutcomeKind.WAITING if waiting else OutcomeKind.FAILED
        refused = self.intent.outcome(kind, tweet, reason=error.code, detail=error.line)
        return replace(refused, cost_usd=Decimal(0))

    def _put_off(self, error: ServiceError) -> Tweet:
        until = self.now + backoff(self.row.attempts, rng=self.context.rng)
        return self.tx.tweets.save(lifecycle.put_off(self.row, error.code, until=until))

    def _give_up(self, error: ServiceError) -> Tweet:
        tweet = self.tx.tweets.save(lifecycle.failed(self.row, error.code))
        finish_slot(self.tx, tweet, SlotStatus.SKIPPED, reason=error.code)
        break_thread(self.tx, tweet)
        return tweet

    def forestalled(self, answer: Answer) -> Self:
        """Takes a tweet back that was about to be sent again, where a late answer says that it exists."""
        exists = isinstance(answer, Posted) or answer.code == DUPLICATE
        if not exists or self.row.status is not TweetStatus.APPROVED:
            return self
        recalled = self.tx.tweets.save(lifecycle.recalled(self.row))
        self._book_again(CallState.UNKNOWN)
        return replace(self, row=self.tx.tweets.save(lifecycle.forestalled(recalled)))

    def _save_late_yes(self, posted: Posted) -> Tweet:
        if self.row.status is TweetStatus.UNKNOWN:
            return self._adopt(posted)
        if self.row.x_tweet_id != posted.x_tweet_id:
            self._book_again(CallState.EXTERNAL)
            self._note(Ruling.LATE, f"X made {posted.x_tweet_id} after all")
        return self.row

    def _save_late_no(self, error: ServiceError) -> Tweet:
        if error.code != DUPLICATE or self.row.status is not TweetStatus.UNKNOWN:
            return self.row
        row = self.tx.tweets.save(lifecycle.called_duplicate(self.row))
        self._note(Ruling.UNKNOWN, error.line)
        return row

    def _adopt(self, posted: Posted) -> Tweet:
        row = self.tx.tweets.save(lifecycle.adopted(self.row, posted.x_tweet_id, at=self.now))
        for call in self.tx.ledger.of_tweet(row.id):
            self.tx.ledger.change(call.id, CallState.SETTLED)
        self._close_live(row)
        return row

    def _close_live(self, tweet: Tweet) -> None:
        """Closes the tweet's slot, and lets the next part of its thread go."""
        finish_slot(self.tx, tweet, SlotStatus.DONE)
        open_next_part(self.tx, tweet)

    def _book_again(self, state: CallState) -> None:
        """Books the call once more: what stood for it stands for another one now."""
        call_id = CallId(self.context.new_id())
        self.tx.ledger.reserve(replace(self.intent.call, id=call_id, state=state))

    def _note(self, ruling: Ruling, reason: str, *, until: datetime | None = None) -> None:
        decisions = self.context.decisions(self.tx, DecisionKind.PUBLISH, now=self.now)
        decisions.note(ruling, reason, about=self.row, until=until)

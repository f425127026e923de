"""Publish in batches: profiles share transactions, not fates.

What goes out as it stands, in most cases, is claimed, weighed and intended in one transaction for all
profiles, sent on threads, and recorded in one for all that have answered. Whatever takes more than
that, an unknown outcome, a thread, a limit that is closed, is left to the profile's own tick; so is
all of a batch in which something breaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.codes import DecisionKind
from bot.core.errors import BotError, OutcomeUnknown
from bot.core.model import DecisionRecord, Made, Posted, ProfileId, Ready, Tweet, TweetId
from bot.core.posting.lifecycle import posted, publishing
from bot.core.posting.post import post_of
from bot.core.posting.snowflakes import newest_believed
from bot.core.spending.limits import CREATE_POST, Allow, Verdict, Wanted, decide
from bot.core.spending.tally import Tally
from bot.core.states import Mode
from bot.engine.context import ProfileContext, Services
from bot.engine.leasing import give_back
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.publishing import call
from bot.engine.posting.recording import Answer, Intent, record, tell_drift, tell_posted
from bot.ports import Transaction

# Answers that come within so many seconds of another are recorded together.
TOGETHER = 0.1
# So many rounds of calls are intended at most: those under way, and those that they wait for.
AHEAD = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """One post of a batch: whose it is, what was intended, and what X answered."""

    context: ProfileContext
    intent: Intent
    answer: Answer


def publish_ready(
    services: Services, contexts: Sequence[ProfileContext], calls: Executor, *, at_once: int
) -> Iterator[tuple[ProfileContext, Outcome | None]]:
    """Publishes what goes out as it stands, at most one post a profile.

    Args:
        services: what the profiles share.
        contexts: profiles with something due.
        calls: threads that X is called on.
        at_once: how many they are.

    Yields:
        Each profile as soon as its outcome is recorded; with None those that are not for a batch, or whose
        outcome can't be written: a tick says what becomes of them.
    """
    waiting = list(contexts)
    pending: set[Future[Sent]] = set()
    while waiting or pending:
        size = _next_batch(len(waiting), len(pending), at_once)
        if size:
            some, waiting = waiting[:size], waiting[size:]
            intents = _intend_all(services, some)
            yield from ((context, None) for context in some if context.profile.id not in intents)
            whose = {context.profile.id: context for context in some}
            pending |= {calls.submit(_call_x, whose[one], intent) for one, intent in intents.items()}
        elif pending:
            answered = _wait_for_answers(pending)
            pending -= answered
            for sent, outcome in _record_all(services, [future.result() for future in answered]):
                yield sent.context, outcome


def _next_batch(waiting: int, pending: int, at_once: int) -> int:
    """How many are to be intended now: so many that no thread runs out of calls while this one records.

    Nothing while there is little room, because each batch takes a transaction.
    """
    room = min(waiting, AHEAD * at_once - pending)
    return min(room, at_once) if room > at_once // 2 or room == waiting else 0


def _call_x(context: ProfileContext, intent: Intent) -> Sent:
    try:
        answer: Answer = call(context, intent)
    except Exception as error:
        # It broke on this side of X, and the post may be there.
        context.log.exception("call_broke", tweet=str(intent.tweet.id))
        answer = OutcomeUnknown(f"the call broke: {type(error).__name__}", code="call_broke")
    return Sent(context=context, intent=intent, answer=answer)


def _wait_for_answers(pending: AbstractSet[Future[Sent]]) -> AbstractSet[Future[Sent]]:
    """The calls that have ended, the first of them and those that end soon after it."""
    wait(pending, return_when=FIRST_COMPLETED)
    return wait(pending, timeout=TOGETHER).done


def _intend_all(services: Services, contexts: Sequence[ProfileContext]) -> Mapping[ProfileId, Intent]:
    """What is sent, committed; nothing where anything is wrong with one of them."""
    free = {context.profile.id: context for context in contexts if context.profile.mode is not Mode.DRY_RUN}
    if not free:
        return {}
    try:
        with services.database.transaction() as tx:
            tx.ledger.lock()
            return _Batch(services=services, contexts=free, tx=tx, now=services.clock.now()).intend()
    except BotError as error:
        services.log.warning("batch_left_to_ticks", code=error.code, error=error.line, profiles=len(free))
    except Exception:
        # Whatever is wrong with one of them, each finds out alone.
        services.log.exception("batch_broke", profiles=len(free))
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    """The transaction in which a batch is weighed and intended, under the ledger's lock."""

    services: Services
    contexts: Mapping[ProfileId, ProfileContext]
    tx: Transaction
    now: datetime

    def intend(self) -> Mapping[ProfileId, Intent]:
        """Writes the intents of all that is ready and may be posted."""
        claimed = self._claim()
        intents = self._weigh(claimed) if claimed else {}
        idle = [ready.lease for one, ready in claimed.items() if one not in intents]
        if idle:
            self.tx.leases.release_all(idle)
        after = {intent.tweet.id: newest_believed(claimed[one].known) for one, intent in intents.items()}
        return self._write(intents, after) if intents else {}

    def _claim(self) -> Mapping[ProfileId, Ready]:
        settings, clock = self.services.settings, self.services.clock
        claimed = self.tx.sending.claim(
            list(self.contexts),
            holder=settings.holder,
            asked_at=clock.monotonic(),
            lasts=settings.lease_time,
            now=self.now,
        )
        for ready in claimed[:1]:
            clock.agree(ready.lease.began, since=self.now)
        return {ready.lease.profile_id: ready for ready in claimed}

    def _weigh(self, claimed: Mapping[ProfileId, Ready]) -> Mapping[ProfileId, Intent]:
        """The intents that limits allow, each weighed after what those before it reserve."""
        tx, agent = self.tx, self.services.limits
        usages = agent.usages(tx, list(claimed), self.now)
        reserved = Tally()
        intents = {}
        for profile_id, ready in claimed.items():
            wanted = agent.want_post(tx, ready.tweet.text, spaced=True)
            usage = reserved.onto(usages[profile_id], self.now)
            verdict = decide(usage, agent.limits_with(tx, ready.plan), self.now, wanted)
            if isinstance(verdict, Allow):
                reserved = reserved.plus(usage.app_id, wanted)
                intents[profile_id] = self._intent(ready, wanted, verdict)
        return intents

    def _intent(self, ready: Ready, wanted: Wanted, verdict: Verdict) -> Intent:
        tweet, profile_id = ready.tweet, ready.lease.profile_id
        return Intent(
            lease=ready.lease,
            tweet=tweet,
            call=self.services.limits.call(wanted, profile_id=profile_id, now=self.now, tweet_id=tweet.id),
            verdict=verdict,
            post=post_of(tweet),
        )

    def _write(
        self, intents: Mapping[ProfileId, Intent], after: Mapping[TweetId, str | None]
    ) -> Mapping[ProfileId, Intent]:
        """Saves the intents; gives them back with their tweets as they are now."""
        leases = {intent.tweet.id: intent.lease for intent in intents.values()}
        self.tx.sending.begin(leases, after, now=self.now)
        self.tx.ledger.reserve_all([intent.call for intent in intents.values()])
        self.tx.decisions.record_new([self._decision(intent) for intent in intents.values()])
        return {
            one: replace(intent, tweet=self._sending(intent, after[intent.tweet.id]))
            for one, intent in intents.items()
        }

    def _sending(self, intent: Intent, after_x_id: str | None) -> Tweet:
        return publishing(intent.tweet, fencing=intent.lease.fencing, after_x_id=after_x_id, now=self.now)

    def _decision(self, intent: Intent) -> DecisionRecord:
        context = self.contexts[intent.lease.profile_id]
        decisions = context.decisions(self.tx, DecisionKind.PUBLISH, now=self.now)
        return decisions.weighing(intent.verdict, about=intent.tweet)


def _record_all(services: Services, answered: Sequence[Sent]) -> Iterator[tuple[Sent, Outcome | None]]:
    """Records all that X made in one transaction; alone what it refused, and what that left out."""
    made = [sent for sent in answered if isinstance(sent.answer, Posted)]
    recorded = _record_made(services, made) if made else {}
    for sent in answered:
        yield sent, recorded.get(sent.context.profile.id) or _record_alone(sent)


def _record_alone(sent: Sent) -> Outcome | None:
    try:
        return record(sent.context, sent.intent, sent.answer)
    except Exception:
        # The others' answers, and their calls under way, must not be lost to a row that can't be written.
        sent.context.log.exception("outcome_broke", tweet=str(sent.intent.tweet.id))
        return None
    finally:
        give_back(sent.context, sent.intent.lease)


def _record_made(services: Services, made: Sequence[Sent]) -> Mapping[ProfileId, Outcome]:
    """Records posts that X made, and gives their leases back.

    Returns:
        What is recorded: nothing where the database refuses, or breaks off. Then each is tried alone, for
        what is wrong with one row is no other's fate.
    """
    try:
        with services.database.transaction() as tx:
            return _save_made(services, tx, made)
    except BotError as error:
        services.log.warning("batch_recorded_singly", code=error.code, error=error.line, posts=len(made))
    except Exception:
        # X's yes to the others must not be lost to a row that can't be written.
        services.log.exception("batch_recorded_singly", posts=len(made))
    return {}


def _save_made(services: Services, tx: Transaction, made: Sequence[Sent]) -> Mapping[ProfileId, Outcome]:
    now = services.clock.now()
    by_tweet = {sent.intent.tweet.id: sent for sent in made}
    answers = {one: sent.answer for one, sent in by_tweet.items() if isinstance(sent.answer, Posted)}
    known = tx.sending.made([_as_made(by_tweet[one].intent, answers[one]) for one in answers], now=now)
    live = [posted(by_tweet[one].intent.tweet, answers[one].x_tweet_id, at=now) for one in known]
    rates = {tweet.profile_id: answers[tweet.id].rates for tweet in live}
    drifts = tx.rates.saw_all(CREATE_POST, rates, now=now)
    for tweet in live:
        tell_drift(by_tweet[tweet.id].context, drifts[tweet.profile_id])
        tell_posted(by_tweet[tweet.id].context, tweet)
    return {tweet.profile_id: by_tweet[tweet.id].intent.outcome(OutcomeKind.POSTED, tweet) for tweet in live}


def _as_made(intent: Intent, answer: Posted) -> Made:
    return Made(
        tweet_id=intent.tweet.id,
        x_tweet_id=answer.x_tweet_id,
        call_id=intent.call.id,
        fencing=intent.lease.fencing,
    )

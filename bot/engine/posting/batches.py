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
from bot.core.errors import BotError, OutcomeUnknown, ServiceError
from bot.core.model import Lease, Posted, ProfileId, Tweet
from bot.core.posting.snowflakes import newest_believed
from bot.core.spending.limits import CREATE_POST, Allow, decide
from bot.core.spending.tally import Tally
from bot.core.states import Mode
from bot.engine.context import ProfileContext, Services
from bot.engine.decisions import weighed
from bot.engine.leasing import give_back
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.publishing import KNOWN_IDS, call
from bot.engine.posting.recording import Intent, record
from bot.ports import Transaction

# Answers that come within so many seconds of another are recorded together.
TOGETHER = 0.1

Answer = Posted | ServiceError


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
        at_once: how many they are. No more is intended than they can send soon: a lease runs.

    Yields:
        Each profile as soon as its outcome is recorded; with None those that are not for a batch: a tick
        says what becomes of them.
    """
    waiting = list(contexts)
    pending: set[Future[Sent]] = set()
    while waiting or pending:
        if waiting and len(pending) <= at_once:
            some, waiting = waiting[:at_once], waiting[at_once:]
            intents = _intend_all(services, some)
            yield from ((context, None) for context in some if context.profile.id not in intents)
            whose = {context.profile.id: context for context in some}
            pending |= {calls.submit(_send, whose[one], intent) for one, intent in intents.items()}
        elif pending:
            answered = _answered(pending)
            pending -= answered
            for sent, outcome in _record_all(services, [future.result() for future in answered]):
                yield sent.context, outcome


def _send(context: ProfileContext, intent: Intent) -> Sent:
    try:
        answer: Answer = call(context, intent)
    except Exception as error:
        # It broke on this side of X, and the post may be there.
        context.log.exception("call_broke", tweet=str(intent.tweet.id))
        answer = OutcomeUnknown(f"the call broke: {type(error).__name__}", code="call_broke")
    return Sent(context=context, intent=intent, answer=answer)


def _answered(pending: AbstractSet[Future[Sent]]) -> AbstractSet[Future[Sent]]:
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
            return _Batch(services=services, contexts=free, tx=tx).intend()
    except BotError as error:
        services.log.warning("batch_left_to_ticks", code=error.code, error=error.line, profiles=len(free))
    except Exception:
        # Whatever is wrong with one of them, each finds out alone.
        services.log.exception("batch_broke", profiles=len(free))
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    """The transaction in which a batch is weighed and intended."""

    services: Services
    contexts: Mapping[ProfileId, ProfileContext]
    tx: Transaction

    def intend(self) -> Mapping[ProfileId, Intent]:
        """Writes the intents of all that is ready and may be posted."""
        tx = self.tx
        tx.ledger.lock()
        now = self.services.clock.now()
        ready = {tweet.profile_id: tweet for tweet in tx.sending.ready(list(self.contexts), now=now)}
        leases = self._acquire(list(ready))
        held = {one: tweet for one, tweet in ready.items() if one in leases}
        intents = self._weigh(held, leases, now) if held else {}
        idle = [lease for one, lease in leases.items() if one not in intents]
        if idle:
            tx.leases.release_all(idle)
        return self._write(intents, now) if intents else {}

    def _acquire(self, profile_ids: Sequence[ProfileId]) -> Mapping[ProfileId, Lease]:
        if not profile_ids:
            return {}
        settings, clock = self.services.settings, self.services.clock
        since = clock.now()
        leases = self.tx.leases.acquire_all(
            profile_ids, holder=settings.holder, asked_at=clock.monotonic(), lasts=settings.lease_time
        )
        for lease in leases.values():
            clock.agree(lease.began, since=since)
            break
        return leases

    def _weigh(
        self, ready: Mapping[ProfileId, Tweet], leases: Mapping[ProfileId, Lease], now: datetime
    ) -> Mapping[ProfileId, Intent]:
        """The intents that limits allow, each weighed after what those before it reserve."""
        tx, agent = self.tx, self.services.limits
        usages = agent.usages(tx, list(ready), now)
        plans = tx.profiles.active_plans(list(ready))
        reserved = Tally()
        intents = {}
        for profile_id, tweet in ready.items():
            wanted = agent.want_post(tx, tweet.text, spaced=True)
            usage = reserved.onto(usages[profile_id], now)
            verdict = decide(usage, agent.limits_with(tx, plans.get(profile_id)), now, wanted)
            if not isinstance(verdict, Allow):
                continue
            reserved = reserved.plus(usage.app_id, wanted)
            intents[profile_id] = Intent(
                lease=leases[profile_id],
                tweet=tweet,
                call=agent.call(wanted, profile_id=profile_id, now=now, tweet_id=tweet.id),
                verdict=verdict,
                reply_to=None,
            )
        return intents

    def _write(self, intents: Mapping[ProfileId, Intent], now: datetime) -> Mapping[ProfileId, Intent]:
        tx = self.tx
        known = tx.sending.last_known(list(intents), limit=KNOWN_IDS)
        sending = tx.sending.begin(
            {intent.tweet.id: intent.lease for intent in intents.values()},
            {intent.tweet.id: newest_believed(known[one]) for one, intent in intents.items()},
            now=now,
        )
        tx.ledger.reserve_all([intent.call for intent in intents.values()])
        tx.decisions.record_new(
            [
                replace(
                    weighed(
                        intent.verdict,
                        kind=DecisionKind.PUBLISH,
                        profile=self.contexts[one].profile,
                        now=now,
                        tweet_id=intent.tweet.id,
                    ),
                    slot_id=intent.tweet.slot_id,
                )
                for one, intent in intents.items()
            ]
        )
        return {one: replace(intent, tweet=sending[intent.tweet.id]) for one, intent in intents.items()}


def _record_all(services: Services, answered: Sequence[Sent]) -> Iterator[tuple[Sent, Outcome]]:
    """Records all that X made in one transaction; alone what it refused, and what that left out."""
    made = [sent for sent in answered if isinstance(sent.answer, Posted)]
    recorded = _record_made(services, made) if made else {}
    for sent in answered:
        outcome = recorded.get(sent.context.profile.id)
        if outcome is None:
            outcome = record(sent.context, sent.intent, sent.answer)
            give_back(sent.context, sent.intent.lease)
        yield sent, outcome


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
    fencings = {one: sent.intent.lease.fencing for one, sent in by_tweet.items()}
    posted = tx.sending.made({one: answer.x_tweet_id for one, answer in answers.items()}, fencings, now=now)
    saved = [by_tweet[tweet.id] for tweet in posted]
    if not saved:
        return {}
    tx.ledger.settle([sent.intent.call.id for sent in saved])
    rates = {tweet.profile_id: answers[tweet.id].rates for tweet in posted}
    drifts = tx.rates.saw_all(CREATE_POST, rates, now=now)
    tx.leases.release_all([sent.intent.lease for sent in saved])
    for tweet in posted:
        _tell(by_tweet[tweet.id].context, tweet, drifts[tweet.profile_id])
    return {
        tweet.profile_id: Outcome(
            kind=OutcomeKind.POSTED,
            tweet=tweet,
            verdict=by_tweet[tweet.id].intent.verdict,
            cost_usd=by_tweet[tweet.id].intent.call.cost_usd,
        )
        for tweet in posted
    }


def _tell(context: ProfileContext, tweet: Tweet, drift: Mapping[str, int]) -> None:
    for window, units in drift.items():
        context.log.warning("usage_drift", window=window, units=units, profile=context.profile.handle)
    context.log.info(
        "tweet_posted", tweet=str(tweet.id), x_tweet_id=tweet.x_tweet_id, profile=context.profile.handle
    )

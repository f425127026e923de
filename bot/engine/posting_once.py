"""One post now, because a person wishes it: through the whole pipeline, spacing apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from bot.core.model import Lease, Profile, Tweet
from bot.core.states import Mode, TweetStatus
from bot.engine.noting import noted, weighed
from bot.engine.parts import Outcome, OutcomeKind, Parts, Stopwatch, leased
from bot.engine.posting_engine import PostingEngine
from bot.engine.preparing import take_texts, write_draft
from bot.engine.reconciling import Unsettled, unsettled
from bot.engine.recording import break_thread

LOOK_EVERY_SECONDS = 0.5
SETTLE_ROUNDS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the person asked for: texts of their own (more than one is a thread), or a topic.

    `queue`: if it has to wait, the worker posts it as soon as it may.
    """

    texts: Sequence[str] = ()
    topic: str | None = None
    queue: bool = False


Say = Callable[[str], None]


def settle_all(engine: PostingEngine, profile: Profile, say: Say) -> Unsettled:
    """Settles what is unknown, waiting for X's delay between looks; returns what stays unknown.

    What keeps nothing new waiting is not waited for here either.

    Args:
        engine: acts for the profile.
        profile: whose tweets.
        say: shows progress to the person who waits.
    """
    parts = engine.parts
    settings = parts.settings
    patience = max(settings.lease_time, settings.settle_delay * SETTLE_ROUNDS) + timedelta(seconds=1)
    give_up = parts.clock.now() + patience
    while True:
        left = engine.settle(profile)
        if left is not None and not left.holding_up:
            return left
        if parts.clock.now() >= give_up:
            return left or Unsettled(tweets=1, holding_up=1)
        say(
            "another worker acts for this account; waiting for it"
            if left is None
            else f"{left.holding_up} earlier post(s) with an unknown outcome: looking at the timeline again"
        )
        parts.clock.wait(LOOK_EVERY_SECONDS)


def post_once(engine: PostingEngine, profile: Profile, wish: Wish, *, watch: Stopwatch, say: Say) -> Outcome:
    """Settles what is unknown, then writes, checks and publishes one post.

    What has to wait is queued for the worker if the person wishes so, and else given up.

    Raises:
        BotError: it could not even be decided.
    """
    parts = engine.parts
    outcome = _obstacle(engine, profile, say)
    if outcome is not None and not (wish.queue and profile.mode is Mode.AUTO):
        return outcome
    with watch.measure("prepare"):
        say("writing")
        ready = _prepare(parts, profile, wish)
    if ready.kind is not OutcomeKind.POSTED or ready.tweet is None:
        _record(parts, profile, ready)
        return ready
    if profile.mode is Mode.REVIEW:
        outcome = Outcome(kind=OutcomeKind.AWAITING_APPROVAL, reason="review", tweet=ready.tweet)
    elif profile.mode is Mode.DRY_RUN:
        outcome = _dry_run(parts, profile, ready.tweet)
    else:
        tweet = _queued(parts, ready.tweet) if wish.queue else ready.tweet
        if outcome is None:
            with watch.measure("publish"):
                say("publishing")
                outcome = _publish(engine, profile, tweet)
        else:
            outcome = replace(outcome, tweet=tweet)
    return _settled(parts, outcome)


def _obstacle(engine: PostingEngine, profile: Profile, say: Say) -> Outcome | None:
    """What keeps anything new from being posted, whatever it is."""
    if profile.paused:
        paused = Outcome(
            kind=OutcomeKind.WAITING,
            reason="paused",
            detail=f"paused: {profile.pause_reason or 'by the operator'}; `resume` lifts it",
        )
        _record(engine.parts, profile, paused)
        return paused
    if settle_all(engine, profile, say).holding_up:
        return Outcome(
            kind=OutcomeKind.WAITING,
            reason="unsettled",
            detail="an earlier post's outcome is still unknown; nothing new is posted before it is settled",
        )
    return None


def _queued(parts: Parts, tweet: Tweet) -> Tweet:
    """Lets the worker post it as soon as caps, budget and spacing allow."""
    with parts.database.transaction() as tx:
        return tx.tweets.change(tweet.id, TweetStatus.APPROVED)


def _settled(parts: Parts, outcome: Outcome) -> Outcome:
    """The outcome with the rows as they are now; a wish that waits unqueued ends here."""
    if outcome.tweet is None:
        return outcome
    with parts.database.transaction() as tx:
        tweet = tx.tweets.get(outcome.tweet.id)
        if outcome.kind is OutcomeKind.WAITING and tweet.status is TweetStatus.DRAFTED:
            tweet = tx.tweets.change(tweet.id, TweetStatus.REJECTED, reason="not_queued")
            break_thread(tx, tweet)
        if outcome.kind is OutcomeKind.FAILED and tweet.status is TweetStatus.APPROVED:
            outcome = replace(outcome, kind=OutcomeKind.WAITING)
        rows = tx.tweets.parts(tweet.thread_id) if tweet.thread_id is not None else [tweet]
    return replace(outcome, tweet=tweet, parts=tuple(rows))


def _prepare(parts: Parts, profile: Profile, wish: Wish) -> Outcome:
    if wish.texts:
        return take_texts(parts, profile, wish.texts, topic=wish.topic)
    with parts.database.transaction() as tx:
        plan = tx.profiles.active_plan(profile.id)
    return write_draft(parts, profile, plan, slot=None, topic=wish.topic)


def _publish(engine: PostingEngine, profile: Profile, tweet: Tweet) -> Outcome:
    give_up = engine.parts.clock.now() + engine.parts.settings.lease_time
    while True:
        with leased(engine.parts, profile) as lease:
            if lease is not None and not _unsettled(engine.parts, profile):
                return _last_word(engine, profile, lease, tweet)
        engine.settle(profile)
        if engine.parts.clock.now() >= give_up:
            return Outcome(
                kind=OutcomeKind.WAITING,
                reason="lease_elsewhere",
                detail="another worker acts for this account, or its last post is not settled yet",
                tweet=tweet,
            )
        engine.parts.clock.wait(LOOK_EVERY_SECONDS)


def _unsettled(parts: Parts, profile: Profile) -> bool:
    """Whether a post of another process has become unknown since this one looked."""
    with parts.database.transaction() as tx:
        calling = tx.tweets.with_status(profile.id, TweetStatus.PUBLISHING)
        return bool(calling) or unsettled(tx, profile).holding_up > 0


def _last_word(engine: PostingEngine, profile: Profile, lease: Lease, tweet: Tweet) -> Outcome:
    """The root's outcome, or that of the part at which a thread stopped."""
    with engine.parts.database.transaction() as tx:
        tweet = tx.tweets.get(tweet.id)
    if tweet.status is TweetStatus.POSTED:  # the worker came first: it was in its queue
        return Outcome(kind=OutcomeKind.POSTED, tweet=tweet)
    if tweet.status not in {TweetStatus.DRAFTED, TweetStatus.APPROVED}:
        return Outcome(
            kind=OutcomeKind.FAILED, reason=tweet.reason, detail="the worker tried it", tweet=tweet
        )
    outcomes = engine.publish_thread(profile, lease, tweet, spaced=False)
    broken = next((one for one in outcomes if one.kind is not OutcomeKind.POSTED), None)
    cost = sum((one.cost_usd for one in outcomes), Decimal(0))
    return replace(broken or outcomes[0], cost_usd=cost)


def _dry_run(parts: Parts, profile: Profile, tweet: Tweet) -> Outcome:
    with parts.database.transaction() as tx:
        now = parts.clock.now()
        wanted = parts.limits.want_post(tx, tweet.text, spaced=False)
        verdict = parts.limits.judge(tx, profile.id, wanted, now)
        tx.decisions.record(
            weighed(verdict, now=now, kind="publish", profile=profile, outcome="dry_run", tweet_id=tweet.id)
        )
    return Outcome(
        kind=OutcomeKind.DRY_RUN, reason=verdict.verdict, detail=verdict.reason, tweet=tweet, verdict=verdict
    )


def _record(parts: Parts, profile: Profile, outcome: Outcome) -> None:
    if outcome.verdict is not None:
        return
    with parts.database.transaction() as tx:
        reason = outcome.detail or outcome.reason or ""
        tx.decisions.record(
            noted(outcome.kind.value, reason, now=parts.clock.now(), kind="prepare", profile=profile)
        )

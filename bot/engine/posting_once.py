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

LOOK_EVERY_SECONDS = 0.5
SETTLE_ROUNDS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the person asked for: texts of their own (more than one is a thread), or a topic."""

    texts: Sequence[str] = ()
    topic: str | None = None


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

    Raises:
        BotError: it could not even be decided.
    """
    parts = engine.parts
    if profile.paused:
        paused = Outcome(
            kind=OutcomeKind.WAITING,
            reason="paused",
            detail=f"paused: {profile.pause_reason or 'by the operator'}; `resume` lifts it",
        )
        _record(parts, profile, paused)
        return paused
    if settle_all(engine, profile, say).holding_up:
        return Outcome(
            kind=OutcomeKind.WAITING,
            reason="unsettled",
            detail="an earlier post's outcome is still unknown; nothing new is posted before it is settled",
        )
    with watch.measure("prepare"):
        say("writing")
        ready = _prepare(parts, profile, wish)
    if ready.kind is not OutcomeKind.POSTED or ready.tweet is None:
        _record(parts, profile, ready)
        return ready
    if profile.mode is Mode.REVIEW:
        return Outcome(kind=OutcomeKind.AWAITING_APPROVAL, reason="review", tweet=ready.tweet)
    if profile.mode is Mode.DRY_RUN:
        return _dry_run(parts, profile, ready.tweet)
    with watch.measure("publish"):
        say("publishing")
        return _publish(engine, profile, ready.tweet)


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

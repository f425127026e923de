"""One post now, because a person wishes it: through the whole pipeline, spacing apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import Lease, Profile, Tweet
from bot.core.posting.lifecycle import approved, rejected
from bot.core.posting.post import Post
from bot.core.states import Mode, TweetStatus
from bot.engine.content.preparing import Brief, Prepared, take_posts, write_draft
from bot.engine.context import ProfileContext
from bot.engine.leasing import leased
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.posting_engine import PostingEngine, publish_thread, settle
from bot.engine.posting.publishing import dry_run
from bot.engine.posting.reconciling import Unsettled, unsettled
from bot.engine.posting.threads import break_thread
from bot.engine.stopwatch import Stopwatch

LOOK_EVERY_SECONDS = 0.5
SETTLE_ROUNDS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the person asked for: posts of their own (more than one are a thread), or a topic.

    `queue`: if it has to wait, the worker posts it as soon as it may.
    """

    posts: Sequence[Post] = ()
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
    return _settle_all(engine.context(profile), say)


def post_once(engine: PostingEngine, profile: Profile, wish: Wish, *, watch: Stopwatch, say: Say) -> Outcome:
    """Settles what is unknown, then writes, checks and publishes one post.

    What has to wait is queued for the worker if the person wishes so, and else given up.

    Raises:
        BotError: it could not even be decided.
    """
    context = engine.context(profile)
    obstacle = _obstacle(context, say)
    if obstacle is not None and not (wish.queue and profile.mode is Mode.AUTO):
        return obstacle
    with watch.measure("prepare"):
        say("writing")
        ready = _prepare(context, wish)
    if isinstance(ready, Outcome):
        _record(context, ready)
        return ready
    if profile.mode is Mode.REVIEW:
        outcome = Outcome(kind=OutcomeKind.AWAITING_APPROVAL, reason="review", tweet=ready.tweet)
    elif profile.mode is Mode.DRY_RUN:
        with context.database.transaction() as tx:
            outcome = dry_run(context, tx, ready.tweet, spaced=False)
    else:
        tweet = _queued(context, ready.tweet) if wish.queue else ready.tweet
        if obstacle is not None:
            outcome = replace(obstacle, tweet=tweet)
        else:
            with watch.measure("publish"):
                say("publishing")
                outcome = _publish(context, tweet)
    return _settled(context, outcome)


def _settle_all(context: ProfileContext, say: Say) -> Unsettled:
    settings = context.settings
    patience = max(settings.lease_time, settings.settle_delay * SETTLE_ROUNDS) + timedelta(seconds=1)
    give_up = context.clock.now() + patience
    while True:
        left = settle(context)
        if left is not None and not left.holding_up:
            return left
        if context.clock.now() >= give_up:
            return left or Unsettled(tweets=1, holding_up=1)
        say(
            "another worker acts for this account; waiting for it"
            if left is None
            else f"{left.holding_up} earlier post(s) with an unknown outcome: looking at the timeline again"
        )
        context.clock.wait(LOOK_EVERY_SECONDS)


def _obstacle(context: ProfileContext, say: Say) -> Outcome | None:
    """What keeps anything new from being posted, whatever it is."""
    if context.profile.paused:
        paused = Outcome(
            kind=OutcomeKind.WAITING,
            reason="paused",
            detail=f"paused: {context.profile.pause_reason or 'by the operator'}; `resume` lifts it",
        )
        _record(context, paused)
        return paused
    if _settle_all(context, say).holding_up:
        return Outcome(
            kind=OutcomeKind.WAITING,
            reason="unsettled",
            detail="an earlier post's outcome is still unknown; nothing new is posted before it is settled",
        )
    return None


def _queued(context: ProfileContext, tweet: Tweet) -> Tweet:
    """Lets the worker post it as soon as caps, budget and spacing allow."""
    with context.database.transaction() as tx:
        return tx.tweets.save(approved(tx.tweets.lock(tweet.id)))


def _settled(context: ProfileContext, outcome: Outcome) -> Outcome:
    """The outcome with the rows as they are now; a wish that waits unqueued ends here."""
    if outcome.tweet is None:
        return outcome
    with context.database.transaction() as tx:
        tweet = tx.tweets.get(outcome.tweet.id)
        if outcome.kind is OutcomeKind.WAITING and tweet.status is TweetStatus.DRAFTED:
            tweet = tx.tweets.save(rejected(tx.tweets.lock(tweet.id), "not_queued"))
            break_thread(tx, tweet)
        if outcome.kind is OutcomeKind.FAILED and tweet.status is TweetStatus.APPROVED:
            outcome = replace(outcome, kind=OutcomeKind.WAITING)
        rows = tx.tweets.parts(tweet.thread_id) if tweet.thread_id is not None else [tweet]
    return replace(outcome, tweet=tweet, parts=tuple(rows))


def _prepare(context: ProfileContext, wish: Wish) -> Prepared | Outcome:
    if wish.posts:
        return take_posts(context, wish.posts, topic=wish.topic)
    with context.database.transaction() as tx:
        plan = tx.profiles.active_plan(context.profile.id)
    return write_draft(context, Brief(plan=plan, topic=wish.topic))


def _publish(context: ProfileContext, tweet: Tweet) -> Outcome:
    give_up = context.clock.now() + context.settings.lease_time
    while True:
        with leased(context) as lease:
            if lease is not None and not _unsettled(context):
                return _last_word(context, lease, tweet)
        settle(context)
        if context.clock.now() >= give_up:
            return Outcome(
                kind=OutcomeKind.WAITING,
                reason="lease_elsewhere",
                detail="another worker acts for this account, or its last post is not settled yet",
                tweet=tweet,
            )
        context.clock.wait(LOOK_EVERY_SECONDS)


def _unsettled(context: ProfileContext) -> bool:
    """Whether a post of another process has become unknown since this one looked."""
    with context.database.transaction() as tx:
        calling = tx.tweets.with_status(context.profile.id, TweetStatus.PUBLISHING)
        return bool(calling) or unsettled(tx, context.profile.id).holding_up > 0


def _last_word(context: ProfileContext, lease: Lease, tweet: Tweet) -> Outcome:
    """The root's outcome, or that of the part at which a thread stopped."""
    with context.database.transaction() as tx:
        tweet = tx.tweets.get(tweet.id)
    if tweet.status is TweetStatus.POSTED:  # the worker came first: it was in its queue
        return Outcome(kind=OutcomeKind.POSTED, tweet=tweet)
    if tweet.status not in {TweetStatus.DRAFTED, TweetStatus.APPROVED}:
        return Outcome(
            kind=OutcomeKind.FAILED, reason=tweet.reason, detail="the worker tried it", tweet=tweet
        )
    outcomes = publish_thread(context, lease, tweet, spaced=False)
    broken = next((one for one in outcomes if one.kind is not OutcomeKind.POSTED), None)
    cost = sum((one.cost_usd for one in outcomes), Decimal(0))
    return replace(broken or outcomes[0], cost_usd=cost)


def _record(context: ProfileContext, outcome: Outcome) -> None:
    if outcome.verdict is not None:
        return
    with context.database.transaction() as tx:
        reason = outcome.detail or outcome.reason or ""
        context.decisions(tx, DecisionKind.PREPARE).note(Ruling(outcome.kind.value), reason)

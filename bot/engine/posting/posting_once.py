"""One post now, because a person wishes it: through the whole pipeline, spacing apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from bot.core.codes import DecisionKind, Ruling
from bot.core.content.drafts import Brief
from bot.core.model import Lease, Profile, Tweet
from bot.core.posting.lifecycle import approved, rejected
from bot.core.posting.post import Post
from bot.core.states import Mode, TweetStatus
from bot.engine.content.keeping import take_posts
from bot.engine.content.preparing import write_draft
from bot.engine.context import ProfileContext
from bot.engine.leasing import leased
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.posting_engine import PostingEngine, settle
from bot.engine.posting.publishing import dry_run, publish_thread
from bot.engine.posting.reconciling import Unsettled, unsettled
from bot.engine.posting.threads import break_thread, following
from bot.engine.posting.wishes import turned_down
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
    return _Fulfilment(context=engine.context(profile), wish=wish, watch=watch, say=say).post()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fulfilment:
    """One wish of a person who waits and is told how it goes."""

    context: ProfileContext
    wish: Wish
    watch: Stopwatch
    say: Say

    def post(self) -> Outcome:
        """Writes, checks and publishes it, or says what keeps it."""
        obstacle = _obstacle(self.context, self.say)
        if obstacle is not None and not (self.wish.queue and self.context.profile.mode is Mode.AUTO):
            return obstacle
        tweet = self._prepare()
        if isinstance(tweet, Outcome):
            _record_outcome(self.context, tweet)
            return tweet
        return _conclude(self.context, self._carry_on(tweet, obstacle))

    def _prepare(self) -> Tweet | Outcome:
        with self.watch.measure("prepare"):
            self.say("writing")
            if self.wish.posts:
                return take_posts(self.context, self.wish.posts, topic=self.wish.topic)
            with self.context.database.transaction() as tx:
                plan = tx.plans.active(self.context.profile.id)
            return write_draft(self.context, Brief(plan=plan, topic=self.wish.topic))

    def _carry_on(self, tweet: Tweet, obstacle: Outcome | None) -> Outcome:
        """As far as the profile's mode, and what keeps everything new from going out, let it."""
        if self.context.profile.mode is Mode.REVIEW:
            return Outcome(kind=OutcomeKind.AWAITING_APPROVAL, reason="review", tweet=tweet)
        if self.context.profile.mode is Mode.DRY_RUN:
            with self.context.database.transaction() as tx:
                return dry_run(self.context, tx, tweet, spaced=False)
        if self.wish.queue:
            queued = _approve_for_queue(self.context, tweet)
            if isinstance(queued, Outcome):
                return queued
            tweet = queued
        if obstacle is not None:
            return replace(obstacle, tweet=tweet)
        with self.watch.measure("publish"):
            self.say("publishing")
            return _publish_when_free(self.context, tweet)


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
        _record_outcome(context, paused)
        return paused
    if _settle_all(context, say).holding_up:
        return Outcome(
            kind=OutcomeKind.WAITING,
            reason="unsettled",
            detail="an earlier post's outcome is still unknown; nothing new is posted before it is settled",
        )
    return None


def _approve_for_queue(context: ProfileContext, tweet: Tweet) -> Tweet | Outcome:
    """Lets the worker post it as soon as caps, budget and spacing allow."""
    with context.database.transaction() as tx:
        parts = [part.text for part in following(tx, tweet)]
        refusal = turned_down(context, tx, tweet, parts)
        if refusal is not None:
            return refusal
        return tx.tweets.save(approved(tx.tweets.lock(tweet.id)))


def _conclude(context: ProfileContext, outcome: Outcome) -> Outcome:
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


def _publish_when_free(context: ProfileContext, tweet: Tweet) -> Outcome:
    give_up = context.clock.now() + context.settings.lease_time
    while True:
        with leased(context) as lease:
            if lease is not None and not _unsettled(context):
                return _publish_leased(context, lease, tweet)
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


def _publish_leased(context: ProfileContext, lease: Lease, tweet: Tweet) -> Outcome:
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


def _record_outcome(context: ProfileContext, outcome: Outcome) -> None:
    if outcome.verdict is not None:
        return
    with context.deciding(DecisionKind.PREPARE) as decisions:
        decisions.note(Ruling(outcome.kind.value), outcome.line)

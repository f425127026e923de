"""A person's wish for one post: how it ends, and what they are told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.model import LivePost
from bot.core.posting.post import Post
from bot.core.spending.limits import Limits
from bot.core.states import Mode, TweetStatus
from bot.engine.leasing import leased
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.posting_once import Wish, _unsettled, post_once, settle_all
from bot.engine.stopwatch import Stopwatch
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import NOON, World


def wished(world: World, *texts: str, topic: str | None = None, said: list[str] | None = None) -> Outcome:
    return post_once(
        world.engine,
        world.profile,
        Wish(posts=[Post(text=text) for text in texts], topic=topic),
        watch=Stopwatch(lambda: 0.0),
        say=(said if said is not None else []).append,
    )


def decisions(world: World) -> list[tuple[str, str, str]]:
    found = world.rows("SELECT verdict, kind, reason FROM decisions ORDER BY at, created_at")
    return [tuple(row) for row in found]


def test_a_text_is_posted_now_and_said_step_by_step(world: World) -> None:
    said: list[str] = []
    outcome = wished(world, "mine", said=said)
    assert (outcome.kind, outcome.cost_usd) == (OutcomeKind.POSTED, Decimal("0.015"))
    assert said == ["writing", "publishing"]
    assert world.x.count("mine") == 1


def test_a_topic_is_written_about_by_the_writer(world: World) -> None:
    assert wished(world, topic="tides").kind is OutcomeKind.POSTED
    assert [request.topic for request in world.writer.asked] == ["tides"]
    assert [row.topic for row in world.tweets()] == ["tides"]


def test_spacing_does_not_bind_a_person_and_caps_do(world: World) -> None:
    world.change("UPDATE plans SET spacing_seconds = 3600")
    world.engine = with_caps(world, Limits(posts_24h=2, posts_15min=None))
    assert [wished(world, text).kind for text in ("one", "two", "three")] == [
        OutcomeKind.POSTED,
        OutcomeKind.POSTED,
        OutcomeKind.WAITING,
    ]


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        (None, "paused: by the operator; `resume` lifts it"),
        ("a holiday", "paused: a holiday; `resume` lifts it"),
    ],
)
def test_a_paused_profile_posts_nothing_even_for_a_person(
    world: World, reason: str | None, detail: str
) -> None:
    world.change("UPDATE profiles SET paused = true, pause_reason = :reason", reason=reason)
    outcome = wished(world, "not now")
    assert (outcome.kind, outcome.reason, outcome.detail) == (OutcomeKind.WAITING, "paused", detail)
    assert decisions(world) == [("waiting", "prepare", detail)]
    assert world.tweets() == []


def test_a_text_that_the_guard_refuses_leaves_a_decision(world: World) -> None:
    outcome = wished(world, "")
    assert (outcome.kind, outcome.reason) == (OutcomeKind.REJECTED, "empty")
    assert decisions(world) == [("rejected", "prepare", outcome.detail)]


def test_a_wish_that_no_limit_allows_leaves_one_decision(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_24h=0))
    assert wished(world).kind is OutcomeKind.WAITING
    assert [(verdict, kind) for verdict, kind, _reason in decisions(world)] == [("wait", "prepare")]


def test_in_review_the_wish_awaits_approval(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'review'")
    outcome = wished(world, "for approval")
    assert (outcome.kind, outcome.reason) == (OutcomeKind.AWAITING_APPROVAL, "review")
    assert outcome.tweet is not None
    assert outcome.tweet.status is TweetStatus.AWAITING_APPROVAL
    assert world.x.calls == 0


def test_a_dry_run_tells_what_would_be_decided(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'dry-run'")
    world.change("UPDATE plans SET spacing_seconds = 3600")
    outcome = wished(world, "only shown")
    assert outcome.verdict is not None
    assert outcome.tweet is not None
    assert (outcome.kind, outcome.reason) == (OutcomeKind.DRY_RUN, "allow")
    assert outcome.detail == outcome.verdict.reason
    assert world.x.calls == 0
    (row,) = world.rows("SELECT reason, kind, tweet_id FROM decisions WHERE verdict = 'dry_run'")
    assert tuple(row) == (f"would allow: {outcome.detail}", "publish", outcome.tweet.id)


def test_a_thread_costs_all_its_parts(world: World) -> None:
    outcome = wished(world, "one", "two", "three")
    assert (outcome.kind, outcome.cost_usd) == (OutcomeKind.POSTED, Decimal("0.045"))
    assert outcome.tweet is not None
    assert outcome.tweet.text == "one"


def test_a_thread_that_stops_says_at_which_part_and_what_it_cost(world: World) -> None:
    world.x.script = ["accept", "refuse"]
    outcome = wished(world, "one", "two", "three")
    assert (outcome.kind, outcome.reason, outcome.cost_usd) == (
        OutcomeKind.FAILED,
        "policy",
        Decimal("0.015"),
    )
    assert outcome.tweet is not None
    assert outcome.tweet.text == "two"


@pytest.mark.parametrize("script", ["unreachable", "keys"])
def test_a_wish_that_x_refuses_is_not_repeated_behind_the_persons_back(world: World, script: str) -> None:
    world.x.script = [script]
    assert wished(world, "once only").kind is OutcomeKind.FAILED
    assert [row.status for row in world.tweets()] == [TweetStatus.FAILED]
    world.run(3600, every=600)
    assert world.x.calls == 1


def test_nothing_new_is_posted_while_an_earlier_outcome_stays_unknown(world: World) -> None:
    spans = {"lease_time": 10, "call_time": 5, "settle_delay": 5}
    world.engine = world.new_engine(**{name: timedelta(seconds=span) for name, span in spans.items()})
    world.x.visibility = world.clock.true - NOON
    world.x.script = ["lost_before"]
    assert wished(world, "unheard").kind is OutcomeKind.UNKNOWN
    world.x.reads = ["fail"] * 1000
    said: list[str] = []
    outcome = wished(world, "not before that one", said=said)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.WAITING, "unsettled")
    assert "still unknown" in outcome.detail
    # Twice a second.
    assert said == ["1 earlier post(s) with an unknown outcome: looking at the timeline again"] * 42
    assert world.x.calls == 1
    # Patience is four of X's delays, or as long as a dead worker's lease holds.
    assert (world.clock.true - NOON).total_seconds() == 21


def test_a_person_waits_for_another_worker_as_long_as_its_lease_holds(world: World) -> None:
    said: list[str] = []
    with leased(world.new_engine().context(world.profile)):
        began = world.clock.true
        assert settle_all(world.engine, world.profile, said.append).tweets == 0
    assert 90 <= (world.clock.true - began).total_seconds() <= 91
    assert set(said) == {"another worker acts for this account; waiting for it"}


def test_what_another_worker_may_have_under_way_counts_as_one_unknown_post(world: World) -> None:
    other = world.new_engine(lease_time=timedelta(minutes=5))
    with leased(other.context(world.profile)):
        left = settle_all(world.engine, world.profile, lambda _said: None)
    assert (left.tweets, left.holding_up) == (1, 1)


def test_what_is_settled_already_needs_no_waiting(world: World) -> None:
    said: list[str] = []
    assert settle_all(world.engine, world.profile, said.append).tweets == 0
    assert (said, world.clock.true) == ([], NOON)


def test_a_stopwatch_adds_up_milliseconds_by_name() -> None:
    moments = iter([0.0, 0.25, 10.0, 10.5, 20.0, 20.001])
    watch = Stopwatch(lambda: next(moments))
    for name in ("store", "store", "publish"):
        with watch.measure(name):
            pass
    assert {name: round(spent, 6) for name, spent in watch.spent.items()} == {"store": 750.0, "publish": 1.0}


@pytest.mark.parametrize(
    ("status", "reason", "holds_up"),
    [
        ("publishing", None, True),
        ("unknown", "no_answer", True),
        ("unknown", "duplicate", True),
        ("unknown", "duplicate_unseen", False),
        ("posted", None, False),
        ("drafted", None, False),
    ],
)
def test_a_wish_waits_for_a_post_of_another_process_whose_outcome_is_open(
    world: World, status: str, reason: str | None, holds_up: bool
) -> None:
    world.slot(3600, "of another process")
    world.change(
        "UPDATE tweets SET status = CAST(:status AS tweet_status), reason = :reason, intent_at = :at, "
        "posted_at = :at, x_tweet_id = '7'",
        status=status,
        reason=reason,
        at=NOON,
    )
    assert _unsettled(world.engine.context(world.profile)) is holds_up


def overtaken(world: World) -> Outcome:
    """A wish; when all is written, another process's post becomes unknown."""
    spans = {"lease_time": 10, "call_time": 5, "settle_delay": 5}
    world.engine = world.new_engine(**{name: timedelta(seconds=span) for name, span in spans.items()})
    world.slot(3600, "of another process")

    def say(step: str) -> None:
        if step == "publishing":
            world.change(
                "UPDATE tweets SET status = 'unknown', intent_at = :at WHERE slot_id IS NOT NULL", at=NOON
            )
            world.change("UPDATE posting_schedule SET status = 'claimed'")

    watch = Stopwatch(lambda: 0.0)
    return post_once(world.engine, world.profile, Wish(posts=(Post(text="mine"),)), watch=watch, say=say)


def test_a_wish_that_is_overtaken_by_an_unknown_outcome_waits_for_it(world: World) -> None:
    world.x.reads = ["fail"] * 100
    outcome = overtaken(world)
    assert (outcome.kind, outcome.reason, world.x.calls) == (OutcomeKind.WAITING, "lease_elsewhere", 0)
    assert "not settled yet" in outcome.detail
    assert (world.clock.true - NOON).total_seconds() == 10


def test_a_wish_that_is_overtaken_goes_out_once_that_outcome_is_settled(world: World) -> None:
    world.x.posts = [LivePost(x_tweet_id="7", text="of another process", created_at=NOON)]
    assert overtaken(world).kind is OutcomeKind.POSTED
    assert [tweet.reason for tweet in world.tweets()] == ["adopted", None]
    assert [post.text for post in world.x.posts] == ["of another process", "mine"]


@pytest.mark.parametrize("mode", [Mode.DRY_RUN, Mode.REVIEW, Mode.AUTO])
def test_a_paused_profile_takes_a_wish_into_its_queue_only_where_a_worker_would_post_it(
    world: World, mode: Mode
) -> None:
    world.change("UPDATE profiles SET paused = true, mode = :mode", mode=mode.value)
    wish, watch = Wish(posts=(Post(text="later"),), queue=True), Stopwatch(lambda: 0.0)
    outcome = post_once(world.engine, world.profile, wish, watch=watch, say=lambda _said: None)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.WAITING, "paused")
    queued = [TweetStatus.APPROVED] if mode is Mode.AUTO else []
    assert [row.status for row in world.tweets()] == queued
    assert outcome.queued is bool(queued)


@pytest.mark.parametrize(
    ("script", "kind", "reason", "detail"),
    [
        ([], OutcomeKind.POSTED, None, ""),
        (["refuse"], OutcomeKind.FAILED, "policy", "the worker tried it"),
    ],
)
def test_a_wish_that_the_worker_takes_from_the_queue_first_ends_as_it_did_there(
    world: World, script: list[str], kind: OutcomeKind, reason: str | None, detail: str
) -> None:
    world.x.script = script

    def say(step: str) -> None:
        if step == "publishing":
            world.new_engine().tick(world.profile)

    wish, watch = Wish(posts=(Post(text="mine"),), queue=True), Stopwatch(lambda: 0.0)
    outcome = post_once(world.engine, world.profile, wish, watch=watch, say=say)
    assert (outcome.kind, outcome.reason, outcome.detail) == (kind, reason, detail)
    assert outcome.tweet == world.tweets()[0]
    assert world.x.calls == 1

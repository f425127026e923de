"""What X calls a duplicate exists: it counts, is looked for with patience, and holds nobody up for long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.errors import OutcomeUnknown
from bot.core.model import Posted
from bot.core.posting.post import Post
from bot.core.spending.limits import Limits
from bot.core.states import Mode, TweetStatus
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.posting_once import Wish, post_once, settle_all
from bot.engine.reports import report_status
from bot.engine.stopwatch import Stopwatch
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import World

TEXT = "its first answer was lost"
HOUR = 3600.0
DAY = 24 * HOUR


def calls(world: World) -> list[tuple[str, int]]:
    rows = world.rows(
        "SELECT state::text, count(*) FROM api_calls WHERE kind = 'post' GROUP BY state ORDER BY state::text"
    )
    return [(state, number) for state, number in rows]


def reads(world: World) -> int:
    return int(world.rows("SELECT count(*) FROM api_calls WHERE kind = 'read'")[0][0])


def events(world: World, name: str) -> int:
    return sum(event == name for event, _ in world.log.events)


def refused_as_duplicate(world: World, *texts: str) -> None:
    """Its first call is lost, X shows nothing for days, and calls the resend a duplicate."""
    world.x.visibility = timedelta(days=9)
    world.slot(0, *(texts or (TEXT,)))
    world.x.script = ["lost_after"]
    world.run(200, every=31)
    tweet = world.tweets()[0]
    assert (tweet.status, tweet.reason, world.x.calls) == (TweetStatus.UNKNOWN, "duplicate", 2)


@pytest.mark.parametrize("lag", [165, 30 * 60, 10 * HOUR])
def test_a_post_that_shows_late_is_counted_all_the_while_and_adopted(world: World, lag: float) -> None:
    world.engine = with_caps(world, Limits(posts_24h=2, posts_15min=None))
    world.x.visibility = timedelta(seconds=lag)
    world.slot(0, TEXT)
    world.slot(300, "second")
    world.slot(310, "one too many")
    world.x.script = ["lost_after"]
    world.run(900, every=31)
    world.run(DAY - 1500, every=1800)
    assert [world.x.count(text) for text in (TEXT, "one too many")] == [1, 0]
    assert len(world.x.posts) <= 2
    first = world.tweets()[0]
    assert (first.status, first.reason) == (TweetStatus.POSTED, "adopted")
    assert calls(world) == [("released", 1), ("settled", len(world.x.posts))]


def test_it_counts_against_the_cap_although_it_is_never_found(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_24h=1, posts_15min=None))
    refused_as_duplicate(world)
    world.slot(HOUR, "over the cap")
    world.run(2 * HOUR, every=300)
    assert world.x.calls == 2
    assert calls(world) == [("released", 1), ("unknown", 1)]
    assert world.rows("SELECT sum(tweets_posted) FROM api_usage_tracking") == [(1,)]


def test_it_is_looked_for_for_a_day_by_few_reads_and_then_stays_counted(world: World) -> None:
    refused_as_duplicate(world)
    world.run(DAY + HOUR, every=1800)
    (tweet,) = world.tweets()
    assert (tweet.status, tweet.reason) == (TweetStatus.FAILED, "duplicate_refused")
    assert world.x.calls == 2
    assert calls(world) == [("released", 1), ("settled", 1)]
    assert reads(world) <= 4 + 14
    before = reads(world)
    world.run(DAY, every=4 * HOUR)
    assert reads(world) == before
    assert world.rows("SELECT status::text FROM posting_schedule") == [("skipped",)]


def test_reads_that_fail_end_the_search_after_a_day_too(world: World) -> None:
    refused_as_duplicate(world)
    world.x.reads = ["fail"] * 500
    world.run(DAY + HOUR, every=1800)
    assert [tweet.reason for tweet in world.tweets()] == ["duplicate_refused"]
    assert 500 - len(world.x.reads) <= 40
    assert calls(world) == [("released", 1), ("settled", 1)]


def test_nothing_new_waits_for_it_after_an_hour(world: World) -> None:
    refused_as_duplicate(world)
    world.slot(HOUR - 400, "waits for an hour")
    world.run(HOUR - 300, every=300)
    assert world.x.calls == 2
    world.run(600, every=60)
    assert world.x.count("waits for an hour") == 1
    assert world.tweets()[0].status is TweetStatus.UNKNOWN


def test_a_person_waits_for_it_no_longer_either(world: World) -> None:
    refused_as_duplicate(world)
    world.run(HOUR, every=300)
    begun = world.clock.true
    left = settle_all(world.engine, world.profile, lambda _: None)
    assert (left.tweets, left.holding_up) == (1, 0)
    watch = Stopwatch(seconds=lambda: 0.0)
    outcome = post_once(
        world.engine, world.profile, Wish(posts=(Post(text="a wish"),)), watch=watch, say=lambda _: None
    )
    assert outcome.kind is OutcomeKind.POSTED
    assert world.clock.true == begun


def test_the_operator_is_told_once(world: World) -> None:
    refused_as_duplicate(world)
    assert events(world, "duplicate_unseen") == 0
    world.run(5 * HOUR, every=1800)
    world.engine.settle(world.profile)
    assert events(world, "duplicate_unseen") == 1
    assert world.rows("SELECT repeated FROM decisions WHERE verdict = 'unseen'") == [(1,)]
    parts = world.engine.services
    told = report_status(
        world.manager,
        parts.limits,
        world.profile,
        now=world.clock.now(),
        mode=Mode.AUTO,
    )
    assert (told.unseen, told.open["unknown"]) == (1, 1)


def test_the_next_parts_of_a_thread_wait_for_its_id(world: World) -> None:
    refused_as_duplicate(world, TEXT, "second part", "third part")
    world.run(2 * HOUR, every=300)
    assert world.x.calls == 2
    world.x.visibility = timedelta(0)
    world.run(6 * HOUR, every=1800)
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.POSTED] * 3
    assert [post.reply_to for post in world.x.posts][1:] == [post.x_tweet_id for post in world.x.posts][:-1]
    assert world.rows("SELECT status::text FROM posting_schedule") == [("done",)]
    world.check_books()


def test_its_text_is_not_written_again(world: World) -> None:
    refused_as_duplicate(world)
    world.run(DAY + HOUR, every=3600)
    with world.manager.transaction() as tx:
        known = tx.tweets.fingerprints(world.profile_id, since=world.clock.now() - timedelta(days=30))
        assert world.tweets()[0].fingerprint in known
        assert tx.tweets.recent_texts(world.profile_id, limit=5) == [TEXT]


def test_two_lost_calls_are_looked_for_longer_than_one(world: World) -> None:
    """The resend's answer, a duplicate, is lost too, and X shows the post minutes later."""
    world.x.visibility = timedelta(seconds=280)
    world.slot(0, TEXT)
    world.x.script = ["lost_after", "lost_before"]
    world.run(900, every=30)
    assert [(tweet.status, tweet.reason) for tweet in world.tweets()] == [(TweetStatus.POSTED, "adopted")]
    world.check_books()


@pytest.mark.parametrize("seconds", [100, 200])
def test_a_duplicate_heard_late_forestalls_a_resend(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Another worker has taken the tweet over: found nothing yet, or taken it for absent."""
    world.x.visibility = timedelta(days=1)

    def create_post(_post: Post) -> Posted:
        monkeypatch.undo()
        world.clock.pass_time(seconds)
        world.change("UPDATE profiles SET paused = true")
        another = world.new_engine()
        another.settle(world.profile)
        world.clock.pass_time(31)
        if seconds == 200:
            another.settle(world.profile)
        raise OutcomeUnknown("duplicate", code="duplicate")

    monkeypatch.setattr(world.x, "create_post", create_post)
    world.slot(0, TEXT)
    world.engine.tick(world.profile)
    (tweet,) = world.tweets()
    assert (tweet.status, tweet.reason, tweet.next_attempt_at) == (TweetStatus.UNKNOWN, "duplicate", None)
    assert (tweet.looked_at is None) is (seconds == 200)
    world.change("UPDATE profiles SET paused = false")
    world.run(900, every=30)
    assert world.x.calls == 0
    assert [(tweet.status, tweet.reason) for tweet in world.tweets()] == [(TweetStatus.UNKNOWN, "duplicate")]
    assert ("unknown", 1) in calls(world)

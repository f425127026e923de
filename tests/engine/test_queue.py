"""Texts that a person queued: the worker posts them in order, within the limits, and keeps them till then."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from bot.core.posting.post import Post
from bot.core.states import TweetStatus
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.posting_once import Wish, post_once
from bot.engine.stopwatch import Stopwatch
from tests.engine.world import World


def queue(world: World, *texts: str) -> Outcome:
    """What becomes of a wish that may wait."""
    wish = Wish(posts=[Post(text=text) for text in texts], queue=True)
    watch = Stopwatch(lambda: 0.0)
    return post_once(world.engine, world.profile, wish, watch=watch, say=lambda _what: None)


def rows(world: World) -> dict[str, TweetStatus]:
    return {tweet.text: tweet.status for tweet in world.tweets()}


def pause(world: World, *, paused: bool) -> None:
    world.change("UPDATE profiles SET paused = :paused", paused=paused)


def test_queued_texts_go_in_their_order_and_apart(world: World) -> None:
    world.change("UPDATE plans SET spacing_seconds = 600")
    pause(world, paused=True)
    for text in ("One.", "Two.", "Three."):
        assert queue(world, text).queued
        world.clock.pass_time(1)
    world.run(20)
    assert world.x.posts == []

    pause(world, paused=False)
    world.run(1300, every=50)

    assert [post.text for post in world.x.posts] == ["One.", "Two.", "Three."]
    made = [post.created_at for post in world.x.posts if post.created_at is not None]
    assert all(later - before >= timedelta(seconds=600) for before, later in pairwise(made))


def test_of_queued_texts_and_threads_one_goes_a_tick(world: World) -> None:
    pause(world, paused=True)
    for texts in (("one",), ("two", "its part"), ("three",)):
        queue(world, *texts)
        world.clock.pass_time(1)
    pause(world, paused=False)
    posted = []
    for _ in range(3):
        world.engine.tick(world.profile)
        posted.append(len(world.x.posts))
    assert posted == [1, 3, 4]
    assert [post.text for post in world.x.posts] == ["one", "two", "its part", "three"]


def test_a_queued_text_outlasts_an_x_that_can_not_be_reached(world: World) -> None:
    world.x.script = ["unreachable"] * 4

    outcome = queue(world, "Patience.")
    assert (outcome.kind, outcome.queued) == (OutcomeKind.WAITING, True)
    world.run(1800, every=60)

    assert [post.text for post in world.x.posts] == ["Patience."]


def test_a_queued_thread_goes_whole(world: World) -> None:
    pause(world, paused=True)
    assert [part.text for part in queue(world, "First.", "Second.").parts] == ["First.", "Second."]
    pause(world, paused=False)

    world.run(20)

    assert [post.text for post in world.x.posts] == ["First.", "Second."]
    assert world.x.posts[1].reply_to == world.x.posts[0].x_tweet_id


def test_what_was_wished_for_without_the_queue_is_not_posted_later(world: World) -> None:
    world.x.script = ["unreachable"]
    watch = Stopwatch(lambda: 0.0)

    outcome = post_once(
        world.engine,
        world.profile,
        Wish(posts=(Post(text="Now or never."),)),
        watch=watch,
        say=lambda _what: None,
    )
    world.run(1800, every=60)

    assert not outcome.queued
    assert world.x.posts == []
    assert rows(world) == {"Now or never.": TweetStatus.FAILED}


def test_in_a_dry_run_nothing_is_queued(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'dry-run'")

    assert queue(world, "Only a try.").kind is OutcomeKind.DRY_RUN
    assert rows(world) == {"Only a try.": TweetStatus.DRAFTED}

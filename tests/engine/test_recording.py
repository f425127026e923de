"""Whatever X said is saved, however late, and whoever acts for the profile by then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.model import Posted
from bot.core.posting.post import Post
from bot.core.states import TweetStatus
from bot.engine.outcomes import Outcome, OutcomeKind
from tests.engine.world import NOON, BreakableDatabase, Killed, World

TEXT = "answered while others act"
BEYOND_THE_LEASE = 100.0


@pytest.fixture
def meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], Outcome]:
    """Posts one slot; while X holds its answer back the lease runs out and something else happens."""

    def post(happens: Callable[[], object]) -> Outcome:
        create = world.x.create_post

        def create_post(post: Post) -> Posted:
            monkeypatch.setattr(world.x, "create_post", create)
            try:
                return create(post)
            finally:
                world.clock.pass_time(BEYOND_THE_LEASE)
                happens()

        monkeypatch.setattr(world.x, "create_post", create_post)
        world.slot(0, TEXT)
        (outcome,) = world.engine.tick(world.profile)
        return outcome

    return post


def another_ticks(world: World) -> None:
    world.new_engine().tick(world.profile)


def another_settles(world: World) -> None:
    """Takes the tweet over, finds it absent twice, and does not send it because of a pause."""
    world.change("UPDATE profiles SET paused = true")
    another = world.new_engine()
    another.settle(world.profile)
    world.clock.pass_time(31)
    another.settle(world.profile)
    (tweet,) = world.tweets()
    assert (tweet.status, tweet.reason) == (TweetStatus.APPROVED, "absent")


def one_post(world: World) -> None:
    (tweet,) = world.tweets()
    (live,) = world.x.posts
    assert (tweet.status, tweet.x_tweet_id) == (TweetStatus.POSTED, live.x_tweet_id)
    world.check_books()


def test_a_yes_that_another_worker_has_already_found_changes_nothing(
    world: World, meanwhile: Callable[[Callable[[], object]], Outcome]
) -> None:
    outcome = meanwhile(lambda: another_ticks(world))
    assert (outcome.kind, outcome.reason, outcome.detail) == (OutcomeKind.POSTED, None, "")
    assert outcome.cost_usd == Decimal("0.015")
    assert outcome.tweet == world.tweets()[0]
    assert outcome.verdict is not None
    one_post(world)


def test_a_yes_settles_what_another_worker_still_looks_for(
    world: World, meanwhile: Callable[[Callable[[], object]], Outcome]
) -> None:
    world.x.visibility = timedelta(days=1)
    outcome = meanwhile(lambda: another_ticks(world))
    assert outcome.kind is OutcomeKind.POSTED
    one_post(world)
    assert world.rows("SELECT status FROM posting_schedule") == [("done",)]


def test_a_yes_forestalls_the_resend_of_what_was_taken_for_absent(
    world: World, meanwhile: Callable[[Callable[[], object]], Outcome]
) -> None:
    world.x.visibility = timedelta(days=1)
    outcome = meanwhile(lambda: another_settles(world))
    assert outcome.kind is OutcomeKind.POSTED
    one_post(world)
    world.change("UPDATE profiles SET paused = false")
    world.run(600, every=60)
    assert world.x.calls == 1
    one_post(world)


def test_a_yes_that_comes_after_a_resend_is_paid_for_and_told(
    world: World, meanwhile: Callable[[Callable[[], object]], Outcome]
) -> None:
    """Only an X that hides a post for minutes, and then takes it again, brings this about."""
    world.x.visibility, world.x.refuses_duplicates = timedelta(days=1), False

    def resends() -> None:
        another_settles(world)
        world.change("UPDATE profiles SET paused = false")
        another_ticks(world)

    meanwhile(resends)
    (tweet,) = world.tweets()
    first, second = world.x.posts
    assert (tweet.status, tweet.x_tweet_id) == (TweetStatus.POSTED, second.x_tweet_id)
    assert world.rows("SELECT reason FROM decisions WHERE verdict = 'late'") == [
        (f"X made {first.x_tweet_id} after all",)
    ]
    assert world.rows("SELECT tweets_posted FROM api_usage_tracking WHERE tweets_posted > 0") == [(2,)]
    booked = "SELECT state::text FROM api_calls WHERE kind = 'post' AND state <> 'released' ORDER BY 1"
    assert world.rows(booked) == [("external",), ("settled",)]


@pytest.mark.parametrize("moment", range(9))
def test_a_yes_at_any_moment_of_anothers_settling_counts_once(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """The answer is heard between two transactions of the worker that took the tweet over."""
    called, heard = threading.Event(), threading.Event()
    create = world.x.create_post

    def create_post(post: Post) -> Posted:
        posted = create(post)
        called.set()
        assert heard.wait(30)
        return posted

    monkeypatch.setattr(world.x, "create_post", create_post)
    world.slot(0, TEXT)
    profile = world.profile
    first = threading.Thread(target=world.engine.tick, args=(profile,))
    first.start()
    assert called.wait(30)

    def answer() -> None:
        heard.set()
        first.join(30)

    world.clock.pass_time(BEYOND_THE_LEASE)
    between = BreakableDatabase(world.manager, [*["ok"] * moment, answer], clock=world.clock)
    second = world.new_engine()
    world.engine_with(replace(second.services, database=between)).tick(profile)

    assert heard.is_set()
    assert not first.is_alive()
    assert world.x.calls == 1
    one_post(world)


@pytest.mark.parametrize("script", ["refuse", "lost_before"])
def test_a_late_no_leaves_the_tweet_to_whoever_has_it_now(
    world: World, meanwhile: Callable[[Callable[[], object]], Outcome], script: str
) -> None:
    world.x.script = [script]
    outcome = meanwhile(lambda: another_ticks(world))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.UNKNOWN, "taken_over")
    assert outcome.cost_usd == Decimal("0.015")
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.UNKNOWN]
    world.run(600, every=20)
    assert world.x.calls == 2
    one_post(world)


def test_a_late_no_leaves_a_call_to_the_worker_that_makes_it_now(
    world: World, meanwhile: Callable[[Callable[[], object]], Outcome]
) -> None:
    world.x.visibility = timedelta(days=1)

    def resends_and_dies() -> None:
        another_settles(world)
        world.change("UPDATE profiles SET paused = false")
        world.x.script = ["kill_before"]
        with pytest.raises(Killed):
            another_ticks(world)

    world.x.script = ["refuse"]
    outcome = meanwhile(resends_and_dies)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.UNKNOWN, "taken_over")
    (tweet,) = world.tweets()
    assert (tweet.status, tweet.reason, tweet.attempts) == (TweetStatus.PUBLISHING, None, 2)
    assert world.rows("SELECT state FROM api_calls WHERE kind = 'post' ORDER BY at") == [
        ("released",),
        ("reserved",),
    ]


def test_a_database_that_comes_back_soon_learns_of_the_yes(world: World) -> None:
    world.slot(0, TEXT)
    lost = fails_after_the_call(world, times=3)
    (outcome,) = world.engine.tick(world.profile)
    assert outcome.kind is OutcomeKind.POSTED
    assert lost() == 0
    one_post(world)


def test_a_database_that_stays_away_leaves_the_outcome_to_the_timeline(world: World) -> None:
    world.slot(0, TEXT)
    lost = fails_after_the_call(world, times=30)
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.UNKNOWN, "record_failed")
    assert outcome.cost_usd == Decimal("0.015")
    assert outcome.tweet is not None
    # After 0, 0.2, 0.6, 1.4, 3, 6.2, 11.2, 16.2 and 21.2 seconds; then the lease could not be given back.
    assert (lost(), world.clock.true - NOON) == (20, timedelta(seconds=21.2))
    world.database.failures.clear()
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.PUBLISHING]
    world.clock.pass_time(BEYOND_THE_LEASE)
    world.run(60, every=20)
    assert world.x.calls == 1
    one_post(world)


def test_an_outcome_is_given_up_at_the_end_of_its_time_and_not_after_one_more_pause(world: World) -> None:
    world.engine = world.new_engine(record_time=timedelta(seconds=3))
    world.slot(0, TEXT)
    lost = fails_after_the_call(world, times=30)
    world.engine.tick(world.profile)
    # After 0, 0.2, 0.6, 1.4 and 3 seconds.
    assert (lost(), world.clock.true - NOON) == (24, timedelta(seconds=3))


def fails_after_the_call(world: World, *, times: int) -> Callable[[], int]:
    """Takes the database away once X has answered; gives how many failures are still to come."""
    create = world.x.create_post

    def create_post(post: Post) -> Posted:
        try:
            return create(post)
        finally:
            world.database.failures = ["down"] * times

    world.x.create_post = create_post  # type: ignore[method-assign]  # this world's alone
    return lambda: len(world.database.failures)

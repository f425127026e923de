"""Workers whose machines tell different times: one acts, and nothing is posted twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from bot.core.model import Posted
from bot.core.posting.post import Post
from bot.core.spending.limits import Limits
from bot.core.states import TweetStatus
from bot.engine.leasing import leased
from bot.engine.posting.publishing import publish
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import Process, ScriptedX, VirtualClock, World

SKEWS = [-300, 300]


@dataclass
class Machine:
    """A machine's clock beside the true one. It agrees with the database's as the real clock does."""

    world: VirtualClock
    off: timedelta

    def now(self) -> datetime:
        return self.world.true + self.off

    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    def monotonic(self) -> float:
        return self.world.monotonic() - 1_000_000

    def agree(self, moment: datetime, *, since: datetime) -> None:
        self.off += moment - since


class SlowX(ScriptedX):
    """An X that lets something else happen while it makes a post."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def create_post(self, post: Post) -> Posted:
        self.meanwhile()
        return super().create_post(post)


def a_worker(world: World, skew: float) -> Process:
    engine = world.new_engine()
    clock = Machine(world.clock, timedelta(seconds=skew))
    return world.engine_with(replace(engine.services, clock=clock))


@pytest.mark.parametrize("skew", SKEWS)
def test_a_live_lease_is_not_taken_by_a_worker_whose_clock_is_off(world: World, skew: float) -> None:
    world.x = SlowX(world.clock)
    world.x.refuses_duplicates = False
    one, other = a_worker(world, 0), a_worker(world, skew)
    world.slot(0, "by one of them")
    world.x.meanwhile = lambda: other.tick(world.profile)
    one.tick(world.profile)
    for _ in range(20):
        world.clock.pass_time(20)
        other.tick(world.profile)
        one.tick(world.profile)
    assert world.x.calls == 1
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.POSTED]
    assert world.rows("SELECT count(*) FROM decisions WHERE reason LIKE 'another worker%'") == [(1,)]


@pytest.mark.parametrize("skew", SKEWS)
def test_looks_of_two_workers_at_one_unknown_tweet_are_spaced_by_one_clock(world: World, skew: float) -> None:
    """X shows the post after 25 seconds: looks that only seem half a minute apart prove nothing."""
    world.x.refuses_duplicates = False
    world.x.visibility = timedelta(seconds=25)
    workers = [a_worker(world, 0), a_worker(world, skew)]
    world.slot(0, "its answer is lost")
    world.x.script = ["error_after"]
    for number in range(60):
        workers[number % 2].tick(world.profile)
        world.clock.pass_time(2)
    assert world.x.calls == 1
    assert [(tweet.status, tweet.reason) for tweet in world.tweets()] == [(TweetStatus.POSTED, "adopted")]
    world.check_books()


@pytest.mark.parametrize("skew", SKEWS)
def test_posts_of_two_workers_whose_clocks_differ_fill_one_day(world: World, skew: float) -> None:
    workers = [a_worker(world, 0), a_worker(world, skew)]
    for number in range(8):
        world.slot(number * 60, f"text {number}")
    limits = with_caps(world, Limits(posts_15min=3)).services.limits
    workers = [world.engine_with(replace(one.services, limits=limits)) for one in workers]
    for number in range(14 * 3):
        workers[number % 2].tick(world.profile)
        world.clock.pass_time(20)
    assert len(world.x.posts) == 3


@pytest.mark.parametrize("jump", [-3600.0, 0.0, 3600.0])
@pytest.mark.parametrize(("asleep", "calls"), [(29, 1), (31, 0)])
def test_no_call_is_made_that_the_lease_may_not_outlast_whatever_the_machines_clock_says(
    world: World, jump: float, asleep: float, calls: int
) -> None:
    """A lease of 90 seconds, a call of up to 60, and a process that slept in between."""
    world.slot(0, "after a nap")
    (tweet,) = world.tweets()
    with leased(world.engine.context(world.profile)) as lease:
        assert lease is not None
        world.clock.pass_time(asleep)
        world.clock.jump(jump)
        publish(world.engine.context(world.profile), lease, tweet, spaced=True)
    assert world.x.calls == calls

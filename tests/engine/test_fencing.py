"""What a stale process may not do, and what a mode may not let out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.model import LivePost, Timeline
from bot.core.posting.lifecycle import deleted
from bot.core.spending.limits import Limits
from bot.core.states import TweetStatus
from bot.engine.posting.reconciling import Unsettled
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import ScriptedX, World


class Interrupted(ScriptedX):
    """An X at whose timeline the reader is frozen while another worker goes on."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.world = world
        self.frozen = False

    def timeline(self, x_user_id: str, *, since_id: str | None = None, limit: int = 100) -> Timeline:
        answer = super().timeline(x_user_id, since_id=since_id, limit=limit)
        if self.frozen:
            self.frozen = False
            self.clock.pass_time(200)
            self.world.engine = self.world.new_engine()
            self.world.run(20, every=20)
        return answer


def test_a_reader_that_wakes_after_its_lease_moved_settles_nothing(world: World) -> None:
    x = Interrupted(world)
    x.refuses_duplicates = False
    world.x = x
    world.engine = world.new_engine()
    world.slot(0, "read by a frozen process")
    x.script = ["lost_before", "lost_after"]
    world.run(100, every=20)
    x.frozen = True
    world.run(400, every=20)
    assert not x.frozen
    assert x.count("read by a frozen process") == 1
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.POSTED]
    world.check_books()


def keep_up(world: World, text: str, what_x_does: str) -> None:
    """A post whose outcome nobody heard is found absent, and a pause keeps its resend up."""
    world.slot(0, text)
    world.x.script = [what_x_does]
    world.engine.tick(world.profile)
    world.change("UPDATE profiles SET paused = true")
    world.run(200, every=31)


def test_nothing_new_is_posted_while_an_outcome_is_unknown(world: World) -> None:
    world.x.visibility = timedelta(seconds=20)
    world.slot(0, "unheard")
    world.slot(5, "waits its turn")
    world.x.script = ["error_after"]
    world.run(15, every=5)
    assert world.x.calls == 1
    world.run(60, every=5)
    assert [world.x.count(text) for text in ("unheard", "waits its turn")] == [1, 1]


def test_a_dry_run_sends_nothing_that_was_tried_before(world: World) -> None:
    world.slot(0, "refused at first")
    world.x.script = ["unreachable"]
    world.run(5)
    world.change("UPDATE profiles SET mode = 'dry-run'")
    world.run(60)
    assert world.x.posts == []


def test_a_draft_from_before_the_review_waits_for_a_person(world: World) -> None:
    world.slot(0, "nobody has seen it")
    world.change("UPDATE profiles SET mode = 'review'")
    world.run(30)
    assert world.x.calls == 0
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.AWAITING_APPROVAL]


def test_a_thread_starts_only_when_all_of_it_is_paid(world: World) -> None:
    world.engine = with_caps(world, Limits(budget_usd=Decimal("0.04"), posts_24h=None))
    world.slot(0, "one", "two", "three")
    world.run(30)
    assert world.x.calls == 0
    world.engine = with_caps(world, Limits(budget_usd=Decimal("0.05"), posts_24h=None))
    world.slot(0, "four", "five", "six")
    world.run(30)
    assert _texts(world.x) == ["four", "five", "six"]


def _texts(x: ScriptedX) -> Sequence[str]:
    return [post.text for post in x.posts]


@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
def test_a_post_is_found_by_a_process_whose_clock_is_wrong(world: World, hours: int) -> None:
    """Clocks of the bot and of X are never compared where X's own order says what came first."""
    world.x.refuses_duplicates = False
    world.x.visibility = timedelta(seconds=20)
    world.slot(0, "known before")
    world.run(60, every=20)
    world.clock.jump(hours * 3600.0)
    world.slot(0, "its answer is lost")
    world.x.script = ["error_after"]
    world.run(200, every=20)
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.POSTED, TweetStatus.POSTED]
    assert world.x.calls == 2
    world.check_books()


def test_a_resend_that_was_kept_up_is_looked_for_again_first(world: World) -> None:
    """X shows the post only after it was taken for absent, while a pause keeps the resend up."""
    world.x.refuses_duplicates = False
    world.x.visibility = timedelta(seconds=150)
    keep_up(world, "shown late", "error_after")
    assert [tweet.reason for tweet in world.tweets()] == ["absent"]
    world.change("UPDATE profiles SET paused = false")
    world.run(100, every=20)
    assert [(tweet.status, tweet.reason) for tweet in world.tweets()] == [(TweetStatus.POSTED, "adopted")]
    assert world.x.calls == 1
    world.check_books()


def test_a_resend_that_was_kept_up_still_goes_out_when_the_text_is_nowhere(world: World) -> None:
    keep_up(world, "lost for good", "lost_before")
    world.change("UPDATE profiles SET paused = false")
    world.run(200, every=31)
    assert [(tweet.status, tweet.resends) for tweet in world.tweets()] == [(TweetStatus.POSTED, 1)]
    assert world.x.calls == 2
    world.check_books()


@pytest.mark.no_cover  # days of ticks over the same lines
def test_a_timeline_that_no_read_shows_whole_is_not_bought_again_and_again(world: World) -> None:
    """Someone else posts more than a read shows: looks grow rarer, and the tweet is settled in the end."""
    world.slot(0, "known before")
    world.run(20, every=20)
    world.slot(0, "lost among others")
    world.x.script = ["lost_before"]
    world.engine.tick(world.profile)
    world.x.posts += [
        LivePost(x_tweet_id=str(5000 + number), text=f"by hand {number}", created_at=world.clock.true)
        for number in range(900)
    ]
    world.run(3600, every=30)
    ((reads,),) = world.rows("SELECT count(*) FROM api_calls WHERE kind = 'read'")
    assert reads <= 5 * 9
    assert world.tweets()[1].status is TweetStatus.UNKNOWN


def test_a_part_whose_root_was_removed_while_it_was_unknown_ends(world: World) -> None:
    world.slot(0, "root", "second", "third")
    world.x.script = ["accept", "lost_before"]
    world.engine.tick(world.profile)
    root, *_ = world.tweets()
    with world.manager.transaction() as tx:
        tx.tweets.save(deleted(tx.tweets.lock(root.id)))
    world.run(300, every=31)
    assert [tweet.status for tweet in world.tweets()] == [
        TweetStatus.DELETED,
        TweetStatus.FAILED,
        TweetStatus.REJECTED,
    ]
    assert [tweet.reason for tweet in world.tweets()[1:]] == ["thread_broken", "thread_broken"]


@pytest.mark.no_cover  # days of ticks over the same lines
def test_a_person_who_asks_does_not_wait_for_a_look_that_was_put_off(world: World) -> None:
    world.x.visibility = timedelta(seconds=1)
    world.slot(0, "unheard")
    world.x.script = ["error_after"]
    world.x.reads = ["fail"] * 30
    world.run(1800, every=30)
    looks = 30 - len(world.x.reads)
    assert looks <= 9
    world.x.reads.clear()
    world.run(60, every=10)
    assert world.tweets()[0].status is TweetStatus.UNKNOWN
    assert world.engine.settle(world.profile) == Unsettled(tweets=0, holding_up=0)
    assert world.tweets()[0].reason == "adopted"


def test_a_person_who_keeps_asking_buys_no_read_more_often_than_xs_delay(world: World) -> None:
    world.slot(0, "unheard")
    world.x.script = ["error_after"]
    world.engine.tick(world.profile)
    world.x.reads = ["lost"] * 100
    for _ in range(20):
        world.engine.settle(world.profile)
        world.clock.pass_time(3)
    assert 100 - len(world.x.reads) <= 3


def test_a_resend_that_x_refuses_for_a_while_needs_no_new_proof(world: World) -> None:
    world.slot(0, "lost, then refused")
    world.x.script = ["lost_before", "unreachable"]
    world.run(120, every=5)
    assert [(tweet.status, tweet.resends) for tweet in world.tweets()] == [(TweetStatus.POSTED, 1)]
    reads = world.rows("SELECT count(*) FROM api_calls WHERE kind = 'read'")
    assert reads == [(3,)]


def test_one_read_that_fails_hours_after_the_call_is_made_again_soon(world: World) -> None:
    world.slot(0, "its process died")
    world.x.script = ["kill_after"]
    world.run(5, every=5)
    world.clock.pass_time(2 * 3600)
    world.x.reads = ["fail"]
    world.run(60, every=5)
    assert [tweet.reason for tweet in world.tweets()] == ["adopted"]


def test_nothing_new_goes_out_in_the_tick_that_doubts_an_absence(world: World) -> None:
    keep_up(world, "kept up", "lost_before")
    world.slot(0, "due when the pause ends")
    world.change("UPDATE profiles SET paused = false")
    world.engine.tick(world.profile)
    assert world.x.posts == []
    world.run(300, every=31)
    assert [post.text for post in world.x.posts] == ["kept up", "due when the pause ends"]


def test_a_last_part_ends_with_its_root_although_the_part_between_is_live(world: World) -> None:
    world.slot(0, "root", "second", "third")
    world.x.script = ["accept", "accept", "lost_before"]
    world.engine.tick(world.profile)
    root, *_ = world.tweets()
    with world.manager.transaction() as tx:
        tx.tweets.save(deleted(tx.tweets.lock(root.id)))
    world.run(300, every=31)
    assert world.x.calls == 3
    assert [(tweet.status, tweet.reason) for tweet in world.tweets()][2] == (
        TweetStatus.FAILED,
        "thread_broken",
    )
    assert ("a part before it is gone",) in world.rows("SELECT reason FROM decisions")

"""What a person does with the queue, and what becomes of the posts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.core.errors import NotPossibleNow, SettingError
from bot.core.posting.post import Post
from bot.core.spending.pricing import LISTED
from bot.core.states import SlotStatus, TweetStatus
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.batches import publish_ready
from bot.engine.posting.posting_once import Wish, post_once
from bot.engine.queue import Queued, read_queue, read_queued
from bot.engine.spending.limits_agent import LimitsAgent
from bot.engine.steering import Steering
from bot.engine.stopwatch import Stopwatch
from tests.engine.world import NOON, World

DUE = 60.0
LATER = NOON + timedelta(hours=3)


@pytest.fixture
def world(world: World) -> World:
    """Every post waits for a person."""
    world.change("UPDATE profiles SET mode = 'review'")
    return world


def steering(world: World) -> Steering:
    return Steering(services=world.engine.services, profile=world.profile)


def queue(world: World) -> list[Queued]:
    return list(read_queue(world.engine.services, world.profile))


def first(world: World) -> str:
    return str(queue(world)[0].tweet.id)


def awaiting(world: World, *texts: str, due_in: float = DUE) -> str:
    """A slot's draft that waits for a person."""
    world.slot(due_in, *texts)
    world.change("UPDATE tweets SET status = 'awaiting_approval'")
    return first(world)


def told(world: World) -> list[tuple[str, str]]:
    rows = world.rows("SELECT verdict, reason FROM decisions WHERE kind = 'operator' ORDER BY at, created_at")
    return [tuple(row) for row in rows]


def statuses(world: World) -> list[str]:
    return [tweet.status.value for tweet in world.tweets()]


def test_the_queue_names_text_moment_price_and_what_the_guard_says(world: World) -> None:
    awaiting(world, "later https://example.com", due_in=600)
    world.slot(60, "x" * 281)
    over, linked = queue(world)

    assert linked.due_at == NOON + timedelta(seconds=600)
    assert (linked.tweet.text, str(linked.cost_usd), linked.problems) == (
        "later https://example.com",
        "0.200",
        (),
    )
    assert [problem.rule for problem in over.problems] == ["length"]


def test_a_look_at_the_queue_waits_for_nobody_who_writes(world: World) -> None:
    awaiting(world, "seen")
    with world.manager.transaction() as tx:
        tx.tweets.lock_texts(world.profile_id)
        tx.ledger.lock()
        assert len(queue(world)) == 1


def test_what_goes_out_now_or_never_is_in_no_queue(world: World) -> None:
    world.slot(DUE, "a wish")
    world.change("UPDATE tweets SET origin = 'manual', slot_id = NULL")
    assert queue(world) == []


def test_what_is_approved_is_posted_at_its_slot_and_nothing_else_is(world: World) -> None:
    which = awaiting(world, "seen")
    world.run(DUE + 30)
    assert world.x.posts == []

    done = steering(world).approve(which[:8])
    world.run(60)

    assert done.tweet.status is TweetStatus.APPROVED
    assert world.x.count("seen") == 1
    assert told(world) == [("approved", "approved by the operator")]


def test_a_thread_is_approved_and_posted_as_a_whole(world: World) -> None:
    which = awaiting(world, "one", "two", "three")
    assert [part.text for part in queue(world)[0].parts] == ["two", "three"]

    steering(world).approve(which)
    world.run(DUE + 60)

    assert [post.text for post in world.x.posts] == ["one", "two", "three"]


def test_what_the_guard_refuses_is_not_approved(world: World) -> None:
    which = awaiting(world, "x" * 281)
    refused = steering(world).approve(which)

    assert [problem.rule for problem in refused.problems] == ["length"]
    assert (statuses(world), told(world)) == (["awaiting_approval"], [])


def test_a_text_that_was_said_meanwhile_is_not_approved(world: World) -> None:
    which = awaiting(world, "the same")
    world.slot(DUE + 1, "the same")
    world.change(
        "UPDATE tweets SET status = 'posted', x_tweet_id = '9', posted_at = :at WHERE id <> :id",
        at=NOON,
        id=which,
    )

    assert [problem.rule for problem in steering(world).approve(which).problems] == ["duplicate"]


def test_what_is_rejected_is_never_posted_and_its_slot_gets_another_text(world: World) -> None:
    which = awaiting(world, "Fact number 0 about the sea.", due_in=3600)
    steering(world).reject(which, because="too dull")
    assert told(world) == [("rejected", "too dull")]
    with world.manager.transaction() as tx:
        slot = tx.slots.to_write(world.profile_id, after=NOON, before=LATER)
    assert slot is not None

    prepare_next(world.context)

    assert [one.tweet.text for one in queue(world)] == ["Fact number 1 about the sea."]


def test_a_rejected_thread_ends_with_all_its_parts(world: World) -> None:
    steering(world).reject(awaiting(world, "one", "two"), because="no")
    world.run(DUE + 60)
    assert (statuses(world), world.x.posts) == (["rejected", "rejected"], [])


def test_what_was_approved_may_still_be_rejected(world: World) -> None:
    which = awaiting(world, "on second thoughts")
    steering(world).approve(which)
    steering(world).reject(which, because="no")
    world.run(DUE + 60)
    assert world.x.posts == []


def test_an_approval_falls_with_the_text_it_was_given_to(world: World) -> None:
    which = awaiting(world, "before")
    steering(world).approve(which)
    changed = steering(world).edit(which, "after")
    world.run(DUE + 30)

    assert (changed.tweet.text, changed.tweet.status) == ("after", TweetStatus.AWAITING_APPROVAL)
    assert (changed.tweet.writer, world.x.posts) == ("operator", [])
    assert told(world)[-1] == ("edited", "its text was changed by the operator")


def test_what_a_writer_wrote_is_not_written_again_though_a_person_changed_it(world: World) -> None:
    which = awaiting(world, "Fact number 0 about the sea.", due_in=3600)
    world.change("UPDATE tweets SET writer = 'plain'")
    steering(world).edit(which, "my own words")
    steering(world).reject(which, because="neither")

    prepare_next(world.context)

    assert [one.tweet.text for one in queue(world)] == ["Fact number 1 about the sea."]


def test_a_thread_of_which_one_part_changes_is_approved_anew(world: World) -> None:
    which = awaiting(world, "one", "two")
    steering(world).approve(which)
    part = str(queue(world)[0].parts[0].id)
    steering(world).edit(part, "three")
    assert statuses(world) == ["awaiting_approval", "awaiting_approval"]

    steering(world).approve(which)
    world.run(DUE + 60)

    assert [post.text for post in world.x.posts] == ["one", "three"]


@pytest.mark.parametrize("text", ["x" * 281, "", "said"])
def test_a_text_that_the_guard_refuses_changes_nothing(world: World, text: str) -> None:
    world.slot(DUE * 9, "said")
    which = awaiting(world, "before")
    refused = steering(world).edit(which, text)
    assert refused.problems != ()
    assert read_queued(world.engine.services, world.profile, which).tweet.text == "before"


def test_the_same_text_again_leaves_an_approval_as_it_is(world: World) -> None:
    which = awaiting(world, "before")
    steering(world).approve(which)
    assert steering(world).edit(which, "before ").tweet.status is TweetStatus.APPROVED


def test_without_review_a_changed_draft_goes_out_as_it_is_now(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'auto'")
    world.slot(DUE, "before")
    steering(world).edit(first(world), "after")
    world.run(DUE + 60)
    assert [post.text for post in world.x.posts] == ["after"]


@pytest.mark.parametrize("script", ["too_many", "lost_before"])
def test_the_text_of_a_post_that_x_was_asked_for_stays(world: World, script: str) -> None:
    which = awaiting(world, "asked")
    steering(world).approve(which)
    world.x.script = [script]
    world.run(DUE + 10)
    with pytest.raises((NotPossibleNow, SettingError)):
        steering(world).edit(which, "another")
    world.run(600)
    assert [post.text for post in world.x.posts] == ["asked"]


def test_what_is_dropped_leaves_its_slot_empty(world: World) -> None:
    steering(world).drop(awaiting(world, "not this"))
    assert statuses(world) == ["rejected"]
    assert world.rows("SELECT status, reason FROM posting_schedule") == [(SlotStatus.SKIPPED, "dropped")]


def test_a_text_is_scheduled_for_a_moment_and_posted_then(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'auto'")
    done = steering(world).schedule("at three", at=LATER)
    assert isinstance(done, Queued)
    world.run(3 * 3600 - 60, every=600)
    assert world.x.posts == []
    world.run(600, every=30)
    assert [post.text for post in world.x.posts] == ["at three"]
    assert world.rows("SELECT status FROM posting_schedule") == [(SlotStatus.DONE,)]


def test_what_the_guard_refuses_is_not_scheduled(world: World) -> None:
    problems = steering(world).schedule("", at=LATER)
    assert not isinstance(problems, Queued)
    assert [problem.rule for problem in problems] == ["empty"]
    assert world.rows("SELECT 1 FROM posting_schedule") == []


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda one: one.schedule("b", at=NOON - timedelta(minutes=2)), "is over"),
        (lambda one: one.schedule("b", at=LATER), "a slot at that very moment"),
        (lambda one: one.move("", to=LATER), "a slot at that very moment"),
        (lambda one: one.move("", to=NOON - timedelta(days=1)), "is over"),
    ],
)
def test_a_moment_that_is_over_or_taken_is_refused(
    world: World, act: Callable[[Steering], object], message: str
) -> None:
    steering(world).schedule("a", at=LATER)
    if "very" in message:
        world.slot(60)
    slots = world.rows("SELECT id FROM posting_schedule ORDER BY due_at")
    one = steering(world)
    with pytest.raises(NotPossibleNow, match=message):
        act(_Naming(one, str(slots[0][0])))  # type: ignore[arg-type]  # it names the slot
    assert len(queue(world)) == 1


def test_a_moment_that_is_called_now_is_not_over_and_one_in_a_lifetime_is_refused(world: World) -> None:
    now = world.clock.now()
    world.clock.pass_time(1)
    assert isinstance(steering(world).schedule("at once", at=now), Queued)
    with pytest.raises(NotPossibleNow, match="too far ahead"):
        steering(world).schedule("later", at=NOON + timedelta(days=9000))


def test_a_post_without_a_slot_is_given_one_and_goes_out_then(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'auto'")
    world.slot(DUE, "kept")
    which = first(world)
    steering(world).skip(which)
    steering(world).move(which, to=NOON + timedelta(minutes=10))
    world.run(300)
    assert world.x.posts == []
    world.run(400)
    assert world.x.count("kept") == 1


def test_two_of_one_text_in_the_queue_are_told_of_each_other(world: World) -> None:
    world.slot(DUE, "the same")
    world.slot(DUE * 2, "the same")
    world.slot(DUE * 3, "another")
    assert [[one.rule for one in queued.problems] for queued in queue(world)] == [
        ["duplicate"],
        ["duplicate"],
        [],
    ]


class _Naming:
    """A steering whose first slot is named where none is."""

    def __init__(self, one: Steering, slot: str) -> None:
        self.schedule = one.schedule
        self.move = lambda which, to: one.move(which or slot, to=to)


def test_a_moved_post_goes_out_at_its_new_moment_and_not_at_the_old(world: World) -> None:
    which = awaiting(world, "moved")
    steering(world).approve(which)
    steering(world).move(which, to=NOON + timedelta(minutes=10))
    world.run(DUE + 30)
    assert world.x.posts == []
    world.run(600)
    assert world.x.count("moved") == 1


def test_a_skipped_slots_post_goes_out_at_the_next_free_one(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'auto'")
    world.slot(DUE, "kept")
    steering(world).skip(first(world))
    world.run(DUE + 60)
    assert world.x.posts == []
    assert queue(world)[0].due_at is None
    with world.manager.transaction() as tx:
        assert tx.tweets.left_over(world.profile_id) is not None


def test_a_slot_without_a_post_is_named_by_its_own_id(world: World) -> None:
    world.slot(DUE)
    (slot_id,) = world.rows("SELECT id FROM posting_schedule")[0]
    assert steering(world).skip(str(slot_id)[:8]).id == slot_id
    with pytest.raises(SettingError, match="nothing in the queue"):
        steering(world).skip(str(slot_id)[:8])


def test_an_id_that_means_none_or_several_is_told(world: World) -> None:
    with pytest.raises(SettingError, match="nothing in the queue has the id abcd"):
        steering(world).approve("abcd")
    awaiting(world, "one")
    awaiting(world, "two", due_in=90)
    with pytest.raises(SettingError, match="2 ids begin with"):
        steering(world).approve("")


def test_a_neighbours_post_is_not_found(world: World) -> None:
    which = awaiting(world, "mine")
    with world.manager.transaction() as tx:
        neighbour = tx.profiles.create(handle="other", x_user_id="2", timezone="UTC", mode="auto")
    with pytest.raises(SettingError, match="nothing in the queue"):
        Steering(services=world.engine.services, profile=neighbour).approve(which)


def test_a_persons_own_text_that_awaited_review_goes_out_when_it_is_approved(world: World) -> None:
    wish = Wish(posts=[Post(text="mine")])
    outcome = post_once(
        world.engine, world.profile, wish, watch=Stopwatch(lambda: 0.0), say=lambda _what: None
    )
    assert outcome.kind is OutcomeKind.AWAITING_APPROVAL
    steering(world).approve(first(world))
    world.run(10)
    assert world.x.count("mine") == 1


def test_a_draft_of_a_slot_that_was_missed_waits_for_the_next(world: World) -> None:
    which = awaiting(world, "late")
    world.clock.pass_time(3 * 3600)
    world.run(10)
    assert world.rows("SELECT status FROM posting_schedule") == [(SlotStatus.EXPIRED,)]
    steering(world).approve(which)
    with world.manager.transaction() as tx:
        left = tx.tweets.left_over(world.profile_id)
    assert left is not None
    assert left.text == "late"


def test_pause_and_resume_are_acts_of_a_person_too(world: World) -> None:
    assert steering(world).pause("a holiday").paused
    profile, lifted = steering(world).resume()
    assert (profile.paused, lifted) == (False, 0)
    assert told(world) == [("paused", "a holiday"), ("resumed", "resumed; blocks lifted: 0")]


@pytest.mark.parametrize("moment", range(8))
def test_a_text_that_changes_between_two_steps_of_a_tick_costs_what_was_weighed(
    world: World, moment: int
) -> None:
    world.change("UPDATE profiles SET mode = 'auto'")
    world.slot(0, "before")
    which, one = first(world), steering(world)

    def change() -> None:
        with suppress(NotPossibleNow, SettingError):
            one.edit(which, "after https://example.com")

    world.database.failures = ["ok"] * moment + [change]
    world.run(30)

    (row,) = world.tweets()
    assert [post.text for post in world.x.posts] == [row.text]
    settled = world.rows("SELECT cost_usd FROM api_calls WHERE kind = 'post' AND state = 'settled'")
    assert settled == [(Decimal("0.015") if row.text == "before" else Decimal("0.2"),)]


@dataclass(frozen=True, kw_only=True)
class _Interrupted(LimitsAgent):
    """Has something happen while a batch is weighed, which may not wait for its end."""

    act: Callable[[], object]

    def usages(self, *args: Any) -> Any:
        self.act()
        return super().usages(*args)


def test_a_text_is_not_changed_while_a_batch_is_weighed(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'auto'")
    world.slot(0, "before")
    which, one = first(world), steering(world)
    edits = ThreadPoolExecutor(1)
    begun: list[Future[Queued]] = []

    def change() -> None:
        begun.append(edits.submit(one.edit, which, "after"))
        wait(begun, timeout=0.5)

    services = world.engine.services
    agent = _Interrupted(caps=world.caps, listed=LISTED, new_id=services.new_id, act=change)
    with edits, ThreadPoolExecutor(1) as calls:
        list(publish_ready(replace(services, limits=agent), [world.context], calls, at_once=1))

    assert isinstance(begun[0].exception(), SettingError)
    assert [post.text for post in world.x.posts] == ["before"] == [row.text for row in world.tweets()]

"""A person's draft, and another of the same text that is kept before it goes out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.core.model import Tweet
from bot.core.posting.post import Post
from bot.core.states import TweetStatus
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.posting_once import Wish, _approve_for_queue, post_once
from bot.engine.stopwatch import Stopwatch
from tests.engine.test_preparing_rules import saying, take
from tests.engine.world import World

HOUR = 3600


def wished(world: World, *texts: str, meanwhile: Callable[[], object]) -> Outcome:
    """What becomes of a wish when something happens after its draft was kept."""

    def say(step: str) -> None:
        if step == "publishing":
            meanwhile()

    wish = Wish(posts=[Post(text=text) for text in texts])
    return post_once(world.engine, world.profile, wish, watch=Stopwatch(lambda: 0.0), say=say)


def sent_at_once(world: World, *texts: str) -> Outcome:
    return wished(world, *texts, meanwhile=lambda: None)


def worker_writes(world: World, text: str) -> Tweet | None:
    """Has the worker write a slot's draft, from an item that says just this."""
    saying(world, text)
    world.slot(HOUR)
    return prepare_next(world.new_engine().context(world.profile))


def test_a_draft_of_the_worker_that_came_between_is_the_one_that_goes_out(world: World) -> None:
    outcome = wished(world, "the tide turns", meanwhile=lambda: worker_writes(world, "the tide turns"))

    assert (outcome.kind, outcome.reason) == (OutcomeKind.REJECTED, "duplicate")
    assert outcome.detail == "this account has this very text already"
    assert world.x.calls == 0
    assert [(row.status, row.reason) for row in world.tweets()] == [
        (TweetStatus.REJECTED, "duplicate"),
        (TweetStatus.DRAFTED, None),
    ]
    assert world.rows("SELECT kind, reason FROM decisions WHERE verdict = 'rejected'") == [
        ("prepare", outcome.detail)
    ]
    world.run(2 * HOUR, every=600)
    assert (world.x.calls, world.x.count("the tide turns")) == (1, 1)


def test_a_thread_of_which_one_text_was_kept_between_is_not_begun(world: World) -> None:
    outcome = wished(world, "one", "two", "three", meanwhile=lambda: worker_writes(world, "two"))

    assert (outcome.kind, outcome.reason) == (OutcomeKind.REJECTED, "duplicate")
    assert world.x.calls == 0
    assert [row.status for row in world.tweets()] == [TweetStatus.REJECTED] * 3 + [TweetStatus.DRAFTED]


def test_two_persons_with_one_text_post_it_once(world: World) -> None:
    outcomes: list[Outcome] = []
    first = wished(world, "good day", meanwhile=lambda: outcomes.append(sent_at_once(world, "good day")))
    outcomes.append(first)

    assert [(one.kind, one.reason) for one in outcomes] == [
        (OutcomeKind.POSTED, None),
        (OutcomeKind.REJECTED, "duplicate"),
    ]
    assert world.x.calls == 1


def test_what_a_begun_thread_still_has_to_say_is_not_said_again(world: World) -> None:
    take(world, "one", "two")
    world.x.script = ["lost_after"]
    assert sent_at_once(world, "alpha", "omega").kind is OutcomeKind.UNKNOWN

    # Nobody sends the thread that was kept and left: its texts are free.
    answers = [take(world, "omega"), take(world, "two")]
    assert [isinstance(answer, Tweet) for answer in answers] == [False, True]


@pytest.mark.parametrize(("written", "queued"), [("mine", False), ("second", False), ("another", True)])
def test_a_wish_for_the_queue_asks_again_too(world: World, written: str, queued: bool) -> None:
    kept = take(world, "mine", "second")
    assert isinstance(kept, Tweet)
    assert worker_writes(world, written) is not None

    answer = _approve_for_queue(world.context, kept)

    assert isinstance(answer, Tweet) is queued
    root, second = world.tweets()[:2]
    wanted = (TweetStatus.APPROVED, TweetStatus.DRAFTED) if queued else (TweetStatus.REJECTED,) * 2
    assert (root.status, second.status) == wanted

"""A slot whose moment has passed: expired, moved or given up, and never posted late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.spending.limits import Limits
from bot.core.states import TweetStatus
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.open_work import gather, give_up_late
from tests.engine.test_limits_agent import once, with_caps
from tests.engine.world import NOON, World

MINUTE = 60


def slots(world: World) -> list[tuple[str, str | None]]:
    return [
        (row.status, row.reason)
        for row in world.rows("SELECT status, reason FROM posting_schedule ORDER BY due_at")
    ]


def decisions(world: World, *verdicts: str) -> list[tuple[str, str, str]]:
    found = world.rows("SELECT verdict, kind, reason FROM decisions ORDER BY at, created_at")
    return [tuple(row) for row in found if not verdicts or row.verdict in verdicts]


@pytest.mark.parametrize(("minutes", "posts"), [(19, 1), (20, 1), (21, 0)])
def test_without_a_plan_a_slot_may_be_twenty_minutes_late(world: World, minutes: int, posts: int) -> None:
    world.change("UPDATE plans SET status = 'archived'")
    world.slot(0, "without a plan")
    world.clock.pass_time(minutes * MINUTE)
    world.engine.tick(world.profile)
    assert len(world.x.posts) == posts


def test_a_slot_beyond_its_tolerance_expires_and_its_draft_waits_for_another(world: World) -> None:
    world.change("UPDATE plans SET late_tolerance_seconds = 600")
    world.slot(0, "missed")
    world.clock.pass_time(11 * MINUTE)
    assert not world.engine.tick(world.profile)
    assert slots(world) == [("expired", "late by 11 min")]
    (row,) = world.tweets()
    assert row.status is TweetStatus.DRAFTED
    assert world.rows("SELECT kind, reason, slot_id, tweet_id FROM decisions WHERE verdict = 'expired'") == [
        ("publish", "late by 11 min", row.slot_id, row.id)
    ]
    assert decisions(world) == [("expired", "publish", "late by 11 min")]
    world.slot(1)
    prepare_next(world.engine.context(world.profile))
    world.clock.pass_time(1)
    world.engine.tick(world.profile)
    assert [post.text for post in world.x.posts] == ["missed"]


def refused_until_late(world: World, *texts: str, policy: str) -> None:
    world.change("UPDATE plans SET late_policy = CAST(:policy AS late_policy)", policy=policy)
    world.slot(0, *texts)
    world.x.script = ["unreachable"]
    world.engine.tick(world.profile)
    world.clock.pass_time(20 * MINUTE + 1)
    world.engine.tick(world.profile)


def test_what_was_refused_until_it_was_late_moves_where_the_plan_says_so(world: World) -> None:
    refused_until_late(world, "one", "two", policy="move")
    assert slots(world) == [("expired", "late")]
    assert [row.status for row in world.tweets()] == [TweetStatus.APPROVED, TweetStatus.DRAFTED]
    assert decisions(world, "moved", "expired") == [("moved", "publish", "too late for its slot")]
    assert world.x.calls == 1
    assert decisions(world, "nothing") == [("nothing", "publish", "nothing is ready yet")]


def test_what_was_refused_until_it_was_late_ends_where_the_plan_says_so(world: World) -> None:
    refused_until_late(world, "one", "two", policy="expire")
    assert slots(world) == [("expired", "late")]
    assert [(row.status, row.reason) for row in world.tweets()] == [
        (TweetStatus.FAILED, "too_late"),
        (TweetStatus.REJECTED, "thread_broken"),
    ]
    assert decisions(world, "moved", "expired") == [("expired", "publish", "too late for its slot")]
    root = world.tweets()[0]
    assert world.rows("SELECT slot_id, tweet_id FROM decisions WHERE verdict = 'expired'") == [
        (root.slot_id, root.id)
    ]
    assert world.x.calls == 1


def test_what_was_refused_goes_on_to_the_end_of_its_tolerance(world: World) -> None:
    world.slot(0, "just in time")
    world.x.script = ["unreachable"]
    world.engine.tick(world.profile)
    world.clock.pass_time(20 * MINUTE)
    world.engine.tick(world.profile)
    assert world.x.count("just in time") == 1


def test_a_persons_post_that_is_found_absent_too_late_is_not_sent_behind_their_back(world: World) -> None:
    world.x.script = ["lost_before"]
    assert once(world, "wished for") is OutcomeKind.UNKNOWN
    world.change("UPDATE profiles SET paused = true")
    world.run(120, every=20)
    assert [row.reason for row in world.tweets()] == ["absent"]
    world.clock.pass_time(20 * MINUTE)
    world.change("UPDATE profiles SET paused = false")
    world.engine.tick(world.profile)
    assert [(row.status, row.reason) for row in world.tweets()] == [(TweetStatus.FAILED, "too_late")]
    assert decisions(world, "expired") == [("expired", "publish", "too late for its slot")]
    assert world.x.calls == 1


# What was never resent is a text that waits in its queue.
@pytest.mark.parametrize(("seconds", "resends", "goes"), [(0, 1, True), (1, 1, False), (86400, 0, True)])
def test_a_persons_post_is_resent_to_the_end_of_its_tolerance(
    world: World, seconds: float, resends: int, goes: bool
) -> None:
    world.x.script = ["lost_before"]
    assert once(world, "wished for") is OutcomeKind.UNKNOWN
    (row,) = world.tweets()
    intent_at = world.clock.now() - timedelta(minutes=20, seconds=seconds)
    world.change(
        "UPDATE tweets SET status = 'approved', resends = :resends, reason = 'absent', intent_at = :at",
        at=intent_at,
        resends=resends,
    )
    work = gather(world.engine.context(world.profile))
    assert [tweet.id for tweet in work.open] == [row.id]
    left = give_up_late(world.engine.context(world.profile), work)
    assert [tweet.id for tweet in left.open] == ([row.id] if goes else [])
    assert (world.tweets()[0].reason == "too_late") is not goes


def test_a_persons_thread_goes_on_at_its_next_part_however_late_it_is(world: World) -> None:
    world.x.script = ["accept", "lost_before"]
    assert once(world, "root", "part") is OutcomeKind.UNKNOWN
    world.change(
        "UPDATE tweets SET status = 'approved', resends = 1, reason = 'absent', intent_at = :at "
        "WHERE part = 2",
        at=world.clock.now() - timedelta(hours=1),
    )
    work = gather(world.engine.context(world.profile))
    left = give_up_late(world.engine.context(world.profile), work)
    assert [tweet.text for tweet in left.open] == ["part"]
    assert world.tweets()[1].status is TweetStatus.APPROVED


def test_a_slot_whose_limit_stays_closed_beyond_its_tolerance_is_given_up_at_once(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_24h=0, posts_15min=None))
    world.slot(0, "no room today")
    (outcome,) = world.engine.tick(world.profile)
    assert outcome.kind is OutcomeKind.WAITING
    assert slots(world) == [("expired", "posts_24h")]
    assert [row.status for row in world.tweets()] == [TweetStatus.DRAFTED]


def test_a_slot_whose_limit_opens_within_its_tolerance_waits_for_it(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_15min=1, posts_24h=None))
    world.slot(0, "first")
    world.engine.tick(world.profile)
    world.slot(1, "opens in time")
    world.clock.pass_time(1)
    world.engine.tick(world.profile)
    assert slots(world) == [("done", None), ("planned", None)]
    world.clock.pass_time(15 * MINUTE)
    world.engine.tick(world.profile)
    assert world.x.count("opens in time") == 1


def test_a_profile_with_nothing_open_is_idle_and_knows_what_comes_next(world: World) -> None:
    assert gather(world.engine.context(world.profile)).idle
    assert gather(world.engine.context(world.profile)).next_due is None
    world.slot(7 * 24 * 3600 + 1)
    assert gather(world.engine.context(world.profile)).next_due is None
    world.slot(7 * 24 * 3600 - 1)
    work = gather(world.engine.context(world.profile))
    assert work.next_due == NOON + timedelta(days=7, seconds=-1)
    assert (work.idle, work.now, work.tolerance) == (True, NOON, timedelta(minutes=20))
    world.slot(0)
    assert not gather(world.engine.context(world.profile)).idle


def test_a_draft_whose_slot_was_missed_keeps_no_tick_busy(world: World) -> None:
    world.slot(0, "missed")
    world.clock.pass_time(21 * MINUTE)
    world.engine.tick(world.profile)
    assert gather(world.engine.context(world.profile)).idle


def test_each_tick_looks_at_what_is_under_way(world: World) -> None:
    world.slot(0, "one", "two")
    world.x.script = ["accept", "unreachable"]
    world.engine.tick(world.profile)
    assert [tweet.text for tweet in gather(world.engine.context(world.profile)).open] == ["two"]
    world.slot(60, "unheard")
    world.clock.pass_time(60)
    world.x.script = ["accept", "error_after"]
    world.engine.tick(world.profile)
    world.engine.tick(world.profile)
    assert [tweet.text for tweet in gather(world.engine.context(world.profile)).open] == ["unheard"]

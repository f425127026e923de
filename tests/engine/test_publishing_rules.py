"""What is committed before a call and what after it, row by row."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.errors import LeaseLost
from bot.core.spending.limits import Limits
from bot.core.states import TweetStatus
from bot.engine.leasing import leased
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.publishing import publish
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import NOON, World


def test_a_post_is_recorded_with_all_that_finds_it_again(world: World) -> None:
    world.slot(0, "first")
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.reason, outcome.cost_usd) == (OutcomeKind.POSTED, None, Decimal("0.015"))
    assert outcome.verdict is not None
    (row,) = world.tweets()
    assert outcome.tweet == row
    assert (row.status, row.x_tweet_id, row.attempts) == (TweetStatus.POSTED, "1000", 1)
    assert (row.posted_at, row.intent_at, row.first_intent_at) == (NOON, NOON, NOON)
    assert (row.after_x_id, row.reason, row.next_attempt_at) == (None, None, None)
    assert row.fencing is not None
    assert world.rows("SELECT fencing FROM leases") == [(row.fencing,)]
    assert world.rows("SELECT status FROM posting_schedule") == [("done",)]
    assert world.rows("SELECT state, units, cost_usd, at, tweet_id, profile_id FROM api_calls") == [
        ("settled", 1, Decimal("0.015"), NOON, row.id, world.profile_id)
    ]


def test_a_post_remembers_the_newest_before_it_and_keeps_that_through_its_tries(world: World) -> None:
    world.slot(0, "first")
    world.engine.tick(world.profile)
    # As X would have numbered it: milliseconds since 1288834974657, above 22 other bits.
    first = str((int(NOON.timestamp() * 1000) - 1_288_834_974_657) << 22)
    world.change("UPDATE tweets SET x_tweet_id = :first", first=first)
    world.slot(1, "second")
    world.x.script = ["unreachable"]
    world.clock.pass_time(1)
    world.engine.tick(world.profile)
    world.clock.pass_time(10)
    world.engine.tick(world.profile)
    second = world.tweets()[1]
    assert (second.status, second.after_x_id, second.attempts) == (TweetStatus.POSTED, first, 2)
    assert second.first_intent_at == NOON + timedelta(seconds=1)
    assert second.intent_at == NOON + timedelta(seconds=11)


def test_a_verdict_leaves_a_row_with_every_figure_it_saw(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_24h=1, posts_15min=None))
    for number in range(2):
        world.slot(0, f"number {number}")
        world.engine.tick(world.profile)
        world.clock.pass_time(1)
    until = NOON + timedelta(days=1)
    allowed, waits = world.rows(
        "SELECT verdict, limit_name, used, cap, until, slot_id, tweet_id, numbers FROM decisions "
        "WHERE kind = 'publish' AND verdict IN ('allow', 'wait') ORDER BY at"
    )
    first, second = world.tweets()
    assert tuple(allowed)[:7] == ("allow", "posts_24h", 0, 1, None, first.slot_id, first.id)
    assert tuple(waits)[:7] == ("wait", "posts_24h", 1, 1, until, second.slot_id, second.id)
    assert waits[7]["posts_24h"] == {"used": "1", "cap": "1"}
    assert waits[7]["posts_month"] == {"used": "1", "cap": None}


def test_what_waits_for_a_limit_is_told_and_not_touched(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_24h=1, posts_15min=None))
    world.change("UPDATE plans SET late_tolerance_seconds = 100000")
    world.slot(0, "first")
    world.slot(1, "waits")
    world.engine.tick(world.profile)
    world.clock.pass_time(1)
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.WAITING, "posts_24h")
    assert outcome.detail == "posts_24h: 1 of 1 used (24h)"
    assert outcome.tweet is not None
    assert outcome.tweet.text == "waits"
    assert [row.status for row in world.tweets()] == [TweetStatus.POSTED, TweetStatus.DRAFTED]
    assert world.rows("SELECT status FROM posting_schedule ORDER BY due_at") == [("done",), ("planned",)]
    assert world.x.calls == 1


def test_a_thread_goes_out_as_replies_each_to_the_part_before_it(world: World) -> None:
    world.slot(0, "one", "two", "three")
    outcomes = world.engine.tick(world.profile)
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.POSTED] * 3
    assert [(post.text, post.reply_to) for post in world.x.posts] == [
        ("one", None),
        ("two", "1000"),
        ("three", "1001"),
    ]
    assert world.rows("SELECT status FROM posting_schedule") == [("done",)]


def test_a_thread_starts_only_where_all_of_it_fits(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_24h=2, posts_15min=None))
    world.slot(0, "one", "two", "three")
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.reason, world.x.calls) == (OutcomeKind.WAITING, "posts_24h", 0)
    world.engine = with_caps(world, Limits(posts_24h=3, posts_15min=None))
    world.slot(1, "four", "five", "six")
    world.run(20)
    assert world.x.calls == 3


def test_the_parts_of_a_thread_know_no_spacing(world: World) -> None:
    world.change("UPDATE plans SET spacing_seconds = 1800")
    world.slot(0, "one", "two")
    world.slot(1, "too near")
    world.engine.tick(world.profile)
    world.clock.pass_time(1)
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.WAITING, "spacing")
    assert [post.text for post in world.x.posts] == ["one", "two"]


def test_a_thread_that_breaks_off_goes_on_at_the_part_where_it_stopped(world: World) -> None:
    world.slot(0, "one", "two", "three")
    world.x.script = ["accept", "unreachable"]
    first, second = world.engine.tick(world.profile)
    assert (first.kind, second.kind) == (OutcomeKind.POSTED, OutcomeKind.FAILED)
    assert [row.status for row in world.tweets()] == [
        TweetStatus.POSTED,
        TweetStatus.APPROVED,
        TweetStatus.DRAFTED,
    ]
    world.clock.pass_time(5)
    assert len(world.engine.tick(world.profile)) == 2
    assert [(post.text, post.reply_to) for post in world.x.posts] == [
        ("one", None),
        ("two", "1000"),
        ("three", "1001"),
    ]


def doubted(world: World) -> None:
    """Proven absent, and kept from its resend by a pause until that proof is old."""
    world.slot(0, "never arrived")
    world.x.script = ["lost_before"]
    world.engine.tick(world.profile)
    world.change("UPDATE profiles SET paused = true")
    world.run(200, every=20)
    (row,) = world.tweets()
    assert (row.status, row.reason, row.resends) == (TweetStatus.APPROVED, "absent", 1)
    world.change("UPDATE profiles SET paused = false")


def test_an_absence_proven_long_ago_is_doubted_and_its_call_counts_from_its_own_time(world: World) -> None:
    doubted(world)
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.reason, world.x.calls) == (OutcomeKind.UNKNOWN, "unsettled", 1)
    assert "looked for again" in outcome.detail
    (row,) = world.tweets()
    assert outcome.tweet == row
    assert (row.status, row.reason, row.resends) == (TweetStatus.UNKNOWN, "absent_long_ago", 0)
    assert (row.absent_reads, row.inconclusive_reads) == (0, 0)
    assert (row.looked_at, row.next_attempt_at) == (None, None)
    # Booked when the call was made, so that it leaves the windows when that call does.
    assert world.rows("SELECT at, cost_usd FROM api_calls WHERE kind = 'post' AND state = 'unknown'") == [
        (NOON, Decimal("0.015"))
    ]
    assert world.rows("SELECT status FROM posting_schedule") == [("claimed",)]
    assert world.rows(
        "SELECT kind, tweet_id FROM decisions WHERE verdict = 'unknown' AND reason LIKE 'its absence%'"
    ) == [("publish", row.id)]


def test_a_doubted_tweet_claims_the_slot_it_was_moved_to(world: World) -> None:
    doubted(world)
    world.change("UPDATE posting_schedule SET status = 'planned', due_at = :now", now=world.clock.now())
    world.engine.tick(world.profile)
    assert [row.reason for row in world.tweets()] == ["absent_long_ago"]
    assert world.rows("SELECT status FROM posting_schedule") == [("claimed",)]


def test_what_was_doubted_goes_out_once_it_is_proven_absent_again(world: World) -> None:
    doubted(world)
    world.run(300, every=20)
    assert (world.x.calls, world.x.count("never arrived")) == (2, 1)
    assert [(row.status, row.resends) for row in world.tweets()] == [(TweetStatus.POSTED, 1)]
    world.check_books()


@pytest.mark.parametrize(
    "change", ["holder = 'another', fencing = fencing + 1", "expires_at = '1970-01-01Z'"]
)
def test_a_lease_that_ran_out_or_is_anothers_lets_nothing_out(world: World, change: str) -> None:
    world.slot(0, "not by this one")
    (tweet,) = world.tweets()
    with leased(world.context) as lease:
        assert lease is not None
        world.change(f"UPDATE leases SET {change}")
        with pytest.raises(LeaseLost):
            publish(world.context, lease, tweet, spaced=True)
    assert world.x.calls == 0
    assert world.tweets() == [tweet]
    assert world.rows("SELECT 1 FROM api_calls") == []

"""Every tick says in one decision row what it did, or why it did nothing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.errors import DatabaseUnavailable, UsageUnreadable
from bot.core.spending.limits import Limits
from bot.core.states import TweetStatus
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.leasing import leased
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.reconciling import Unsettled
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import NOON, Killed, World
from tests.support.database_clock import set_clock


def decisions(world: World) -> list[tuple[str, str, str]]:
    found = world.rows("SELECT verdict, kind, reason FROM decisions ORDER BY at, created_at")
    return [tuple(row) for row in found]


def test_an_idle_tick_says_when_the_next_slot_is_due(world: World) -> None:
    world.slot(3600)
    assert world.engine.tick(world.profile) == ()
    assert world.rows("SELECT verdict, kind, reason, until, profile_id FROM decisions") == [
        ("nothing", "publish", "nothing is due", NOON + timedelta(hours=1), world.profile_id)
    ]


def test_a_tick_leaves_a_profile_alone_that_another_worker_holds(world: World) -> None:
    world.slot(0, "someone else's")
    with leased(world.new_engine().context(world.profile)) as lease:
        assert lease is not None
        assert world.engine.tick(world.profile) == ()
        assert world.engine.settle(world.profile) is None
    assert decisions(world) == [("nothing", "publish", "another worker acts for this profile")]
    assert world.x.calls == 0


def test_a_lease_holds_for_ninety_seconds_and_is_given_back(world: World) -> None:
    asked_at = world.clock.monotonic()
    with leased(world.engine.context(world.profile)) as lease:
        assert lease is not None
        assert lease.holder == world.engine.services.settings.holder
        assert lease.ends - asked_at == 90
    with leased(world.new_engine().context(world.profile)) as following:
        assert following is not None
        assert following.fencing > lease.fencing


def test_a_lease_that_can_not_be_given_back_runs_out_by_itself(world: World) -> None:
    with leased(world.engine.context(world.profile)):
        world.database.failures = ["down"]
    assert [event for event, _facts in world.log.events] == ["lease_not_released"]
    with leased(world.new_engine().context(world.profile)) as lease:
        assert lease is None


@pytest.mark.parametrize("reason", [None, "a holiday"])
def test_a_paused_profile_posts_nothing_and_says_why(world: World, reason: str | None) -> None:
    world.slot(0, "not now")
    world.change("UPDATE profiles SET paused = true, pause_reason = :reason", reason=reason)
    assert world.engine.tick(world.profile) == ()
    assert decisions(world) == [("paused", "publish", reason or "paused by the operator")]
    assert world.rows("SELECT status FROM posting_schedule") == [("planned",)]


def test_nothing_new_goes_out_before_what_is_unknown_is_settled(world: World) -> None:
    world.x.visibility = timedelta(seconds=20)
    world.slot(0, "unheard")
    world.slot(1, "waits its turn")
    world.x.script = ["error_after"]
    world.engine.tick(world.profile)
    world.clock.pass_time(1)
    assert world.engine.tick(world.profile) == ()
    assert ("nothing", "publish", "1 outcome(s) unknown: settled first") in decisions(world)
    assert world.x.calls == 1


def test_a_tick_that_fails_says_so_and_raises(breakable: World) -> None:
    breakable.slot(0, "can't be weighed")
    breakable.change("ALTER TABLE rate_windows RENAME TO lost")
    with pytest.raises(UsageUnreadable) as raised:
        breakable.engine.tick(breakable.profile)
    assert decisions(breakable)[-1] == ("failed", "publish", raised.value.line)
    with leased(breakable.new_engine().context(breakable.profile)) as lease:
        assert lease is not None


def test_a_post_is_blind_without_the_database(breakable: World) -> None:
    breakable.slot(0, "blind")
    breakable.database.failures = ["down"]
    with pytest.raises(DatabaseUnavailable):
        breakable.engine.tick(breakable.profile)
    breakable.change("ALTER TABLE api_calls RENAME TO lost")
    with pytest.raises((UsageUnreadable, DatabaseUnavailable)):
        breakable.engine.tick(breakable.profile)
    assert breakable.x.calls == 0


def test_a_draft_that_awaits_approval_is_told_and_not_posted(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'review'")
    world.slot(0)
    prepare_next(world.engine.context(world.profile))
    assert world.engine.tick(world.profile) == ()
    (row,) = world.tweets()
    assert row.status is TweetStatus.AWAITING_APPROVAL
    assert world.rows("SELECT verdict, reason, slot_id, tweet_id FROM decisions WHERE kind = 'publish'") == [
        ("nothing", "the draft awaits approval", row.slot_id, row.id)
    ]
    assert world.x.calls == 0


def test_a_dry_run_shows_the_post_and_skips_its_slot(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'dry-run'")
    world.slot(0, "only shown")
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.cost_usd) == (OutcomeKind.DRY_RUN, Decimal(0))
    assert outcome.verdict is not None
    assert outcome.tweet is not None
    assert world.rows("SELECT status, reason FROM posting_schedule") == [("skipped", "dry_run")]
    assert world.rows("SELECT verdict, kind, reason, slot_id, tweet_id FROM decisions") == [
        (
            "dry_run",
            "publish",
            f"would allow: {outcome.verdict.reason}",
            outcome.tweet.slot_id,
            outcome.tweet.id,
        )
    ]
    assert world.rows("SELECT count(*) FROM api_calls") == [(0,)]
    assert world.x.calls == 0


def test_a_slot_without_a_draft_is_written_for_and_posted(world: World) -> None:
    world.slot(0)
    assert world.engine.tick(world.profile) == ()
    prepare_next(world.engine.context(world.profile))
    (outcome,) = world.engine.tick(world.profile)
    assert outcome.kind is OutcomeKind.POSTED
    assert [post.text for post in world.x.posts] == ["Fact number 0 about the sea."]
    (row,) = world.tweets()
    assert (row.writer, row.source and row.source.id) == ("plain", "note-0")


def test_a_slot_for_which_the_guard_takes_no_draft_says_why(world: World) -> None:
    world.sources.items = tuple(
        item.__class__(source=item.source, text=f"{'very ' * 80}long {number}")
        for number, item in enumerate(world.sources.items)
    )
    world.slot(0)
    assert prepare_next(world.engine.context(world.profile)) is None
    (slot,) = world.rows("SELECT id, status FROM posting_schedule")
    ((verdict, reason, slot_id),) = world.rows(
        "SELECT verdict, reason, slot_id FROM decisions WHERE kind = 'prepare'"
    )
    assert (verdict, slot_id) == ("rejected", slot.id)
    assert "over 280" in reason
    assert world.x.calls == 0


def test_at_most_one_slot_is_posted_a_tick(world: World) -> None:
    world.slot(0, "first")
    world.slot(1, "second")
    world.clock.pass_time(2)
    assert len(world.engine.tick(world.profile)) == 1
    assert [post.text for post in world.x.posts] == ["first"]


def test_a_retry_goes_before_a_new_slot_and_takes_its_tick(world: World) -> None:
    world.slot(0, "refused at first")
    world.x.script = ["unreachable"]
    world.engine.tick(world.profile)
    world.slot(5, "new")
    world.clock.pass_time(5)
    assert len(world.engine.tick(world.profile)) == 1
    assert [post.text for post in world.x.posts] == ["refused at first"]
    world.engine.tick(world.profile)
    assert [post.text for post in world.x.posts] == ["refused at first", "new"]


@pytest.mark.parametrize("gone", ["deleted", "failed"])
def test_a_part_whose_thread_is_broken_ends_with_those_after_it(world: World, gone: str) -> None:
    world.slot(0, "one", "two", "three")
    world.x.script = ["accept", "unreachable"]
    world.engine.tick(world.profile)
    world.change("UPDATE tweets SET status = CAST(:gone AS tweet_status) WHERE part = 1", gone=gone)
    world.clock.pass_time(10)
    assert world.engine.tick(world.profile) == []
    assert [(row.status.value, row.reason) for row in world.tweets()][1:] == [
        ("failed", "thread_broken"),
        ("rejected", "thread_broken"),
    ]
    (row,) = world.rows("SELECT verdict, kind, reason, tweet_id FROM decisions WHERE verdict = 'failed'")
    assert tuple(row) == ("failed", "publish", "a part before it is gone", world.tweets()[1].id)
    assert world.x.calls == 2


def test_a_part_waits_for_the_one_before_it(world: World) -> None:
    world.slot(0, "one", "two", "three")
    world.x.visibility = timedelta(seconds=40)
    world.x.script = ["accept", "error_after"]
    world.engine.tick(world.profile)
    world.clock.pass_time(10)
    world.engine.tick(world.profile)
    assert [row.status for row in world.tweets()] == [
        TweetStatus.POSTED,
        TweetStatus.UNKNOWN,
        TweetStatus.DRAFTED,
    ]
    world.run(120, every=20)
    assert [post.text for post in world.x.posts] == ["one", "two", "three"]


def test_settling_by_hand_resends_what_is_absent_and_tells_what_stays_unknown(world: World) -> None:
    world.slot(0, "never arrived")
    world.x.script = ["lost_before"]
    world.engine.tick(world.profile)
    assert world.engine.settle(world.profile) == Unsettled(tweets=1, holding_up=1)
    left = []
    for _ in range(3):
        world.clock.pass_time(31)
        left.append(world.engine.settle(world.profile))
    assert left[-1] == Unsettled(tweets=0, holding_up=0)
    assert (world.x.calls, world.x.count("never arrived")) == (2, 1)


def test_settling_by_hand_sends_nothing_while_the_profile_is_paused(world: World) -> None:
    world.slot(0, "never arrived")
    world.x.script = ["lost_before"]
    world.engine.tick(world.profile)
    world.change("UPDATE profiles SET paused = true")
    for _ in range(3):
        world.clock.pass_time(31)
        world.engine.settle(world.profile)
    assert [row.status for row in world.tweets()] == [TweetStatus.APPROVED]
    assert world.x.calls == 1


def test_a_process_that_must_end_leaves_its_call_unknown(world: World) -> None:
    world.slot(0, "under way")
    world.x.script = ["kill_after"]
    with pytest.raises(Killed):
        world.engine.tick(world.profile)
    world.clock.pass_time(100)
    world.engine.abandon(world.profile)
    (row,) = world.tweets()
    assert (row.status, row.reason) == (TweetStatus.UNKNOWN, "no_record")
    assert world.rows("SELECT state FROM api_calls WHERE kind = 'post'") == [("unknown",)]
    assert world.rows("SELECT verdict, kind, tweet_id, reason FROM decisions WHERE verdict = 'unknown'") == [
        ("unknown", "reconcile", row.id, "its process ended before the outcome was saved")
    ]


def test_a_slot_without_a_draft_holds_no_other_up(world: World) -> None:
    world.slot(0)
    world.slot(1, "ready")
    world.slot(2, "ready too")
    world.clock.pass_time(3)
    assert [one.kind for one in world.engine.tick(world.profile)] == [OutcomeKind.POSTED]
    world.clock.pass_time(20)
    assert [one.kind for one in world.engine.tick(world.profile)] == [OutcomeKind.POSTED]
    assert (world.x.count("ready"), world.x.count("ready too")) == (1, 1)
    assert world.engine.tick(world.profile) == ()
    assert world.rows("SELECT status FROM posting_schedule ORDER BY due_at") == [
        ("planned",),
        ("done",),
        ("done",),
    ]
    assert decisions(world)[-1] == ("nothing", "publish", "no draft is ready yet")


def test_a_draft_that_awaits_approval_holds_no_other_up(world: World) -> None:
    world.slot(0, "not seen yet")
    world.slot(1, "approved")
    world.change("UPDATE tweets SET status = 'awaiting_approval' WHERE text = 'not seen yet'")
    world.clock.pass_time(2)
    assert [one.kind for one in world.engine.tick(world.profile)] == [OutcomeKind.POSTED]
    assert (world.x.count("not seen yet"), world.x.count("approved")) == (0, 1)


def overtaken(world: World) -> None:
    """The lease runs out, and another worker takes it."""
    world.clock.pass_time(91)
    with world.manager.transaction() as tx:
        set_clock(tx, world.clock.true)
        assert tx.leases.acquire(world.profile_id, holder="another", asked_at=0, lasts=timedelta(seconds=90))


def test_a_tick_that_loses_its_lease_stops_and_says_so(world: World) -> None:
    world.slot(0, "not by this worker")
    # Gathered and leased: what comes next checks the lease.
    world.database.failures = ["ok", "ok", lambda: overtaken(world)]
    assert world.engine.tick(world.profile) == ()
    assert decisions(world) == [
        ("nothing", "publish", "another worker acts for this profile now: nothing was written")
    ]
    assert world.x.calls == 0


def test_settling_by_hand_leaves_a_profile_alone_whose_lease_it_loses(world: World) -> None:
    world.database.failures = ["ok", lambda: overtaken(world)]
    assert world.engine.settle(world.profile) is None


def test_after_an_outcome_that_nobody_heard_nothing_else_is_tried(world: World) -> None:
    for number, text in enumerate(("first", "second")):
        world.slot(0, text)
        world.x.script = ["unreachable"]
        world.engine.tick(world.profile)
        world.clock.pass_time(0.1)
        assert world.x.calls == number + 1
    world.clock.pass_time(10)
    world.x.script = ["lost_before"]
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, world.x.calls) == (OutcomeKind.UNKNOWN, 3)
    assert [row.status for row in world.tweets()] == [TweetStatus.UNKNOWN, TweetStatus.APPROVED]


def test_a_retry_that_waits_for_money_leaves_the_tick_to_a_cheaper_slot(world: World) -> None:
    world.slot(0, "dear: https://example.org")
    world.x.script = ["unreachable"]
    world.engine.tick(world.profile)
    world.engine = with_caps(world, Limits(posts_24h=None, posts_15min=None, budget_usd=Decimal("0.1")))
    world.slot(10, "cheap")
    world.clock.pass_time(10)
    assert [one.kind for one in world.engine.tick(world.profile)] == [OutcomeKind.POSTED]
    assert [post.text for post in world.x.posts] == ["cheap"]

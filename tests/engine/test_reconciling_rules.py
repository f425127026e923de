"""What is unknown is looked for on the timeline: when, how far, at what price, and what it means."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.errors import LeaseLost
from bot.core.model import LivePost, Timeline
from bot.core.rates import RateWindow
from bot.core.spending.limits import CREATE_POST, Limits
from bot.core.states import TweetStatus
from bot.engine.leasing import leased
from bot.engine.posting.reconciling import Unsettled, find_orphans, settle_unknown
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import NOON, Killed, World
from tests.support.database_clock import set_clock

TEXT = "nobody heard the answer"


def unheard(world: World, script: str = "lost_before", *texts: str) -> None:
    world.slot(0, *(texts or (TEXT,)))
    world.x.script = [script]
    world.engine.tick(world.profile)
    assert world.tweets()[0].status is TweetStatus.UNKNOWN


def looked(world: World, *, by_hand: bool = False) -> int:
    """One look; how many stay unknown after it."""
    with leased(world.engine.context(world.profile)) as lease:
        assert lease is not None
        return settle_unknown(world.engine.context(world.profile), lease, by_hand=by_hand).tweets


def reads(world: World) -> list[tuple[object, ...]]:
    found = world.rows("SELECT units, state, cost_usd FROM api_calls WHERE kind = 'read' ORDER BY at, units")
    return [tuple(row) for row in found]


def decisions(world: World) -> list[tuple[object, ...]]:
    found = world.rows(
        "SELECT verdict, reason FROM decisions WHERE kind = 'reconcile' ORDER BY at, created_at"
    )
    return [tuple(row) for row in found]


def test_a_post_is_no_younger_than_the_look_that_found_it(world: World) -> None:
    unheard(world, "error_after")
    (live,) = world.x.posts
    later = NOON + timedelta(days=900)
    world.x.posts = [LivePost(x_tweet_id=live.x_tweet_id, text=live.text, created_at=later)]
    world.x.visibility = timedelta(days=-1000)
    world.clock.pass_time(40)
    assert looked(world) == 0
    (row,) = world.tweets()
    assert (row.status, row.posted_at) == (TweetStatus.POSTED, NOON + timedelta(seconds=40))


def test_a_post_that_is_found_takes_the_moment_that_x_gives_it(world: World) -> None:
    unheard(world, "error_after")
    made = NOON + timedelta(seconds=7)
    (live,) = world.x.posts
    world.x.posts = [LivePost(x_tweet_id=live.x_tweet_id, text=live.text, created_at=made)]
    world.clock.pass_time(40)
    assert looked(world) == 0
    (row,) = world.tweets()
    assert (row.status, row.reason, row.x_tweet_id) == (TweetStatus.POSTED, "adopted", "1000")
    assert row.posted_at == made
    assert world.rows("SELECT status FROM posting_schedule") == [("done",)]
    assert world.rows("SELECT state FROM api_calls WHERE kind = 'post'") == [("settled",)]
    assert decisions(world) == [("adopted", "found on the timeline as 1000")]
    assert world.rows("SELECT tweet_id, profile_id FROM decisions WHERE verdict = 'adopted'") == [
        (row.id, world.profile_id)
    ]
    assert reads(world) == [(1, "settled", Decimal("0.005"))]
    world.check_books()


@pytest.mark.parametrize("created_at", [None, NOON - timedelta(hours=1)])
def test_a_post_that_is_found_is_never_older_than_its_intent(world: World, created_at: object) -> None:
    unheard(world, "error_after")
    (live,) = world.x.posts
    world.x.visibility = timedelta(0)
    world.x.posts = [LivePost(x_tweet_id="1000", text=live.text, created_at=created_at)]  # type: ignore[arg-type]  # a moment or none
    world.clock.pass_time(40)
    looked(world)
    (row,) = world.tweets()
    assert row.status is TweetStatus.POSTED
    assert row.posted_at == (NOON if created_at else world.clock.now())


def test_a_post_that_is_found_counts_in_the_window_that_x_told_before_it(world: World) -> None:
    window = RateWindow(name="24h_user", limit=17, remaining=5, resets_at=NOON + timedelta(hours=3))
    with world.manager.transaction() as tx:
        tx.rates.saw(world.profile_id, CREATE_POST, [window], now=NOON - timedelta(seconds=1))
    unheard(world, "error_after")
    world.clock.pass_time(1)
    looked(world)
    assert world.rows("SELECT remaining FROM rate_windows") == [(4,)]


def test_two_looks_that_far_apart_prove_absence_and_then_it_is_sent_once_more(world: World) -> None:
    unheard(world)
    # At once: too early to mean anything.
    assert looked(world) == 1
    (row,) = world.tweets()
    assert (row.absent_reads, row.looked_at, row.inconclusive_reads, row.next_attempt_at) == (
        0,
        NOON,
        0,
        None,
    )
    world.clock.pass_time(29)
    assert looked(world) == 1
    assert len(reads(world)) == 1
    world.clock.pass_time(1)
    assert looked(world) == 1
    (row,) = world.tweets()
    assert (row.absent_reads, row.looked_at) == (1, NOON + timedelta(seconds=30))
    assert decisions(world) == [("unknown", "not on the timeline yet")]
    world.clock.pass_time(30)
    assert looked(world) == 0
    (row,) = world.tweets()
    assert (row.status, row.reason, row.resends) == (TweetStatus.APPROVED, "absent", 1)
    assert row.looked_at == row.next_attempt_at == NOON + timedelta(seconds=60)
    assert world.rows("SELECT state FROM api_calls WHERE kind = 'post'") == [("released",)]
    assert decisions(world)[-1] == ("resend", "stayed absent from the timeline over two looks")
    world.engine.tick(world.profile)
    assert (world.x.calls, world.x.count(TEXT)) == (2, 1)


def test_a_text_that_stays_away_after_its_resend_ends_with_its_slot_and_thread(world: World) -> None:
    unheard(world, "lost_before", "one", "two")
    world.x.script = ["lost_before"]
    world.run(400, every=31)
    assert world.x.calls == 2
    assert [(row.status, row.reason) for row in world.tweets()] == [
        (TweetStatus.FAILED, "absent_after_resend"),
        (TweetStatus.REJECTED, "thread_broken"),
    ]
    assert world.rows("SELECT status, reason FROM posting_schedule") == [("skipped", "absent_after_resend")]
    assert decisions(world)[-1] == ("failed", "absent_after_resend")
    assert world.rows("SELECT count(*) FROM api_calls WHERE kind = 'post' AND state <> 'released'") == [(0,)]


def test_each_page_reaches_further_back_and_no_further_than_it_must(world: World) -> None:
    world.x.posts = [
        LivePost(
            x_tweet_id=str(number + 1),
            text=f"of another program {number}",
            created_at=NOON + timedelta(seconds=1),
        )
        for number in range(2000)
    ]
    unheard(world)
    world.clock.pass_time(40)
    assert looked(world) == 1
    assert [units for units, _state, _cost in reads(world)] == [10, 30, 100, 300, 800]
    assert decisions(world)[-1] == ("unknown", "the timeline is longer than one read shows")
    (row,) = world.tweets()
    assert (row.absent_reads, row.looked_at) == (0, world.clock.now())
    assert row.inconclusive_reads == 1
    assert row.next_attempt_at == world.clock.now() + timedelta(seconds=30)


def test_a_short_timeline_is_read_with_the_smallest_page(world: World) -> None:
    world.slot(0, "known before")
    world.engine.tick(world.profile)
    world.clock.pass_time(1)
    unheard_after = "after the known one"
    world.slot(0, unheard_after)
    world.x.script = ["error_after"]
    world.engine.tick(world.profile)
    world.clock.pass_time(40)
    assert looked(world) == 0
    # Ten are asked for, and those that are there are paid.
    assert reads(world) == [(2, "settled", Decimal("0.010"))]


@pytest.mark.parametrize(
    ("inconclusive", "by_hand", "pause"), [(0, False, 30), (1, False, 60), (3, False, 240), (3, True, 30)]
)
def test_a_read_that_fails_is_put_off_ever_longer(
    world: World, inconclusive: int, by_hand: bool, pause: int
) -> None:
    unheard(world)
    world.change("UPDATE tweets SET inconclusive_reads = :inconclusive", inconclusive=inconclusive)
    world.clock.pass_time(40)
    world.x.reads = ["fail"]
    assert looked(world, by_hand=by_hand) == 1
    (row,) = world.tweets()
    assert row.inconclusive_reads == inconclusive + 1
    assert row.next_attempt_at == world.clock.now() + timedelta(seconds=pause)
    assert row.looked_at is None
    world.clock.pass_time(pause - 1)
    assert looked(world) == 1
    assert len(reads(world)) == 1
    world.clock.pass_time(1)
    looked(world)
    assert len(reads(world)) == 2


def test_a_person_who_asks_waits_no_longer_than_xs_delay(world: World) -> None:
    unheard(world)
    world.change("UPDATE tweets SET next_attempt_at = :later", later=NOON + timedelta(minutes=10))
    world.clock.pass_time(40)
    assert (looked(world), len(reads(world))) == (1, 0)
    assert (looked(world, by_hand=True), len(reads(world))) == (1, 1)


def test_settling_by_hand_makes_a_look_that_was_put_off(world: World) -> None:
    unheard(world, "error_after")
    world.change("UPDATE tweets SET next_attempt_at = :later", later=NOON + timedelta(minutes=10))
    world.clock.pass_time(40)
    world.engine.tick(world.profile)
    assert reads(world) == []
    assert world.engine.settle(world.profile) == Unsettled(tweets=0, holding_up=0)
    assert [row.reason for row in world.tweets()] == ["adopted"]


@pytest.mark.parametrize(
    ("reason", "by_hand", "longest"),
    [
        ("no_answer", False, timedelta(hours=1)),
        ("duplicate", False, timedelta(days=1)),
        ("no_answer", True, timedelta(seconds=30)),
    ],
)
def test_a_look_is_put_off_no_longer_than_it_ever_is_although_the_clock_was_set_back(
    world: World, reason: str, by_hand: bool, longest: timedelta
) -> None:
    unheard(world)
    for beyond, made in ((timedelta(0), 0), (timedelta(seconds=1), 1)):
        world.change(
            "UPDATE tweets SET looked_at = :later, next_attempt_at = :later, reason = :reason",
            later=NOON + longest + beyond,
            reason=reason,
        )
        assert (looked(world, by_hand=by_hand), len(reads(world))) == (1, made)


def test_no_look_is_made_beyond_a_limit_and_why_is_told(world: World) -> None:
    unheard(world)
    world.engine = with_caps(world, Limits(reads_month=9, posts_24h=None))
    world.clock.pass_time(40)
    assert looked(world) == 1
    assert reads(world) == []
    assert world.rows("SELECT verdict, limit_name FROM decisions WHERE kind = 'reconcile'") == [
        ("wait", "reads_month")
    ]


def test_an_account_that_is_not_known_yet_is_not_looked_at(world: World) -> None:
    unheard(world)
    world.change("UPDATE profiles SET x_user_id = NULL")
    assert looked(world) == 1
    assert reads(world) == []


def test_a_duplicate_answer_is_looked_up_and_never_sent_again(world: World) -> None:
    made_before = LivePost(x_tweet_id="5", text=TEXT, created_at=NOON - timedelta(hours=5))
    world.x.posts = [made_before]
    unheard(world, "accept")
    assert world.tweets()[0].reason == "duplicate"
    world.clock.pass_time(1)
    assert looked(world) == 0
    (row,) = world.tweets()
    assert (row.status, row.x_tweet_id, row.posted_at) == (TweetStatus.POSTED, "5", NOON)


def test_a_duplicate_answer_whose_post_is_nowhere_for_a_day_ends_the_slot(world: World) -> None:
    world.x.posts = [LivePost(x_tweet_id="5", text=TEXT, created_at=NOON)]
    unheard(world, "accept")
    world.x.posts = []
    world.run(25 * 3600, every=3600)
    (row,) = world.tweets()
    assert (row.status, row.reason) == (TweetStatus.FAILED, "duplicate_refused")
    assert world.rows("SELECT status, reason FROM posting_schedule") == [("skipped", "duplicate_refused")]
    assert world.x.calls == 1


def test_a_call_whose_process_ended_becomes_unknown_with_its_post(world: World) -> None:
    world.slot(0, TEXT)
    world.x.script = ["kill_before"]
    with pytest.raises(Killed):
        world.engine.tick(world.profile)
    world.change("UPDATE tweets SET inconclusive_reads = 3, next_attempt_at = :later", later=NOON)
    with leased(world.engine.context(world.profile)) as lease:
        assert lease is not None
        assert find_orphans(world.engine.context(world.profile), lease) == 1
        assert find_orphans(world.engine.context(world.profile), lease) == 0
    (row,) = world.tweets()
    assert (row.status, row.reason) == (TweetStatus.UNKNOWN, "no_record")
    assert (row.inconclusive_reads, row.next_attempt_at) == (0, None)
    assert world.rows("SELECT state FROM api_calls") == [("unknown",)]


@pytest.mark.parametrize(("seconds", "state"), [(89, "reserved"), (91, "unknown")])
def test_a_read_that_nobody_waits_for_any_more_counts(world: World, seconds: int, state: str) -> None:
    agent = world.engine.services.limits
    with world.manager.transaction() as tx:
        wanted = agent.want_read(tx, "GET /2/tweets", "post_read", 7)
        agent.reserve(tx, wanted, profile_id=world.profile_id, now=NOON)
    world.clock.pass_time(seconds)
    with leased(world.engine.context(world.profile)) as lease:
        assert lease is not None
        assert find_orphans(world.engine.context(world.profile), lease) == 0
    assert world.rows("SELECT state, note FROM api_calls") == [
        (state, "its process ended before the answer" if state == "unknown" else None)
    ]


def test_what_a_read_showed_is_not_written_by_a_worker_that_lost_its_lease_over_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    unheard(world, "error_after")
    world.clock.pass_time(40)
    read = world.x.timeline

    def timeline(x_user_id: str, *, since_id: str | None = None, limit: int = 100) -> Timeline:
        shown = read(x_user_id, since_id=since_id, limit=limit)
        world.clock.pass_time(91)
        with world.manager.transaction() as tx:
            set_clock(tx, world.clock.true)
            tx.leases.acquire(world.profile_id, holder="another", asked_at=0, lasts=timedelta(seconds=90))
        return shown

    monkeypatch.setattr(world.x, "timeline", timeline)
    with pytest.raises(LeaseLost):
        looked(world)
    assert [(row.status, row.x_tweet_id) for row in world.tweets()] == [(TweetStatus.UNKNOWN, None)]


def test_a_text_whose_id_another_row_holds_is_neither_adopted_nor_sent_again(world: World) -> None:
    world.slot(0, TEXT)
    world.engine.tick(world.profile)
    world.clock.pass_time(1)
    world.slot(0, TEXT)
    world.x.script = ["lost_before"]
    world.engine.tick(world.profile)
    world.change("UPDATE tweets SET inconclusive_reads = 3 WHERE status = 'unknown'")
    world.clock.pass_time(40)
    assert looked(world) == 1
    row = world.tweets()[1]
    assert (row.status, row.reason, row.x_tweet_id) == (TweetStatus.UNKNOWN, "duplicate", None)
    assert (row.inconclusive_reads, row.absent_reads) == (0, 0)
    assert (row.looked_at, row.next_attempt_at) == (world.clock.now(), None)
    assert decisions(world) == [("unknown", "on the timeline as 1000, which another tweet has already")]
    # X has said by now that it exists: from here on it is looked for when its age has doubled.
    world.clock.pass_time(60)
    assert looked(world) == 1
    row = world.tweets()[1]
    assert row.next_attempt_at == world.clock.now() + timedelta(seconds=100)
    assert len(decisions(world)) == 1
    world.clock.pass_time(24 * 3600)
    assert looked(world) == 0
    assert [(one.status, one.reason) for one in world.tweets()][1] == (
        TweetStatus.FAILED,
        "duplicate_refused",
    )
    assert world.x.calls == 2

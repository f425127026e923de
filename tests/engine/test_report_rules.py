"""What a person is shown: the rows as they are, and what each decision row names."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import LeaseLost, SettingError
from bot.core.model import DecisionRecord, LivePost, Timeline
from bot.core.posting.auditing import Findings
from bot.core.rates import RateWindow
from bot.core.spending.limits import Allow, Gauge, Limits, Wait
from bot.core.states import Mode, TweetStatus
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.decisions import DecisionRecorder
from bot.engine.leasing import leased
from bot.engine.posting.auditing import _remove_leased, audit, audit_if_due
from bot.engine.reports import report_decisions, report_status, report_usage
from tests.core.makers import slot, tweet
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import NOON, World

HOUR = timedelta(hours=1)


def test_usage_shows_what_is_used_left_and_forecast(world: World) -> None:
    world.change("UPDATE plans SET posts_per_day = 4, spacing_seconds = 60")
    world.engine = with_caps(world, Limits(posts_24h=17, budget_usd=Decimal(20)))
    world.slot(0, "one")
    world.engine.tick(world.profile)
    world.clock.pass_time(10)
    now = world.clock.now()
    report = report_usage(world.manager, world.engine.services.limits, world.profile_id, now=now)
    assert report.as_of == now
    shown = {gauge.name: f"{gauge.used} of {gauge.cap}" for gauge in report.gauges}
    assert shown["posts_24h"] == "1 of 17"
    assert Decimal(shown["budget_usd"].split()[0]) == Decimal("0.015")
    assert shown["spacing"] == "10 of 60"
    assert (report.usage.posts_month, report.limits.planned_per_day) == (1, 4)
    assert report.forecast.days_left == 21
    assert report.forecast.posts_left == 85
    assert isinstance(report.verdict, Wait)
    assert (report.verdict.limit, report.verdict.until) == ("spacing", NOON + timedelta(minutes=1))


def test_a_budget_is_weighed_against_the_price_of_a_plain_post(world: World) -> None:
    for budget, verdict in (("0.014", Wait), ("0.015", Allow)):
        world.engine = with_caps(world, Limits(budget_usd=Decimal(budget)))
        report = report_usage(world.manager, world.engine.services.limits, world.profile_id, now=NOON)
        assert isinstance(report.verdict, verdict)


def test_a_persons_wish_is_shown_without_the_spacing_that_does_not_bind_it(world: World) -> None:
    world.change("UPDATE plans SET spacing_seconds = 60")
    world.slot(0, "one")
    world.engine.tick(world.profile)
    report = report_usage(
        world.manager, world.engine.services.limits, world.profile_id, now=NOON, spaced=False
    )
    assert "spacing" not in {gauge.name for gauge in report.gauges}
    assert report.verdict.verdict == "allow"


def test_drift_is_shown_by_window_where_there_is_one(world: World) -> None:
    windows = [
        RateWindow(name="24h_user", limit=17, remaining=10, resets_at=NOON + HOUR),
        RateWindow(name="15m", limit=100, remaining=100, resets_at=NOON + HOUR),
    ]
    # Only a ledger that is older than the window knows all of it.
    world.change(
        "INSERT INTO api_calls (profile_id, api, kind, endpoint, units, cost_usd, state, at) "
        "VALUES (:p, 'twitter', 'post', 'POST /2/tweets', 1, 0, 'settled', :at)",
        p=world.profile_id,
        at=NOON - timedelta(days=2),
    )
    with world.manager.transaction() as tx:
        tx.rates.saw(world.profile_id, "POST /2/tweets", windows, now=NOON)
    report = report_usage(world.manager, world.engine.services.limits, world.profile_id, now=NOON)
    assert report.drift == {"POST /2/tweets (24h_user)": 7}


def test_without_a_profile_status_shows_a_verdict_and_nothing_else(world: World) -> None:
    report = report_status(
        world.manager,
        world.engine.services.limits,
        None,
        now=NOON,
        mode=Mode.AUTO,
    )
    assert (report.as_of, report.profile, report.posts_per_day, report.open) == (NOON, None, None, {})
    assert (report.last_post, report.next_slot, report.last_decision) == (None, None, None)
    assert report.verdict.verdict == "allow"


def test_status_shows_how_a_profile_stands(world: World) -> None:
    world.change("UPDATE plans SET posts_per_day = 4")
    world.slot(0, "live")
    world.engine.tick(world.profile)
    world.slot(8 * 24 * 3600 - 1, "the next")
    world.slot(8 * 24 * 3600 + 1, "too far ahead")
    report = report_status(
        world.manager,
        world.engine.services.limits,
        world.profile,
        now=NOON,
        mode=Mode.AUTO,
    )
    assert report.profile == world.profile
    assert report.posts_per_day == 4
    assert report.open == {"drafted": 2}
    assert report.last_post is not None
    assert report.last_post.text == "live"
    assert report.next_slot is not None
    assert report.next_slot.due_at == NOON + timedelta(days=8, seconds=-1)
    assert report.last_decision is not None
    assert report.last_decision.verdict == "allow"
    assert report.verdict.verdict == "allow"


@pytest.mark.parametrize(("reason", "told"), [(None, "by the operator"), ("a holiday", "a holiday")])
def test_a_paused_profile_waits_for_resume_and_for_nothing_else(
    world: World, reason: str | None, told: str
) -> None:
    world.change("UPDATE profiles SET paused = true, pause_reason = :reason", reason=reason)
    report = report_status(
        world.manager,
        world.engine.services.limits,
        world.profile,
        now=NOON,
        mode=Mode.AUTO,
    )
    assert report.verdict == Wait(
        until=None,
        limit="paused",
        used=Decimal(0),
        cap=None,
        reason=f"paused: {told}; `resume` lifts it",
    )


def test_status_counts_what_exists_and_is_not_shown_apart_from_what_is_still_waited_for(
    world: World,
) -> None:
    for number, reason in enumerate(("duplicate_unseen", "duplicate", "no_answer")):
        world.slot(3600 + number, reason)
    world.change("UPDATE tweets SET status = 'unknown', reason = text, intent_at = :at", at=NOON)
    report = report_status(
        world.manager,
        world.engine.services.limits,
        world.profile,
        now=NOON,
        mode=Mode.AUTO,
    )
    assert (report.unseen, report.open) == (1, {"unknown": 3})


def test_status_of_a_profile_with_nothing_yet_is_empty(world: World) -> None:
    world.change("UPDATE plans SET status = 'archived'")
    world.slot(8 * 24 * 3600 + 1)
    report = report_status(
        world.manager,
        world.engine.services.limits,
        world.profile,
        now=NOON,
        mode=Mode.AUTO,
    )
    assert (report.posts_per_day, report.last_post, report.next_slot, report.last_decision) == (
        None,
        None,
        None,
        None,
    )


# Decision rows.


def test_the_decisions_of_a_profile_are_told_with_what_the_worker_did_for_all(world: World) -> None:
    with world.manager.transaction() as tx:
        for seconds, kind in ((0, "start"), (5, "publish"), (6, "stop"), (7, "start")):
            whose = world.profile_id if kind == "publish" else None
            at = NOON + timedelta(seconds=seconds)
            tx.decisions.record(DecisionRecord(at=at, kind=kind, verdict=kind, reason=kind, profile_id=whose))
    told = report_decisions(world.manager, world.profile, limit=3)
    assert [one.kind for one in told] == ["start", "stop", "publish"]
    assert [one.kind for one in report_decisions(world.manager, None, limit=9)] == ["start", "stop", "start"]


GAUGES = (
    Gauge(name="posts_24h", used=Decimal(3), cap=Decimal(17), window="24h"),
    Gauge(name="posts_month", used=Decimal(9), cap=None, window="month"),
)
WAITS = Wait(
    until=NOON + HOUR, limit="posts_24h", used=Decimal(3), cap=Decimal(17), reason="full", gauges=GAUGES
)
NUMBERS = {"posts_24h": {"used": "3", "cap": "17"}, "posts_month": {"used": "9", "cap": None}}


def recorder(world: World, kind: DecisionKind) -> tuple[DecisionRecorder, list[DecisionRecord]]:
    """Records into a list."""
    rows: list[DecisionRecord] = []
    tx: Any = SimpleNamespace(decisions=SimpleNamespace(record=rows.append))
    return DecisionRecorder(tx=tx, kind=kind, profile=world.profile, now=NOON), rows


def test_a_verdict_becomes_a_row_with_all_that_it_saw(world: World) -> None:
    profile, about = world.profile, tweet(slot_id=slot(NOON, 5).id)
    decisions, rows = recorder(world, DecisionKind.PUBLISH)
    decisions.weighed(WAITS, about=about)
    assert rows[0] == DecisionRecord(
        at=NOON,
        kind="publish",
        verdict="wait",
        reason="full",
        profile_id=profile.id,
        limit="posts_24h",
        used=Decimal(3),
        cap=Decimal(17),
        until=NOON + HOUR,
        slot_id=about.slot_id,
        tweet_id=about.id,
        numbers=NUMBERS,
    )


def test_an_outcome_beside_the_verdict_says_what_it_would_have_been(world: World) -> None:
    decisions, rows = recorder(world, DecisionKind.PUBLISH)
    decisions.would(WAITS)
    (row,) = rows
    assert (row.verdict, row.reason, row.slot_id, row.tweet_id) == ("dry_run", "would wait: full", None, None)


def test_a_note_names_a_slot_or_a_tweet_with_its_slot(world: World) -> None:
    profile, about, other = world.profile, tweet(slot_id=slot(NOON, 5).id), slot(NOON, 6)
    decisions, rows = recorder(world, DecisionKind.PLAN)
    decisions.note(Ruling.MOVED, "late", about=about, until=NOON + HOUR)
    decisions.note(Ruling.MOVED, "late", about=other)
    decisions.note(Ruling.NOTHING, "idle")
    row, empty, neither = rows
    assert row == DecisionRecord(
        at=NOON,
        kind="plan",
        verdict="moved",
        reason="late",
        profile_id=profile.id,
        until=NOON + HOUR,
        slot_id=about.slot_id,
        tweet_id=about.id,
    )
    assert (empty.slot_id, empty.tweet_id) == (other.id, None)
    assert (neither.slot_id, neither.tweet_id, neither.until) == (None, None, None)


# The audit's edges.


def live_before(world: World, count: int) -> None:
    for number in range(count):
        world.slot(0, f"number {number}")
        world.engine.tick(world.profile)
        world.clock.pass_time(1)
    world.clock.pass_time(3600)


def set_depth(world: World, value: int) -> None:
    world.change(f"INSERT INTO bot_config (key, value) VALUES ('audit_posts', '{value}')")


@pytest.mark.parametrize(("depth", "units"), [(5, 5), (30, 22), (3200, 22)])
def test_an_audit_asks_for_our_own_posts_and_twenty_more_up_to_its_depth(
    world: World, depth: int, units: int
) -> None:
    live_before(world, 2)
    world.x.posts = [
        LivePost(x_tweet_id=str(number + 1), text=f"older {number}", created_at=NOON) for number in range(50)
    ] + world.x.posts
    set_depth(world, depth)
    assert audit(world.engine.context(world.profile)) is not None
    assert world.rows("SELECT units FROM api_calls WHERE kind = 'read'") == [(units,)]


def test_an_audit_reads_its_whole_depth_once_although_others_posts_hide_ours(world: World) -> None:
    live_before(world, 2)
    world.x.posts += [
        LivePost(x_tweet_id=str(5000 + number), text=f"by hand {number}", created_at=NOON)
        for number in range(50)
    ]
    set_depth(world, 5)
    assert audit(world.engine.context(world.profile)) is not None
    assert world.rows("SELECT units FROM api_calls WHERE kind = 'read'") == [(5,)]


def test_an_audit_with_no_post_of_ours_looks_no_further_than_at_the_newest_twenty(world: World) -> None:
    world.x.posts = [
        LivePost(x_tweet_id=str(number + 1), text=f"by hand {number}", created_at=NOON)
        for number in range(50)
    ]
    done = audit(world.engine.context(world.profile))
    assert done is not None
    assert len(done.findings.foreign) == 20
    assert world.rows("SELECT units FROM api_calls WHERE kind = 'read'") == [(20,)]


def test_without_a_setting_an_audit_goes_a_hundred_posts_deep(world: World) -> None:
    live_before(world, 1)
    world.x.posts += [
        LivePost(x_tweet_id=str(5000 + number), text=f"by hand {number}", created_at=NOON)
        for number in range(150)
    ]
    done = audit(world.engine.context(world.profile))
    assert done is not None
    assert world.rows("SELECT max(units) FROM api_calls WHERE kind = 'read'") == [(100,)]


def test_a_read_without_a_post_that_was_cut_off_reaches_none_of_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_before(world, 2)
    whole, asked = world.x.timeline, []

    def timeline(x_user_id: str, *, since_id: str | None = None, limit: int = 100) -> Timeline:
        asked.append(limit)
        if len(asked) == 1:
            return Timeline(posts=(), complete=False)
        return whole(x_user_id, since_id=since_id, limit=limit)

    monkeypatch.setattr(world.x, "timeline", timeline)
    done = audit(world.engine.context(world.profile))
    assert asked == [22, 100]
    assert done is not None
    assert done.findings == Findings()


@pytest.mark.parametrize("value", [4, 3201])
def test_a_depth_out_of_bounds_is_refused_with_the_bounds(world: World, value: int) -> None:
    set_depth(world, value)
    with pytest.raises(SettingError) as caught:
        audit(world.engine.context(world.profile))
    assert "from 5 to 3200" in caught.value.fix


def test_an_account_that_is_not_known_yet_is_not_audited(world: World) -> None:
    world.change("UPDATE profiles SET x_user_id = NULL")
    assert audit(world.engine.context(world.profile)) is None
    assert world.rows("SELECT count(*) FROM api_calls") == [(0,)]


def test_what_an_audit_found_is_kept_with_its_ids(world: World) -> None:
    world.slot(0, "removed by hand", "its reply")
    world.x.script = ["accept", "unreachable"]
    world.engine.tick(world.profile)
    world.clock.pass_time(3600)
    world.x.delete("1000")
    done = audit(world.engine.context(world.profile))
    assert done is not None
    assert done.deleted == ("1000",)
    root, reply = world.tweets()
    assert (root.status, root.reason) == (TweetStatus.DELETED, "removed_on_x")
    assert (reply.status, reply.reason) == (TweetStatus.FAILED, "thread_broken")
    (row,) = world.rows("SELECT at, verdict, reason, numbers, profile_id FROM decisions WHERE kind = 'audit'")
    assert tuple(row) == (
        world.clock.now(),
        "differs",
        "1 missing, 1 deleted",
        {"missing": ["1000"], "foreign": [], "edited": [], "deleted": ["1000"]},
        world.profile_id,
    )
    # The look-up by id is a read of its own, at its own price.
    assert world.rows(
        "SELECT endpoint, units, cost_usd FROM api_calls WHERE kind = 'read' ORDER BY endpoint"
    ) == [
        ("GET /2/tweets", 0, Decimal(0)),
        ("GET /2/users/:id/tweets", 0, Decimal(0)),
    ]


def test_of_a_post_that_was_removed_nothing_is_kept_but_that_it_was_there(world: World) -> None:
    world.slot(0)
    prepare_next(world.engine.context(world.profile))
    world.engine.tick(world.profile)
    (posted,) = world.tweets()
    assert posted.source is not None
    world.x.delete("1000")
    world.clock.pass_time(3600)
    audit(world.engine.context(world.profile))
    (row,) = world.tweets()
    assert (row.status, row.text, row.fingerprint, row.source) == (TweetStatus.DELETED, "", "", None)
    assert (row.x_tweet_id, row.posted_at) == ("1000", NOON)


def test_an_audit_that_loses_its_lease_removes_nothing(world: World) -> None:
    live_before(world, 1)
    with leased(world.engine.context(world.profile), job="/audit") as lease:
        assert lease is not None
        world.clock.pass_time(91)
        with leased(world.new_engine().context(world.profile)), pytest.raises(LeaseLost):
            _remove_leased(world.context, lease, world.tweets())
    assert [row.status for row in world.tweets()] == [TweetStatus.POSTED]


def test_an_audit_that_differs_or_fails_is_not_repeated_or_is(world: World) -> None:
    world.x.posts = [LivePost(x_tweet_id="77", text="by hand", created_at=NOON)]
    world.x.reads = ["fail"]
    assert audit_if_due(world.engine.context(world.profile)) is None
    done = audit_if_due(world.engine.context(world.profile))
    assert done is not None
    assert done.findings.foreign == ("77",)
    for hours, due in ((19, False), (1, True)):
        world.clock.pass_time(hours * 3600)
        assert (audit_if_due(world.engine.context(world.profile)) is not None) is due

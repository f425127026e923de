"""One decision, real rows, real money."""

from __future__ import annotations

import json
import multiprocessing
import os
import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from bot.core.codes import DecisionKind
from bot.core.errors import (
    Fatal,
    PriceUnknown,
    Refused,
    Retryable,
    ServiceError,
    SettingError,
    UsageUnreadable,
)
from bot.core.posting.post import Post
from bot.core.rates import RateWindow
from bot.core.spending.limits import CREATE_POST, Limits, Wait, Wanted
from bot.core.spending.pricing import LISTED
from bot.core.spending.usage import ModelUsage
from bot.core.states import CallState, Mode, TweetStatus
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.posting_once import Wish, post_once
from bot.engine.reports import report_status, report_usage
from bot.engine.spending.limits_agent import LimitsAgent
from bot.engine.stopwatch import Stopwatch
from tests.engine.racing import race
from tests.engine.world import NOON, Process, World

HOUR = timedelta(hours=1)


def once(world: World, *texts: str, topic: str | None = None) -> OutcomeKind:
    """A person's wish, and how it ended."""
    wish = Wish(posts=[Post(text=text) for text in texts], topic=topic)
    watch = Stopwatch(lambda: 0.0)
    return post_once(world.engine, world.profile, wish, watch=watch, say=lambda _what: None).kind


def test_eight_processes_that_race_for_the_last_three_posts_get_exactly_three(
    breakable: World, database_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From a small process: in forks of this one coverage begins anew, and looks through all it has loaded.
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.engine.racing"])
    start, results = context.Barrier(8), context.Queue()
    wanted = {"places": 3, "now": NOON, "start": start, "results": results}
    racers = [
        context.Process(target=race, args=(database_url, breakable.profile_id), kwargs=wanted)
        for _ in range(8)
    ]
    for racer in racers:
        racer.start()
    verdicts = sorted(results.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join(timeout=30)
    assert verdicts == ["allow"] * 3 + ["wait"] * 5
    assert breakable.rows("SELECT sum(units) FROM api_calls") == [(3,)]


def test_what_was_used_elsewhere_counts_from_then_on(world: World) -> None:
    world.change("SELECT track_twitter_usage(16, 0, :at)", at=world.clock.now())
    world.engine = with_caps(world, Limits(posts_24h=17))
    assert once(world, "the last place") is OutcomeKind.POSTED
    assert once(world, "one too many") is OutcomeKind.WAITING
    assert world.x.calls == 1


def test_a_429_closes_the_endpoint_until_its_reset_and_no_call_is_tried_before(world: World) -> None:
    world.slot(0, "refused at first")
    world.x.script = ["too_many"]
    world.run(119, every=17)
    assert world.x.calls == 1
    world.run(30, every=10)
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.POSTED]
    assert world.x.calls == 2


def test_spent_credits_stop_all_spending_until_resume_or_a_probe_an_hour_later(world: World) -> None:
    world.change("UPDATE plans SET late_tolerance_seconds = 86400")
    world.slot(0, "waits for credits")
    world.x.script = ["credits", "credits"]
    world.run(3599, every=500)
    assert world.x.calls == 1
    world.run(200, every=50)
    assert world.x.calls == 2
    with world.manager.transaction() as tx:
        assert tx.rates.lift_blocks(world.profile.id) == 1
    world.run(100, every=50)
    assert world.x.count("waits for credits") == 1


def test_a_blocked_endpoint_binds_a_person_too(world: World) -> None:
    world.x.script = ["too_many"]
    assert once(world, "first try") is OutcomeKind.WAITING
    assert once(world, "second try") is OutcomeKind.WAITING
    assert world.x.calls == 1


def test_drift_between_x_and_the_ledger_is_kept_and_warned_about(world: World) -> None:
    assert once(world, "before X's window began") is OutcomeKind.POSTED
    world.clock.pass_time(30 * 3600)
    window = RateWindow(
        name="24h_user", limit=17, remaining=10, resets_at=world.clock.now() + timedelta(hours=20)
    )
    world.x.rates = (window,)
    assert once(world, "counted differently") is OutcomeKind.POSTED
    assert ("usage_drift", 6) in [(event, facts.get("units")) for event, facts in world.log.events]
    assert world.rows("SELECT name, drift FROM rate_windows") == [("24h_user", 6)]


def test_x_headers_win_when_they_are_tighter(world: World) -> None:
    window = RateWindow(
        name="24h_app", limit=17, remaining=0, resets_at=world.clock.now() + timedelta(hours=3)
    )
    with world.manager.transaction() as tx:
        tx.rates.saw(world.profile.id, "POST /2/tweets", [window], now=world.clock.now())
        verdict = world.engine.services.limits.judge(tx, world.profile.id, Wanted(), world.clock.now())
    assert isinstance(verdict, Wait)
    assert (verdict.limit, verdict.until) == ("x_24h_app", NOON + timedelta(hours=3))


def test_a_post_whose_price_is_not_known_is_not_posted(world: World) -> None:
    world.change("INSERT INTO bot_config (key, value) VALUES ('prices', '{\"post\": null}')")
    with pytest.raises(PriceUnknown):
        once(world, "priceless")
    assert world.x.calls == 0


def test_a_link_is_left_out_when_the_budget_pays_only_for_a_plain_post(world: World) -> None:
    world.change("UPDATE plans SET include_links = true")
    world.engine = with_caps(world, Limits(budget_usd=Decimal("0.10"), posts_24h=None))
    assert once(world) is OutcomeKind.POSTED
    world.change("UPDATE api_calls SET cost_usd = 0")
    world.engine = with_caps(world, Limits(budget_usd=Decimal("1.00"), posts_24h=None))
    assert once(world) is OutcomeKind.POSTED
    assert [request.include_link for request in world.writer.asked] == [False, True]


def test_a_model_call_is_reserved_before_and_settled_at_what_it_took(world: World) -> None:
    world.writer.usage = ModelUsage(model="gpt-5-mini", input_tokens=1000, output_tokens=100)
    assert once(world) is OutcomeKind.POSTED
    assert world.rows("SELECT state, tokens, cost_usd FROM api_calls WHERE kind = 'model'") == [
        (CallState.SETTLED.value, 1100, Decimal("0.000450"))
    ]
    assert world.rows("SELECT tokens_used FROM api_usage_tracking WHERE api_type = 'openai'") == [(1100,)]


def test_no_model_is_asked_when_its_tokens_or_the_post_after_it_don_t_fit(world: World) -> None:
    world.writer.usage = ModelUsage(model="gpt-5-mini", input_tokens=1000, output_tokens=100)
    world.engine = with_caps(world, Limits(tokens_day=1000))
    assert once(world) is OutcomeKind.WAITING
    world.engine = with_caps(world, Limits(posts_24h=0))
    assert once(world) is OutcomeKind.WAITING
    assert not world.writer.asked


@pytest.mark.no_cover  # a month of ticks over the same lines
def test_a_month_of_a_plan_that_wants_more_never_exceeds_its_budget_model_calls_included(
    world: World,
) -> None:
    usage = ModelUsage(model="gpt-5-mini", input_tokens=20_000, output_tokens=500)
    world.writer.usage = usage
    world.change("UPDATE plans SET posts_per_day = 4, late_tolerance_seconds = 600")
    caps = Limits(posts_24h=None, posts_15min=None, budget_usd=Decimal("0.60"))
    world.engine = with_caps(world, caps, draft_usage=usage)
    days = []
    for _ in range(21 * 4):
        before = len(world.x.posts)
        world.slot(0)
        prepare_next(world.engine.context(world.profile))
        world.run(6 * 3600, every=3 * 3600)
        days += [world.clock.now().day] * (len(world.x.posts) - before)
    spent = world.rows("SELECT sum(cost_usd) FROM api_usage_tracking")[0][0]
    assert spent <= Decimal("0.60")
    assert spent >= Decimal("0.50")
    assert max(days) >= 29
    assert len(world.x.posts) < 21 * 4
    gaps = [later - earlier for earlier, later in pairwise(days)]
    assert max(gaps) <= 3


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("ALTER TABLE api_usage_tracking RENAME TO lost", "api_usage_tracking"),
        ("ALTER TABLE api_calls RENAME TO lost", "api_calls"),
        (
            "ALTER TABLE api_usage_tracking DROP CONSTRAINT uq_api_usage_tracking_date_api_type",
            "uq_api_usage_tracking_date_api_type",
        ),
        ("DROP TRIGGER keep_daily_rows ON api_calls", "keep_daily_rows"),
        ("ALTER TABLE api_calls RENAME COLUMN units TO lots", "units"),
    ],
)
def test_when_usage_is_unreadable_in_any_way_nothing_is_posted(
    breakable: World, broken: str, named: str
) -> None:
    breakable.change(broken)
    with pytest.raises(UsageUnreadable, match=named):
        once(breakable, "blind")
    assert breakable.x.calls == 0


def test_with_twelve_missed_slots_after_an_outage_the_next_hour_holds_what_was_planned_for_it(
    world: World,
) -> None:
    for number in range(24):
        world.slot(number * 300, f"every five minutes {number}")
    world.clock.pass_time(3601)
    world.run(3600, every=30)
    assert len(world.x.posts) <= 12
    planned = world.rows("SELECT count(*) FROM posting_schedule WHERE due_at > '2026-03-10 13:00:01+00'")
    assert len(world.x.posts) <= planned[0][0]


def with_caps(world: World, caps: Limits, *, draft_usage: ModelUsage | None = None) -> Process:

    agent = LimitsAgent(caps=caps, listed=LISTED, new_id=uuid.uuid4, draft_usage=draft_usage)
    return world.engine_with(replace(world.engine.services, limits=agent))


@pytest.mark.parametrize(("kind", "reads"), [("fail", 0), ("lost", 10)])
def test_a_read_whose_answer_was_lost_counts_and_one_that_x_never_got_does_not(
    world: World, kind: str, reads: int
) -> None:
    world.slot(0, "its answer is lost")
    world.x.script = ["lost_after"]
    world.engine.tick(world.profile)
    world.x.reads = [kind]
    world.engine.tick(world.profile)
    assert not world.x.reads
    ((counted,),) = world.rows("SELECT coalesce(sum(reads_made), 0) FROM api_usage_tracking")
    assert counted == reads


def test_a_post_that_was_adopted_counts_in_xs_own_window(world: World) -> None:
    """X said that one call was left; it was made, and nobody heard X say that none is left now."""
    resets_at = world.clock.now() + timedelta(hours=3)
    window = RateWindow(name="24h_user", limit=17, remaining=1, resets_at=resets_at)
    with world.manager.transaction() as tx:
        tx.rates.saw(world.profile_id, CREATE_POST, [window], now=world.clock.now() - timedelta(seconds=1))
    world.slot(0, "the last one, unheard")
    world.x.script = ["error_after"]
    world.run(60, every=20)
    assert [(tweet.status, tweet.reason) for tweet in world.tweets()] == [(TweetStatus.POSTED, "adopted")]
    assert once(world, "one too many") is OutcomeKind.WAITING
    world.clock.pass_time(3 * 3600)
    assert once(world, "after the reset") is OutcomeKind.POSTED


@pytest.mark.parametrize("caps", ['{"budget_usd": "20,00"}', '{"budget_usd": true}', '{"posts_24h": true}'])
def test_a_cap_that_is_none_is_named(world: World, caps: str) -> None:
    world.change("INSERT INTO bot_config (key, value) VALUES ('caps', CAST(:caps AS jsonb))", caps=caps)
    with pytest.raises(SettingError, match="bot_config caps"):
        once(world, "weighed against what?")
    assert world.x.calls == 0


@pytest.mark.parametrize("most", [0, 1_000_000_000, None])
def test_every_cap_may_be_from_nothing_to_a_billion_or_lifted(world: World, most: int | None) -> None:
    names = ("posts_15min", "posts_24h", "posts_month", "reads_month", "tokens_day")
    budget = None if most is None else min(most, 1_000_000)
    caps = json.dumps({**dict.fromkeys(names, most), "budget_usd": budget})
    world.change("INSERT INTO bot_config (key, value) VALUES ('caps', CAST(:caps AS jsonb))", caps=caps)
    with world.manager.transaction() as tx:
        found = world.engine.services.limits.limits(tx, None)
    assert {getattr(found, name) for name in names} == {most}
    assert found.budget_usd == budget


@pytest.mark.parametrize("key", ["caps", "prices"])
@pytest.mark.parametrize("value", ["0", '""', "false", "[]", "1", '"none"', "[1]", "true"])
def test_settings_of_the_wrong_type_are_named_and_nothing_is_posted(
    world: World, key: str, value: str
) -> None:
    world.change("INSERT INTO bot_config (key, value) VALUES (:k, CAST(:v AS jsonb))", k=key, v=value)
    with pytest.raises(SettingError, match=f"bot_config {key}: .* is not an object") as caught:
        once(world, "weighed against what?")
    assert "remove the row" in caught.value.fix
    assert world.x.calls == 0


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("caps", '{"posts_24h": 1000000001}', "caps"),
        ("caps", '{"posts_month": -1}', "caps"),
        ("caps", '{"budget_usd": "-0.01"}', "caps"),
        ("caps", '{"budget_usd": -1}', "caps"),
        ("caps", '{"budget_usd": "1000000.01"}', "caps"),
        ("caps", '{"budget_usd": "NaN"}', "caps"),
        ("prices", '{"post": "1000001"}', r"prices\.post"),
        ("prices", '{"post": "0.0000001"}', r"prices\.post"),
        ("prices", '{"post": 1e400}', r"prices\.post"),
        ("prices", '{"models": 5}', r"prices\.models"),
    ],
)
def test_a_figure_that_no_column_could_hold_is_named(world: World, key: str, value: str, named: str) -> None:
    world.change("INSERT INTO bot_config (key, value) VALUES (:k, CAST(:v AS jsonb))", k=key, v=value)
    with pytest.raises(SettingError, match=f"bot_config {named}"):
        once(world, "weighed against what?")
    assert world.x.calls == 0


@pytest.mark.parametrize(
    ("owns_app", "prices", "price"),
    [
        (None, None, "0.005"),
        ("false", None, "0.005"),
        ('"yes"', None, "0.005"),
        ("true", None, "0.001"),
        (None, '{"post_read": "0.007"}', "0.007"),
        (None, '{"own_post_read": "0.002"}', "0.002"),
        ("true", '{"own_post_read": "0.002"}', "0.002"),
    ],
)
def test_own_reads_are_cheap_only_once_the_operator_attests_the_app(
    world: World, owns_app: str | None, prices: str | None, price: str
) -> None:
    for key, value in (("owns_app", owns_app), ("prices", prices)):
        if value is not None:
            world.change("INSERT INTO bot_config (key, value) VALUES (:k, CAST(:v AS jsonb))", k=key, v=value)
    with world.manager.transaction() as tx:
        wanted = world.engine.services.limits.want_read(tx, "GET /2/users/:id/tweets", "own_post_read", 10)
    assert wanted.cost_usd == 10 * Decimal(price)


counts = st.none() | st.integers(0, 10**9)
amounts = st.none() | st.decimals(0, 10**6, places=6, allow_nan=False)


@given(
    caps=st.builds(
        Limits,
        posts_15min=counts,
        posts_24h=counts,
        posts_month=counts,
        reads_month=counts,
        tokens_day=counts,
        budget_usd=amounts,
    ),
    used=st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)),
    price=st.decimals(0, 10**6, places=6, allow_nan=False),
)
@settings(
    max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_setting_is_accepted_works(
    world: World, caps: Limits, used: tuple[int, int], price: Decimal
) -> None:
    """A decision, its row, a reservation, usage and status, at every cap, use and price."""
    world.change("DELETE FROM api_calls")
    world.change("DELETE FROM decisions")
    world.change("SELECT track_twitter_usage(:p, :r, :at)", p=used[0], r=used[1], at=NOON)
    world.change("SELECT track_twitter_usage(:p, :r, :at)", p=used[0], r=used[1], at=NOON)
    agent = replace(world.engine.services.limits, caps=caps, listed=replace(LISTED, post=price))
    with world.manager.transaction() as tx:
        verdict = agent.judge(tx, world.profile_id, agent.want_post(tx, "text", spaced=True), NOON)
        world.context.decisions(tx, DecisionKind.PUBLISH, now=NOON).weighed(verdict)
        agent.reserve(tx, Wanted(cost_usd=price), profile_id=world.profile_id, now=NOON)
        (kept,) = tx.decisions.last(world.profile_id, limit=1)
    report = report_status(world.database, agent, world.profile, now=NOON, mode=Mode.AUTO)
    usage = report_usage(world.database, agent, world.profile_id, now=NOON)
    assert (kept.used, kept.cap) == (verdict.used, verdict.cap)
    assert usage.usage.posts_month == 2 * used[0] + 1
    assert usage.usage.cost_month == price
    assert report.verdict == usage.verdict
    if caps.posts_24h is not None and 2 * used[0] + 1 > caps.posts_24h:
        assert verdict.verdict == "wait"


def in_an_hour(name: str, remaining: int) -> RateWindow:
    return RateWindow(name=name, limit=17, remaining=remaining, resets_at=NOON + HOUR)


@pytest.mark.parametrize(
    ("error", "closes"),
    [
        # What names its time is closed until then, but a quarter of an hour's window no longer than that.
        (Retryable(code="rate_limited", until=NOON + HOUR), ("GET /2/tweets", "block", HOUR)),
        (
            Retryable(code="rate_limited", until=NOON + HOUR, rates=[in_an_hour("15m", 0)]),
            ("GET /2/tweets", "block", HOUR / 4),
        ),
        (
            Retryable(
                code="rate_limited",
                until=NOON + HOUR,
                rates=[in_an_hour("15m", 0), in_an_hour("24h_user", 0)],
            ),
            ("GET /2/tweets", "block", HOUR),
        ),
        (
            Retryable(
                code="rate_limited",
                until=NOON + HOUR,
                rates=[in_an_hour("15m", 0), in_an_hour("24h_user", 1)],
            ),
            ("GET /2/tweets", "block", HOUR / 4),
        ),
        (
            Retryable(code="usage_capped", until=NOON + 3 * HOUR, rates=[in_an_hour("15m", 0)]),
            ("GET /2/tweets", "usage_cap", 3 * HOUR),
        ),
        (Retryable(code="rate_limited"), ("GET /2/tweets", "block", HOUR / 4)),
        (Retryable(code="rate_limited", scope="account"), ("*", "block", HOUR / 4)),
        (Retryable(code="usage_capped"), ("GET /2/tweets", "usage_cap", HOUR)),
        (Retryable(code="credits_depleted", scope="account"), ("*", "credits", HOUR)),
        (Fatal(code="keys_invalid"), ("*", "keys", HOUR / 4)),
        # X was not asked, or said nothing that closes anything.
        (Fatal(code="keys_missing"), None),
        (Fatal(code="wrong_address"), None),
        (Retryable(code="x_trouble"), None),
        (Refused(code="policy"), None),
    ],
)
def test_a_refusal_closes_what_it_is_about_for_as_long_as_it_says(
    world: World, error: ServiceError, closes: tuple[str, str, timedelta] | None
) -> None:
    with world.manager.transaction() as tx:
        world.engine.services.limits.keep_rates(tx, world.profile, "GET /2/tweets", error, now=NOON)
    told = [one.name for one in error.rates]
    found = world.rows("SELECT endpoint, name, resets_at, reason, remaining FROM rate_windows")
    expected = closes and (*closes[:2], NOON + closes[2], error.code, 0)
    assert [tuple(row) for row in found if row.name not in told] == ([expected] if expected else [])

"""What the limits agent wants, books and learns; and what a read that is bought costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.core.codes import DecisionKind
from bot.core.errors import Fatal, OutcomeUnknown, Refused, Retryable, ServiceError, SettingError
from bot.core.model import LivePost, Timeline
from bot.core.rates import RateWindow
from bot.core.spending.limits import Limits, Wanted
from bot.core.spending.usage import ModelUsage
from bot.core.states import CallKind, CallState
from bot.engine.spending.limits_agent import READ_ME, READ_POSTS, READ_TIMELINE, WRITE_DRAFT, LimitsAgent
from bot.engine.spending.paid_reads import PaidRead, buy_posts, state_after
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import NOON, World

DRAFT = ModelUsage(model="gpt-5-mini", input_tokens=1_000_000, output_tokens=500_000)
HOUR = timedelta(hours=1)


@pytest.fixture
def agent(world: World) -> LimitsAgent:
    return world.engine.services.limits


def test_endpoints_are_named_as_x_names_them() -> None:
    assert READ_TIMELINE == "GET /2/users/:id/tweets"
    assert READ_POSTS == "GET /2/tweets"
    assert READ_ME == "GET /2/users/me"
    assert WRITE_DRAFT == "POST /v1/chat/completions"


def test_a_draft_is_wanted_from_the_model_and_from_no_window_of_x(world: World, agent: LimitsAgent) -> None:
    with world.manager.transaction() as tx:
        assert agent.want_draft(tx, DRAFT) == Wanted(
            kind=CallKind.MODEL,
            endpoint="POST /v1/chat/completions",
            units=1,
            cost_usd=Decimal("1.25"),
            tokens=1_500_000,
            spaced=False,
        )


def test_a_read_is_wanted_with_all_that_it_may_return(world: World, agent: LimitsAgent) -> None:
    with world.manager.transaction() as tx:
        assert agent.want_read(tx, READ_POSTS, "post_read", 20) == Wanted(
            kind=CallKind.READ,
            endpoint="GET /2/tweets",
            units=20,
            cost_usd=Decimal("0.100"),
            tokens=0,
            spaced=False,
        )


@pytest.mark.parametrize("spaced", [True, False])
def test_a_thread_is_wanted_with_each_of_its_parts(world: World, agent: LimitsAgent, spaced: bool) -> None:
    with world.manager.transaction() as tx:
        wanted = agent.want_post(tx, "plain", "see https://example.org", spaced=spaced)
    assert wanted == Wanted(units=2, cost_usd=Decimal("0.215"), spaced=spaced)


def test_a_reservation_names_who_what_when_and_for_whom(world: World, agent: LimitsAgent) -> None:
    with world.manager.transaction() as tx:
        agent.reserve(tx, agent.want_draft(tx, DRAFT), profile_id=world.profile_id, now=NOON)
        agent.reserve(tx, agent.want_read(tx, READ_ME, "user_read", 1), profile_id=None, now=NOON + HOUR)
    assert world.rows(
        "SELECT api, kind, endpoint, units, tokens, cost_usd, state, profile_id FROM api_calls ORDER BY at"
    ) == [
        ("openai", "model", WRITE_DRAFT, 1, 1_500_000, Decimal("1.25"), "reserved", world.profile_id),
        ("twitter", "read", READ_ME, 1, 0, Decimal("0.010"), "reserved", None),
    ]


def test_a_draft_is_settled_at_what_it_took_or_released(world: World, agent: LimitsAgent) -> None:
    with world.manager.transaction() as tx:
        wanted = agent.want_draft(tx, DRAFT)
        for number, used in enumerate((ModelUsage(model="gpt-5", input_tokens=8, output_tokens=1), None)):
            call = agent.reserve(tx, wanted, profile_id=None, now=NOON + number * HOUR)
            agent.settle_draft(tx, call, used)
    assert world.rows("SELECT state, tokens, cost_usd FROM api_calls ORDER BY at") == [
        ("settled", 9, Decimal("0.000020")),
        ("released", 1_500_000, Decimal("1.25")),
    ]


def test_a_plan_says_what_a_post_of_it_costs(world: World) -> None:
    world.change("UPDATE plans SET posts_per_day = 6, spacing_seconds = 90, include_links = true")
    engine = with_caps(world, Limits(posts_24h=9), draft_usage=DRAFT)
    with world.manager.transaction() as tx:
        limits = engine.services.limits.limits(tx, world.profile_id)
        nobodys = engine.services.limits.limits(tx, None)
    assert limits == Limits(
        posts_24h=9, spacing=timedelta(seconds=90), planned_per_day=6, cost_per_post=Decimal("1.45")
    )
    assert nobodys == Limits(posts_24h=9)


def test_a_plan_without_links_and_models_costs_a_plain_post(world: World, agent: LimitsAgent) -> None:
    with world.manager.transaction() as tx:
        assert agent.limits(tx, world.profile_id).cost_per_post == Decimal("0.015")


def in_force(world: World, caps: str) -> Limits:
    world.change("INSERT INTO bot_config (key, value) VALUES ('caps', CAST(:caps AS jsonb))", caps=caps)
    with world.manager.transaction() as tx:
        return world.engine.services.limits.limits(tx, None)


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        ('{"posts_24h": 5}', {"posts_24h": 5}),
        ('{"posts_15min": 0, "posts_month": 500}', {"posts_15min": 0, "posts_month": 500}),
        ('{"reads_month": 1, "tokens_day": 9}', {"reads_month": 1, "tokens_day": 9}),
        ('{"budget_usd": "12.50"}', {"budget_usd": Decimal("12.50")}),
        ('{"budget_usd": 0}', {"budget_usd": Decimal(0)}),
        ('{"budget_usd": null, "posts_24h": null}', {"budget_usd": None, "posts_24h": None}),
    ],
)
def test_an_operator_may_change_each_cap(world: World, caps: str, expected: dict[str, Any]) -> None:
    limits = in_force(world, caps)
    assert {name: getattr(limits, name) for name in expected} == expected


@pytest.mark.parametrize(
    "caps",
    [
        '{"posts_24h": -1}',
        '{"posts_24h": "5"}',
        '{"posts_24h": 1.5}',
        '{"posts_24h": false}',
        '{"budget_usd": "-0.01"}',
        '{"budget_usd": -1}',
        '{"budget_usd": "NaN"}',
        '{"budget_usd": "Infinity"}',
        '{"budget_usd": "much"}',
        '{"budget_usd": [1]}',
        '{"spacing": 5}',
        '{"spacing": null}',
        '{"cost_per_post": "0"}',
    ],
)
def test_a_cap_that_is_no_amount_or_number_from_zero_is_refused(world: World, caps: str) -> None:
    with pytest.raises(SettingError, match="bot_config caps") as caught:
        in_force(world, caps)
    assert "posts_24h" in caught.value.fix


@pytest.mark.parametrize(
    ("error", "closed"),
    [
        (Fatal(code="keys_invalid"), ("*", "keys", timedelta(minutes=15), "keys_invalid")),
        (Fatal(code="keys_missing"), None),
        (Fatal(code="wrong_address"), None),
        (Retryable(code="rate_limited"), (READ_POSTS, "block", timedelta(minutes=15), "rate_limited")),
        (
            Retryable(code="rate_limited", until=NOON + 3 * HOUR),
            (READ_POSTS, "block", 3 * HOUR, "rate_limited"),
        ),
        (Retryable(code="usage_capped", scope="account"), ("*", "usage_cap", HOUR, "usage_capped")),
        (Retryable(code="credits_depleted", scope="account"), ("*", "credits", HOUR, "credits_depleted")),
        (Retryable(code="x_unreachable"), None),
        (Refused(code="policy"), None),
        (OutcomeUnknown(code="no_answer"), None),
    ],
)
def test_a_refusal_closes_what_it_speaks_of_until_its_moment_or_a_probe(
    world: World,
    agent: LimitsAgent,
    error: ServiceError,
    closed: tuple[str, str, timedelta, str] | None,
) -> None:
    with world.manager.transaction() as tx:
        agent.keep_rates(tx, world.profile, READ_POSTS, error, now=NOON)
    expected = [(closed[0], closed[1], 0, NOON + closed[2], closed[3], None)] if closed else []
    assert (
        world.rows("SELECT endpoint, name, remaining, resets_at, reason, quota FROM rate_windows") == expected
    )


# Reads.


def post(number: int) -> LivePost:
    return LivePost(x_tweet_id=str(number), text=f"number {number}", created_at=NOON)


def bought(world: World, read: Callable[[], Timeline], *, units: int = 10) -> Timeline | None:
    wanted = PaidRead(kind=DecisionKind.AUDIT, endpoint=READ_TIMELINE, price="own_post_read", units=units)
    return buy_posts(world.context, wanted, read)


def raising(error: ServiceError, served: int = 0) -> Callable[[], Timeline]:
    def read() -> Timeline:
        error.served = served
        raise error

    return read


def test_a_read_is_settled_at_the_posts_that_it_gave(world: World) -> None:
    window = RateWindow(name="15m", limit=900, remaining=899, resets_at=NOON + HOUR)
    given = Timeline(posts=(post(1), post(2), post(3)), rates=(window,))
    assert bought(world, lambda: given) == given
    assert world.rows("SELECT state, units, cost_usd, endpoint, kind, profile_id FROM api_calls") == [
        ("settled", 3, Decimal("0.015"), READ_TIMELINE, "read", world.profile_id)
    ]
    assert world.rows("SELECT endpoint, name, quota, remaining, seen_at FROM rate_windows") == [
        (READ_TIMELINE, "15m", 900, 899, NOON)
    ]


def test_a_read_is_reserved_before_it_is_made(world: World) -> None:
    def read() -> Timeline:
        assert world.rows("SELECT state, units, cost_usd FROM api_calls") == [
            ("reserved", 10, Decimal("0.050"))
        ]
        return Timeline(posts=())

    assert bought(world, read) is not None
    assert world.rows("SELECT state, units, cost_usd FROM api_calls") == [("settled", 0, Decimal(0))]


@pytest.mark.parametrize(
    ("error", "served", "booked"),
    [
        (Retryable("503", code="x_trouble"), 0, ("released", 10, Decimal("0.050"))),
        (Retryable("503", code="x_trouble"), 4, ("settled", 4, Decimal("0.020"))),
        (Retryable("silence", code="no_answer"), 0, ("unknown", 10, Decimal("0.050"))),
        (Retryable("silence", code="no_answer"), 4, ("unknown", 10, Decimal("0.050"))),
        (OutcomeUnknown("noise", code="unreadable_answer"), 0, ("unknown", 10, Decimal("0.050"))),
    ],
)
def test_a_read_that_failed_costs_what_x_may_have_served(
    world: World, error: ServiceError, served: int, booked: tuple[str, int, Decimal]
) -> None:
    assert bought(world, raising(error, served)) is None
    assert world.rows("SELECT state, units, cost_usd FROM api_calls") == [booked]
    assert world.rows("SELECT verdict, reason, kind, profile_id FROM decisions") == [
        ("retry", str(error), "audit", world.profile_id)
    ]


def test_a_read_that_x_refuses_closes_its_window(world: World) -> None:
    assert bought(world, raising(Retryable("429", code="rate_limited", until=NOON + HOUR))) is None
    made: list[int] = []

    def read() -> Timeline:
        made.append(1)
        return Timeline(posts=())

    assert bought(world, read) is None
    assert made == []
    world.clock.pass_time(3600)
    assert bought(world, read) is not None


def test_a_read_that_no_limit_allows_is_not_made_and_says_which(world: World) -> None:
    world.engine = with_caps(world, Limits(reads_month=9))
    assert bought(world, raising(Fatal("never asked"))) is None
    assert world.rows("SELECT verdict, kind, limit_name, used, cap, profile_id FROM decisions") == [
        ("wait", "audit", "reads_month", 0, 9, world.profile_id)
    ]
    assert world.rows("SELECT count(*) FROM api_calls") == [(0,)]


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("no_answer", CallState.UNKNOWN),
        ("unreadable_answer", CallState.UNKNOWN),
        ("x_unreachable", CallState.RELEASED),
        ("rate_limited", CallState.RELEASED),
    ],
)
def test_a_read_whose_answer_was_lost_may_have_been_billed(code: str, state: CallState) -> None:
    assert state_after(Retryable(code=code)) is state

"""Every figure that a rule stands on, as a literal: a constant that is tested against itself may be any."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

import pytest

from bot.core.content.drafts import DraftRequest, SourceItem
from bot.core.content.text import MAX_WEIGHTED_LENGTH
from bot.core.health import PATIENCE
from bot.core.model import Call, CallId, DecisionRecord, LivePost, Slot, SlotId, Source, Timeline, Tweet
from bot.core.posting.auditing import compare
from bot.core.posting.schedule import settle_overdue
from bot.core.posting.settling import Absence, covers, match
from bot.core.posting.snowflakes import ASKED
from bot.core.spending.limits import CREATE_POST, Limits, Usage, Wanted
from bot.core.spending.pricing import LISTED
from bot.core.spending.usage import MOST, Gauge, ModelUsage, Seen, Spent
from bot.core.states import (
    CallKind,
    CallState,
    LatePolicy,
    MemberRole,
    Mode,
    Origin,
    PlanStatus,
    SlotStatus,
    TweetStatus,
)
from tests.core.makers import PROFILE, SECOND, slot, tweet, utc

NOW = utc("2026-12-30T22:15:00")

# US dollars for a million tokens in and out, as their makers published them for August 2026.
MODELS = {
    "gpt-5": ("1.25", "10.00"),
    "gpt-5-mini": ("0.25", "2.00"),
    "gpt-5-nano": ("0.05", "0.40"),
    "gpt-4.1": ("2.00", "8.00"),
    "gpt-4.1-mini": ("0.40", "1.60"),
    "gpt-4o": ("2.50", "10.00"),
    "gpt-4o-mini": ("0.15", "0.60"),
    "a-model-nobody-listed": ("15.00", "120.00"),
}


@pytest.mark.parametrize(("model", "prices"), MODELS.items())
def test_a_million_tokens_each_way_cost_what_the_maker_says(model: str, prices: tuple[str, str]) -> None:
    for given_in, given_out, price in ((1_000_000, 0, prices[0]), (0, 1_000_000, prices[1])):
        usage = ModelUsage(model=model, input_tokens=given_in, output_tokens=given_out)
        assert LISTED.model_price(usage) == Decimal(price)


def test_the_list_names_its_day_and_no_model_beside_those() -> None:
    assert LISTED.as_of == date(2026, 8, 1)
    assert set(LISTED.models) == {*MODELS} - {"a-model-nobody-listed"}


def test_a_post_is_looked_for_as_far_back_as_forty_eight_hours_before_its_intent() -> None:
    sent = tweet("Said before", intent_at=NOW)

    def said(before: timedelta) -> LivePost:
        return LivePost(x_tweet_id="3", text="Said before", created_at=NOW - before)

    edge = timedelta(hours=48)
    assert match(sent, [said(edge)]) is not None
    assert match(sent, [said(edge + SECOND)]) is None
    assert not covers(Timeline(posts=(said(edge),), complete=False), sent)
    assert covers(Timeline(posts=(said(edge + SECOND),), complete=False), sent)


def test_the_ids_of_an_accounts_three_newest_posts_are_doubted_at_most() -> None:
    assert ASKED == 3


def test_a_worker_is_silent_after_two_looks_and_a_half() -> None:
    assert timedelta(seconds=150) == PATIENCE


def test_no_count_goes_beyond_a_thousand_millions() -> None:
    assert MOST == 1_000_000_000


def test_a_slot_is_on_time_for_two_minutes() -> None:
    on_time = settle_overdue([slot(NOW - timedelta(minutes=2))], now=NOW, tolerance=timedelta(0))
    assert on_time.due is not None
    late = settle_overdue([slot(NOW - timedelta(seconds=121))], now=NOW, tolerance=timedelta(0))
    assert (late.due, [one.reason for one in late.missed]) == (None, ["late by 2 min"])


def test_a_post_is_missed_on_the_timeline_once_it_is_ten_minutes_old() -> None:
    rows = [
        tweet(status=TweetStatus.POSTED, x_tweet_id="7", posted_at=NOW - timedelta(minutes=10) - age)
        for age in (timedelta(0), SECOND)
    ]
    assert [bool(compare([row], [], complete=True, now=NOW).missing) for row in rows] == [False, True]


def test_an_account_may_post_seventeen_times_a_day_and_a_hundred_times_a_quarter_of_an_hour() -> None:
    assert Limits() == Limits(
        posts_15min=100,
        posts_24h=17,
        posts_month=None,
        reads_month=None,
        tokens_day=None,
        budget_usd=None,
        spacing=timedelta(0),
        planned_per_day=0,
        cost_per_post=Decimal(0),
    )


def test_a_wish_without_more_is_one_plain_post_of_the_plan() -> None:
    assert CREATE_POST == "POST /2/tweets"
    assert Wanted() == Wanted(
        kind=CallKind.POST,
        endpoint="POST /2/tweets",
        units=1,
        cost_usd=Decimal(0),
        tokens=0,
        spaced=True,
    )


def test_an_account_without_rows_has_used_nothing() -> None:
    assert Usage() == Usage(
        posts=(),
        posts_month=0,
        reads_month=0,
        cost_month=Decimal(0),
        tokens_day=0,
        last_post_at=None,
        seen=(),
        starts=(),
    )


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        (Spent, {"units": 1}),
        (Seen, {"used_since": 0, "drift": 0}),
        (Gauge, {"resets_at": None, "frees_at": None, "never": False, "weighed": True}),
        (
            Slot,
            {
                "status": SlotStatus.PLANNED,
                "plan_id": None,
                "local_date": None,
                "local_time": None,
                "timezone": None,
                "topic": None,
                "format": None,
                "reason": None,
            },
        ),
        (
            Call,
            {"state": CallState.RESERVED, "tokens": 0, "profile_id": None, "tweet_id": None, "note": None},
        ),
        (Timeline, {"complete": True, "rates": ()}),
        (SourceItem, {"published_at": None}),
        (DraftRequest, {"topic": None, "persona": None, "avoid": (), "include_link": False, "feedback": ()}),
        (
            Tweet,
            {
                "slot_id": None,
                "thread_id": None,
                "part": 1,
                "origin": Origin.SLOT,
                "attempts": 0,
                "resends": 0,
                "absent_reads": 0,
                "inconclusive_reads": 0,
                "next_attempt_at": None,
            },
        ),
        (DecisionRecord, {"repeated": 1, "last_at": None, "limit": None, "until": None}),
    ],
)
def test_a_value_with_nothing_said_starts_from_nothing(kind: type, defaults: dict[str, object]) -> None:
    given = {one.name: one.default for one in fields(kind) if one.default is not MISSING}
    assert {name: given[name] for name in defaults} == defaults


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Mode, "auto review dry-run"),
        (PlanStatus, "draft active archived"),
        (LatePolicy, "move expire"),
        (SlotStatus, "planned claimed done skipped expired"),
        (
            TweetStatus,
            "drafted awaiting_approval approved rejected publishing posted failed unknown deleted",
        ),
        (Origin, "slot manual"),
        (MemberRole, "owner editor viewer"),
        (CallState, "reserved settled released unknown external"),
        (CallKind, "post read model"),
        (Absence, "look_again counts resend give_up"),
    ],
)
def test_rows_and_programs_know_these_words(kind: type[StrEnum], words: str) -> None:
    assert {one.name.lower().replace("_", "-"): one.value.replace("_", "-") for one in kind} == {
        word.replace("_", "-"): word.replace("_", "-") for word in words.split()
    }
    assert [one.value for one in kind] == words.split()


def test_a_text_may_weigh_two_hundred_and_eighty() -> None:
    assert MAX_WEIGHTED_LENGTH == 280


def test_a_decision_without_figures_holds_none() -> None:
    said = DecisionRecord(at=NOW, kind="publish", verdict="nothing", reason="idle", profile_id=PROFILE)
    assert (said.numbers, said.used, said.cap) == ({}, None, None)


def test_rows_hold_what_they_were_made_with() -> None:
    reserved = Call(
        id=CallId(PROFILE),
        api="twitter",
        kind=CallKind.POST,
        endpoint=CREATE_POST,
        units=1,
        cost_usd=Decimal("0.015"),
        at=NOW,
    )
    assert reserved.state is CallState.RESERVED
    assert Slot(id=SlotId(PROFILE), profile_id=PROFILE, due_at=NOW).status is SlotStatus.PLANNED
    assert Source(id="1", kind="note", title="Tides", location="notes").url is None

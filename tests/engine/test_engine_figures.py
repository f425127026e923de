"""How the engine behaves where nothing is set, and the words that programs know its outcomes by."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.states import TweetStatus
from bot.engine.context import EngineSettings
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.posting.posting_once import Wish
from tests.core.makers import tweet


def test_times_are_those_that_operators_know() -> None:
    assert EngineSettings(holder="me") == EngineSettings(
        holder="me",
        lease_time=timedelta(seconds=90),
        call_time=timedelta(seconds=60),
        settle_delay=timedelta(seconds=30),
        plan_days=3,
        prepare_ahead=timedelta(hours=2),
        record_time=timedelta(seconds=20),
        draft_tries=3,
    )


def test_outcomes_have_the_words_that_programs_know() -> None:
    words = ["posted", "dry_run", "awaiting_approval", "waiting", "rejected", "unknown", "failed"]
    assert [kind.value for kind in OutcomeKind] == words
    assert [kind.name.lower() for kind in OutcomeKind] == words


def test_an_outcome_without_more_costs_nothing_and_explains_nothing() -> None:
    assert Outcome(kind=OutcomeKind.FAILED) == Outcome(
        kind=OutcomeKind.FAILED, reason=None, detail="", tweet=None, verdict=None, cost_usd=Decimal(0)
    )


def test_a_wish_without_more_leaves_text_and_topic_to_the_writer() -> None:
    assert Wish() == Wish(posts=(), topic=None)


@pytest.mark.parametrize(
    ("kind", "status", "queued"),
    [
        (OutcomeKind.WAITING, TweetStatus.APPROVED, True),
        (OutcomeKind.WAITING, TweetStatus.DRAFTED, False),
        (OutcomeKind.WAITING, None, False),
        (OutcomeKind.FAILED, TweetStatus.APPROVED, False),
    ],
)
def test_what_waits_approved_is_posted_later(
    kind: OutcomeKind, status: TweetStatus | None, queued: bool
) -> None:
    row = None if status is None else tweet(status=status)
    assert Outcome(kind=kind, tweet=row).queued is queued

"""What a tick looks at, what is too late by then, and when an unknown post is looked up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.core.posting.schedule import is_on_its_way, is_too_late, settle_overdue, tolerance
from bot.core.posting.settling import is_due
from bot.core.states import Origin, TweetStatus
from tests.core.makers import slot, tweet

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SLOT = slot(NOON, 5).id
MINUTE, DELAY = timedelta(minutes=1), timedelta(seconds=30)
APPROVED, UNKNOWN = TweetStatus.APPROVED, TweetStatus.UNKNOWN


def test_a_slot_without_a_plan_may_be_twenty_minutes_late() -> None:
    assert tolerance(None) == timedelta(minutes=20)


@pytest.mark.parametrize(
    ("fields", "on_its_way"),
    [
        ({"status": TweetStatus.PUBLISHING}, True),
        ({"status": UNKNOWN}, True),
        ({"status": TweetStatus.DRAFTED, "origin": Origin.MANUAL}, False),
        ({"status": APPROVED, "part": 2}, True),
        ({"status": APPROVED, "origin": Origin.MANUAL}, True),
        ({"status": APPROVED, "slot_id": SLOT}, True),
        ({"status": APPROVED}, False),
    ],
)
def test_a_tick_looks_at_what_was_begun_what_follows_and_what_is_queued(
    fields: dict[str, Any], on_its_way: bool
) -> None:
    assert is_on_its_way(tweet(**fields), {SLOT}) is on_its_way


@pytest.mark.parametrize(
    ("fields", "late"),
    [
        ({"slot_id": SLOT}, True),
        ({"slot_id": SLOT, "part": 2}, False),
        ({"slot_id": SLOT, "status": UNKNOWN}, False),
        ({}, False),
        ({"origin": Origin.MANUAL, "resends": 1, "intent_at": NOON - 21 * MINUTE}, True),
        ({"origin": Origin.MANUAL, "resends": 1, "intent_at": NOON - 20 * MINUTE}, False),
        ({"origin": Origin.MANUAL, "resends": 1}, False),
        ({"origin": Origin.MANUAL, "intent_at": NOON - 21 * MINUTE}, False),
        ({"resends": 1, "intent_at": NOON - 21 * MINUTE}, False),
    ],
)
def test_a_late_slots_post_and_a_late_resend_are_given_up(fields: dict[str, Any], late: bool) -> None:
    one = tweet(**{"status": APPROVED, **fields})
    assert is_too_late(one, {SLOT}, now=NOON, tolerance=20 * MINUTE) is late


@pytest.mark.parametrize(
    ("fields", "by_hand", "due"),
    [
        ({}, False, True),
        ({"looked_at": NOON - DELAY}, False, True),
        ({"looked_at": NOON - DELAY / 2}, False, False),
        ({"looked_at": NOON + MINUTE}, False, True),
        ({"next_attempt_at": NOON + 10 * MINUTE}, False, False),
        ({"next_attempt_at": NOON + 10 * MINUTE}, True, True),
        ({"next_attempt_at": NOON + DELAY}, True, False),
        ({"next_attempt_at": NOON}, False, True),
        ({"next_attempt_at": NOON + timedelta(hours=2)}, False, True),
    ],
)
def test_looks_are_spaced_by_xs_delay_and_put_off_no_longer_than_may_be(
    fields: dict[str, Any], by_hand: bool, due: bool
) -> None:
    one = tweet(**{"status": UNKNOWN, "intent_at": NOON - MINUTE, **fields})
    assert is_due(one, now=NOON, delay=DELAY, by_hand=by_hand) is due


def test_a_text_that_has_kept_others_waiting_for_an_hour_is_looked_at_whatever_was_put_off() -> None:
    one = tweet(
        status=UNKNOWN,
        reason="duplicate",
        intent_at=NOON - timedelta(hours=1),
        looked_at=NOON,
        next_attempt_at=NOON + MINUTE,
    )
    assert is_due(one, now=NOON, delay=DELAY, by_hand=False)
    early = NOON - timedelta(seconds=1)
    assert not is_due(one, now=early, delay=DELAY, by_hand=False)


def test_a_slot_is_on_time_up_to_two_minutes_beside_one_that_is_late() -> None:
    late, on_time = slot(NOON - 3 * MINUTE, 1), slot(NOON - 2 * MINUTE, 2)
    choice = settle_overdue([late, on_time], now=NOON, tolerance=20 * MINUTE)
    assert choice.due == on_time
    assert [one.slot for one in choice.missed] == [late]

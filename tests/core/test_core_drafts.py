"""What a draft is wanted for, and what a writer is asked once more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.core.content.drafts import Brief, DraftRequest
from tests.core.makers import plan, slot, utc

NOW = utc("2026-11-17T15:30:00")
DUE = NOW + timedelta(hours=1)


def test_a_slot_may_be_posted_as_late_as_its_plan_allows_and_a_wish_only_now() -> None:
    late = replace(plan(), late_tolerance=timedelta(minutes=20))
    assert Brief(plan=late, slot=slot(DUE)).latest(now=NOW) == DUE + timedelta(minutes=20)
    assert Brief(slot=slot(DUE)).latest(now=NOW) == DUE
    assert Brief(plan=late).latest(now=NOW) == NOW


def test_a_brief_names_its_slot_where_it_has_one() -> None:
    assert Brief(slot=slot(DUE, 7)).slot_id == slot(DUE, 7).id
    assert Brief(topic="tides").slot_id is None


def test_after_a_try_its_text_is_avoided_first_and_its_complaints_replace_the_last() -> None:
    first = DraftRequest(items=(), topic="tides", avoid=("old",), feedback=("too long",))
    assert first.after("tried", ["a number is made up"]) == replace(
        first, avoid=("tried", "old"), feedback=("a number is made up",)
    )

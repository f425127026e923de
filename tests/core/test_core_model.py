"""The state diagrams, drawn here a second time: every arrow allowed, every other change refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from bot.core.errors import ForbiddenTransition
from bot.core.model import Source
from bot.core.moments import aware
from bot.core.rates import RateWindow
from bot.core.spending.usage import ModelUsage
from bot.core.states import CallState, Mode, Origin, PlanStatus, SlotStatus, TweetStatus, check_transition
from tests.core.makers import slot, tweet, utc

# Arrows as words. Those beyond the design page's picture are the ones that bot.core.model explains
# (a refusal that may pass, a proven absence) and the operator's `approve`, `reject` and expiry.
DIAGRAMS: Mapping[type[StrEnum], str] = {
    SlotStatus: """
        planned -> claimed skipped expired
        claimed -> done skipped expired
    """,
    TweetStatus: """
        drafted -> awaiting_approval approved rejected publishing
        awaiting_approval -> approved rejected
        approved -> publishing rejected failed awaiting_approval
        publishing -> posted failed unknown approved
        unknown -> posted approved failed
        posted -> deleted
    """,
    CallState: """
        reserved -> settled released unknown
        unknown -> settled released
    """,
}


def arrows(kind: type[StrEnum]) -> set[tuple[str, str]]:
    rows = (line.split(" -> ") for line in DIAGRAMS[kind].strip().splitlines())
    return {(start.strip(), end) for start, ends in rows for end in ends.split()}


EVERY_CHANGE = [
    pytest.param(start, end, (start.value, end.value) in arrows(kind), id=f"{kind.__name__}:{start}-{end}")
    for kind in DIAGRAMS
    for start, end in product(kind, kind)
]


@pytest.mark.parametrize(("start", "end", "drawn"), EVERY_CHANGE)
def test_a_state_changes_only_along_an_arrow(start: StrEnum, end: StrEnum, drawn: bool) -> None:
    if drawn:
        check_transition(start, end)
    else:
        with pytest.raises(ForbiddenTransition, match=rf"{start} -> {end} is not allowed"):
            check_transition(start, end)


def test_the_arrows_of_this_page_name_real_states() -> None:
    for kind in DIAGRAMS:
        assert {name for arrow in arrows(kind) for name in arrow} <= {state.value for state in kind}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(start, end, id=f"{type(start).__name__}:{start}-{type(end).__name__}:{end}")
        for one, other in product(DIAGRAMS, DIAGRAMS)
        if one is not other
        for start, end in product(one, other)
    ],
)
def test_states_of_different_kinds_never_mix(start: StrEnum, end: StrEnum) -> None:
    with pytest.raises(ForbiddenTransition):
        check_transition(start, end)


@pytest.mark.parametrize(("start", "end"), [(PlanStatus.DRAFT, PlanStatus.ACTIVE), (Mode.AUTO, Mode.REVIEW)])
def test_a_kind_without_a_diagram_is_refused_in_the_same_words(start: StrEnum, end: StrEnum) -> None:
    with pytest.raises(ForbiddenTransition):
        check_transition(start, end)


def test_an_unknown_outcome_is_never_rejected_deleted_or_called_again_at_once() -> None:
    for end in (TweetStatus.REJECTED, TweetStatus.DELETED, TweetStatus.PUBLISHING, TweetStatus.DRAFTED):
        with pytest.raises(ForbiddenTransition):
            check_transition(TweetStatus.UNKNOWN, end)


@pytest.mark.parametrize(
    "zone", [UTC, ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=5, minutes=45)), ZoneInfo("UTC")]
)
def test_an_aware_moment_becomes_the_same_moment_in_utc(zone: timezone | ZoneInfo) -> None:
    moment = utc("2026-12-30T22:15:00.000001")
    found = aware(moment.astimezone(zone))
    assert (found, found.tzinfo) == (moment, UTC)


def test_the_two_readings_of_a_doubled_hour_stay_two_moments() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert aware(first) == utc("2026-10-25T00:30:00")
    assert aware(first.replace(fold=1)) == utc("2026-10-25T01:30:00")


def test_a_naive_moment_is_refused_wherever_it_is_given() -> None:
    naive = datetime(2026, 12, 30, 22, 15)  # noqa: DTZ001 - the very thing to refuse
    with pytest.raises(ValueError, match=r"naive.*2026-12-30T22:15"):
        aware(naive)
    with pytest.raises(ValueError, match="naive"):
        slot(naive)
    with pytest.raises(ValueError, match="naive"):
        RateWindow(name="15m", limit=1, remaining=1, resets_at=naive)


def test_slots_and_windows_hold_their_moment_in_utc() -> None:
    local = datetime(2026, 7, 1, 9, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    window = RateWindow(name="15m", limit=1, remaining=1, resets_at=local)
    for moment in (slot(local).due_at, window.resets_at):
        assert (moment, moment.tzinfo) == (utc("2026-07-01T07:00:00"), UTC)


def test_values_can_not_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        slot(utc("2026-07-01T07:00:00")).due_at = utc("2026-07-01T08:00:00")  # type: ignore[misc]


def test_tokens_are_those_of_both_directions() -> None:
    assert ModelUsage(model="m", input_tokens=700, output_tokens=33).tokens == 733


def test_a_source_is_told_with_all_that_finds_it_again() -> None:
    source = Source(id="a", kind="note", title="Tides", location="notes/tides.md")
    assert source.as_json() == {
        "id": "a",
        "kind": "note",
        "title": "Tides",
        "location": "notes/tides.md",
        "url": None,
    }


def test_two_readings_of_one_row_are_equal_whether_or_not_it_was_locked() -> None:
    assert replace(tweet("same"), revision="7") == tweet("same")


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("status", TweetStatus)
def test_only_a_persons_draft_is_a_wish(origin: Origin, status: TweetStatus) -> None:
    wish = (origin, status) == (Origin.MANUAL, TweetStatus.DRAFTED)
    assert tweet(origin=origin, status=status).is_wish is wish

"""Slots that pass while nobody works are not made up for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from bot.core.states import LatePolicy
from tests.faults.conftest import NewRig
from tests.faults.rig import Rig, now, until

TOLERANCE = timedelta(minutes=20)
# Over before a lost post is sent again; and a lease that leaves a busy machine the time for its first call.
SHORT = timedelta(seconds=1)
UNHURRIED = {"BOT_LEASE_SECONDS": "15"}


def slots(rig: Rig) -> list[dict[str, Any]]:
    return rig.select("SELECT id, status::text, reason FROM posting_schedule ORDER BY due_at")


def wait_statuses(rig: Rig, wanted: list[str]) -> None:
    until(lambda: [one["status"] for one in slots(rig)] == wanted, what=f"the slots are {wanted}")


def bring_forward(rig: Rig, slot_id: UUID) -> None:
    """Lets the time of a slot come."""
    rig.execute("UPDATE posting_schedule SET due_at = now() WHERE id = :id", id=slot_id)


def test_twelve_slots_missed_in_an_outage_are_not_made_up_for(new_rig: NewRig) -> None:
    rig = new_rig(tolerance=TOLERANCE)
    missed = [rig.add_slot(due=now() - timedelta(hours=hours))[0] for hours in range(12, 0, -1)]
    coming = [rig.add_slot(due=now() + timedelta(hours=hours), draft=False)[0] for hours in (5, 6)]

    rig.start()

    wait_statuses(rig, ["expired"] * 12 + ["planned"] * 2)
    for number, slot_id in enumerate(coming, start=1):
        bring_forward(rig, slot_id)
        wait_statuses(rig, ["expired"] * 12 + ["done"] * number + ["planned"] * (2 - number))
    rig.have_look(times=4)
    # Two were planned, and two went out: with the two oldest drafts of those that were missed.
    assert len(rig.x.posts()) == rig.heard == 2
    used = [row for row in rig.tweets() if row["status"] == "posted"]
    assert {row["slot_id"] for row in used} == set(coming)
    assert [row["id"] for row in used] == missed[:2]
    assert all(one["reason"].startswith("outage") for one in slots(rig)[:12])


def test_a_single_late_slot_is_posted_within_its_tolerance(new_rig: NewRig) -> None:
    rig = new_rig(tolerance=TOLERANCE)
    rig.add_slot(due=now() - TOLERANCE / 2)

    rig.start()

    rig.wait_rest()
    rig.have_look(times=4)
    assert rig.problems() == []
    assert rig.heard == 1
    assert [one["status"] for one in slots(rig)] == ["done"]


def test_the_draft_of_a_slot_missed_beyond_its_tolerance_moves_to_the_next(new_rig: NewRig) -> None:
    rig = new_rig(tolerance=TOLERANCE)
    (tweet_id,) = rig.add_slot(due=now() - TOLERANCE * 2)
    (coming,) = rig.add_slot(due=now() + timedelta(hours=5), draft=False)

    rig.start()

    wait_statuses(rig, ["expired", "planned"])
    bring_forward(rig, coming)
    rig.wait_rest()
    assert rig.problems() == []
    assert rig.heard == 1
    assert [one["status"] for one in slots(rig)] == ["expired", "done"]
    assert rig.tweet(tweet_id)["slot_id"] == coming


@pytest.mark.parametrize("count", [1, 3])
def test_the_drafts_of_missed_slots_end_with_them_where_the_plan_says_so(new_rig: NewRig, count: int) -> None:
    rig = new_rig(tolerance=TOLERANCE, late_policy=LatePolicy.EXPIRE)
    for number in range(count):
        rig.add_slot(due=now() - TOLERANCE * (2 + number))
    (coming,) = rig.add_slot(due=now() + timedelta(hours=5), draft=False)

    rig.start()

    wait_statuses(rig, ["expired"] * count + ["planned"])
    bring_forward(rig, coming)
    until(lambda: rig.decisions("reason = 'no draft is ready yet'"), what="it says so")
    rig.have_look(times=4)
    assert rig.heard == 0


@pytest.mark.parametrize("parts", [1, 3])
def test_a_lost_post_whose_slot_is_over_is_sent_again_at_the_next(new_rig: NewRig, parts: int) -> None:
    rig = new_rig(tolerance=SHORT, BOT_SETTLE_SECONDS="1.5", **UNHURRIED)
    rig.x.arm("fail_500")
    rig.wait_ready(rig.start())
    ids = rig.add_slot(parts=parts)
    until(lambda: [one["status"] for one in slots(rig)] == ["expired"], what="its slot is over")
    rig.have_look(times=4)
    assert rig.heard == 1
    (coming,) = rig.add_slot(draft=False)

    rig.wait_rest()

    assert rig.problems() == []
    assert rig.heard == 1 + parts
    assert [one["status"] for one in slots(rig)] == ["expired", "done"]
    assert rig.tweet(ids[0])["slot_id"] == coming


def test_an_unheard_yes_is_adopted_however_late(new_rig: NewRig) -> None:
    rig = new_rig(tolerance=SHORT, BOT_SETTLE_SECONDS="3", **UNHURRIED)
    rig.x.configure(visibility_delay=10_000)
    rig.x.arm("accept_then_drop")
    rig.wait_ready(rig.start())
    (tweet_id,) = rig.add_slot()
    until(lambda: rig.tweet(tweet_id)["absent_reads"] == 1, what="one look counts", step=0.02)

    rig.x.configure(visibility_delay=0)

    rig.wait_rest()
    assert rig.problems() == []
    assert rig.heard == 1
    assert [one["status"] for one in slots(rig)] == ["done"]

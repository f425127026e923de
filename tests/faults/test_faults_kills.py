"""SIGKILL at random moments, again and again: every tweet is live once."""

from __future__ import annotations

import pytest

from tests.faults.campaigns import HASTY, kill_anywhere
from tests.faults.conftest import NewRig
from tests.faults.report import CAMPAIGN, Record

SLOTS = 20
KILLS = 12


@pytest.mark.long
@pytest.mark.parametrize(("kills", "seed"), [(200, 1), (KILLS, 2)])
def test_twenty_slots_survive_kills_anywhere(
    new_rig: NewRig, record_property: Record, kills: int, seed: int
) -> None:
    rig = new_rig(**HASTY)

    tally = kill_anywhere(rig, slots=SLOTS, kills=kills, seed=seed)

    record_property(CAMPAIGN, f"kill -9 anywhere, seed {seed}: {tally}")
    assert rig.problems() == []
    # Every fourth slot is a thread of three.
    assert len(rig.x.posts()) == SLOTS + SLOTS // 4 * 2
    assert {row["status"] for row in rig.tweets()} == {"posted"}
    assert tally.blows == kills, tally


@pytest.mark.long
def test_kills_in_a_storm(new_rig: NewRig, record_property: Record) -> None:
    rig = new_rig(**HASTY)

    tally = kill_anywhere(rig, slots=SLOTS, kills=KILLS, seed=3, storm=True)

    record_property(CAMPAIGN, f"kill -9 in a storm, seed 3: {tally}")
    # What X loses twice is given up, and then it is nowhere; everything else is live once.
    assert rig.problems() == []
    failed = {row["reason"] for row in rig.tweets() if row["status"] == "failed"}
    assert failed <= {"absent_after_resend"}
    assert len(rig.x.posts()) >= SLOTS // 2

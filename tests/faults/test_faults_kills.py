"""SIGKILL at random moments, again and again: every tweet is live once."""

from __future__ import annotations

import pytest

from tests.faults.campaigns import kill_anywhere
from tests.faults.report import CAMPAIGN, Record
from tests.faults.rig import Rig

SLOTS = 20
KILLS = 20


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_slots_survive_kills_anywhere(rig: Rig, record_property: Record, seed: int) -> None:
    tally = kill_anywhere(rig, slots=SLOTS, kills=KILLS, seed=seed)

    record_property(CAMPAIGN, f"kill -9 anywhere, seed {seed}: {tally}")
    assert rig.problems() == []
    # Every fourth slot is a thread of three.
    assert len(rig.x.posts()) == SLOTS + SLOTS // 4 * 2
    assert {row["status"] for row in rig.tweets()} == {"posted"}
    assert tally.blows == KILLS, tally


@pytest.mark.long
def test_kills_in_a_storm(rig: Rig, record_property: Record) -> None:
    tally = kill_anywhere(rig, slots=SLOTS, kills=KILLS, seed=3, storm=True)

    record_property(CAMPAIGN, f"kill -9 in a storm, seed 3: {tally}")
    # What X loses twice is given up, and then it is nowhere; everything else is live once.
    assert rig.problems() == []
    failed = {row["reason"] for row in rig.tweets() if row["status"] == "failed"}
    assert failed <= {"absent_after_resend"}
    assert len(rig.x.posts()) >= SLOTS // 2

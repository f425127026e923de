"""Two workers that freeze past their lease and wake up as if nothing had happened."""

from __future__ import annotations

import pytest

from tests.faults.campaigns import HASTY, freeze_anyone
from tests.faults.conftest import NewRig
from tests.faults.report import CAMPAIGN, Record

SLOTS = 60
PAUSES = 6


@pytest.mark.long
def test_sixty_tweets_survive_frozen_workers(new_rig: NewRig, record_property: Record) -> None:
    # A process that freezes with its call half sent leaves the last word to X.
    rig = new_rig(refuses_copies=True, **HASTY)

    tally = freeze_anyone(rig, slots=SLOTS, pauses=PAUSES, seed=7, lease=float(HASTY["BOT_LEASE_SECONDS"]))

    record_property(CAMPAIGN, f"frozen past the lease, two workers: {tally}")
    assert rig.problems() == []
    assert len(rig.x.posts()) == SLOTS
    assert {row["status"] for row in rig.tweets()} == {"posted"}
    assert tally.blows >= PAUSES // 2, tally

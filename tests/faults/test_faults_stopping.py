"""SIGTERM during a call: gone in time, with a row that says what isn't known."""

from __future__ import annotations

from time import monotonic

import pytest

from tests.faults.conftest import NewRig
from tests.faults.rig import until

DRAIN = 1.0
# The interpreter's own end on a busy machine.
SLACK = 4.0


@pytest.mark.parametrize(
    ("kind", "calls", "reason"), [("accept_then_hang", 1, "adopted"), ("hang_before_accept", 2, None)]
)
def test_a_call_that_outlasts_the_drain_is_unknown_and_settled_by_the_next(
    new_rig: NewRig, kind: str, calls: int, reason: str | None
) -> None:
    rig = new_rig(X_TIMEOUT_SECONDS="20", BOT_LEASE_SECONDS="70", BOT_DRAIN_SECONDS=str(DRAIN))
    rig.x.arm(kind)
    worker = rig.wait_ready(rig.start())
    rig.add_slot()
    until(lambda: rig.heard == 1, what="the call is made", step=0.005)

    begun = monotonic()
    worker.terminate()
    code = worker.wait(timeout=60)
    took = monotonic() - begun

    assert code == 0, rig.stderr(worker)
    assert took < DRAIN + 1 + SLACK
    assert "Traceback" not in rig.stderr(worker)
    assert [row["status"] for row in rig.tweets()] == ["unknown"]
    rig.start()
    rig.wait_rest()
    assert rig.problems() == []
    assert rig.heard == calls
    assert [(row["status"], row["reason"]) for row in rig.tweets()] == [("posted", reason)]


def test_a_call_that_ends_within_the_drain_is_recorded(new_rig: NewRig) -> None:
    rig = new_rig(X_TIMEOUT_SECONDS="10", BOT_LEASE_SECONDS="40", BOT_DRAIN_SECONDS="30")
    rig.x.arm("slow_first_byte", seconds=1.5)
    worker = rig.wait_ready(rig.start())
    rig.add_slot()
    rig.add_slot()
    until(lambda: rig.heard == 1, what="the call is made", step=0.005)

    worker.terminate()

    assert worker.wait(timeout=60) == 0, rig.stderr(worker)
    # The one that was on its way is done; the other one waits for the next worker.
    assert sorted(row["status"] for row in rig.tweets()) == ["drafted", "posted"]
    rig.start()
    rig.wait_rest()
    assert rig.problems() == []
    assert rig.heard == 2

"""X shows a post later than it takes it: what isn't seen yet is not sent again, or not twice."""

from __future__ import annotations

from tests.faults.conftest import NewRig
from tests.faults.gate import Gate
from tests.faults.rig import Rig, until

LATER = 10_000.0


def ends(rig: Rig) -> dict[object, tuple[str, str | None]]:
    return {row["id"]: (row["status"], row["reason"]) for row in rig.tweets()}


def test_a_post_that_shows_after_one_look_but_before_two_is_adopted(new_rig: NewRig) -> None:
    rig = new_rig(BOT_SETTLE_SECONDS="2")
    rig.x.configure(visibility_delay=LATER)
    rig.x.arm("accept_then_drop")
    rig.start()
    (tweet_id,) = rig.add_slot()
    until(lambda: rig.tweet(tweet_id)["absent_reads"] == 1, what="one look counts", step=0.02)

    rig.x.configure(visibility_delay=0)

    rig.wait_rest()
    assert rig.problems() == []
    assert rig.heard == 1
    row = rig.tweet(tweet_id)
    assert (row["status"], row["reason"], row["resends"]) == ("posted", "adopted", 0)


def test_a_resend_that_x_calls_a_duplicate_is_adopted(new_rig: NewRig) -> None:
    rig = new_rig(BOT_SETTLE_SECONDS="2", refuses_copies=True)
    rig.x.configure(visibility_delay=LATER)
    rig.x.arm("accept_then_drop")
    rig.start()
    (tweet_id,) = rig.add_slot()
    until(lambda: rig.heard == 2, what="it is sent again", step=0.02)

    rig.x.configure(visibility_delay=0)

    rig.wait_rest()
    assert rig.problems() == []
    assert rig.x.calls["POST /2/tweets 403"] == 1
    assert rig.heard == 2
    row = rig.tweet(tweet_id)
    assert (row["status"], row["reason"], row["resends"]) == ("posted", "adopted", 1)


def test_a_post_older_than_its_neighbours_is_found_when_its_resend_is_unheard_too(new_rig: NewRig) -> None:
    """X took the first call and did not show it; by the resend, a younger post is known already."""
    rig = new_rig(BOT_SETTLE_SECONDS="2")
    with Gate(rig.x.base_url) as gate:
        rig.address = gate.address
        rig.x.configure(visibility_delay=LATER)
        rig.x.arm("accept_then_drop")
        # The first resend is refused for longer than X closes the endpoint: others go meanwhile.
        rig.x.arm("429_with_headers", after=1, seconds=2)
        gate.hold(after=3)
        rig.wait_ready(rig.start())
        (hidden,) = rig.add_slot()
        until(lambda: rig.heard == 2, what="the resend is refused", step=0.02)
        rig.x.configure(duplicate_window_seconds=86_400)
        (younger,) = rig.add_slot()
        rig.wait_rest([younger])
        until(lambda: rig.heard == 4, what="it is sent again", step=0.02)
        assert rig.x.calls["POST /2/tweets 403"] == 1
        # The answer to the resend is lost, and X shows everything from now on.
        gate.open()
        rig.x.configure(visibility_delay=0)

        rig.wait_rest()
        assert ends(rig) == {hidden: ("posted", "adopted"), younger: ("posted", None)}
        assert rig.problems() == []
        assert rig.heard == 4


def test_a_post_that_x_loses_twice_is_given_up_for_a_reason(rig: Rig) -> None:
    rig.x.arm("fail_503", count=None)
    rig.start()
    (lost,) = rig.add_slot()
    rig.wait_rest([lost])
    rig.x.disarm()
    (fine,) = rig.add_slot()

    rig.wait_rest()

    assert ends(rig) == {lost: ("failed", "absent_after_resend"), fine: ("posted", None)}
    assert rig.problems() == []
    assert rig.heard == 3

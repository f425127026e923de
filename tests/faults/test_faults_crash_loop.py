"""A worker that keeps crashing waits before it posts, and says so."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.faults.rig import Rig, now, until

ALLOWED = 4


def test_the_fifth_start_in_ten_minutes_waits_and_says_so(rig: Rig) -> None:
    begun = now()
    for _ in range(ALLOWED - 1):
        rig.kill(rig.wait_ready(rig.start(forget=False)))
    fourth = rig.wait_ready(rig.start(forget=False))
    first = rig.add_slot()
    rig.wait_rest(first)
    rig.kill(fourth)
    assert rig.heard == 1

    rig.wait_ready(rig.start(forget=False))
    second = rig.add_slot()

    def waits() -> list[dict[str, object]]:
        return rig.decisions("limit_name = 'restarts' AND verdict = 'wait' AND kind = 'publish'")

    until(lambda: waits() and waits()[-1]["repeated"] >= 3, what="it waits for several beats")  # type: ignore[operator]  # a count
    assert rig.heard == 1
    assert rig.tweet(second[0])["status"] == "drafted"
    told = rig.command("why", "--json").json["decisions"][0]
    assert (told["kind"], told["verdict"], told["limit"]) == ("publish", "wait", "restarts")
    assert (told["used"], told["cap"]) == (ALLOWED + 1, ALLOWED)
    until_moment = datetime.fromisoformat(told["until"])
    assert begun + timedelta(minutes=10) <= until_moment <= now() + timedelta(minutes=10)

    rig.forget_starts()

    rig.wait_rest(second)
    assert rig.problems() == []
    assert rig.heard == 2

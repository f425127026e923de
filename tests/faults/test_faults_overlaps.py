"""Several programs at once on one account: each wish is posted once, and no slot twice."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

import pytest

from tests.faults.conftest import NewRig
from tests.faults.gate import Gate
from tests.faults.rig import PATIENCE, Rig, Schedule, until


def live_texts(rig: Rig) -> Counter[str]:
    return Counter(post.text for post in rig.x.posts())


def words(name: str) -> str:
    return f"A person's own words, {name}: {uuid4().hex}"


def test_run_once_beside_run(rig: Rig) -> None:
    rig.wait_ready(rig.start())
    schedule = Schedule(rig, 6)
    schedule.top_up()
    own = words("beside the worker")

    answer = rig.command("run-once", "--json", "--text", own)

    assert answer.code == 0, answer.out + answer.err
    assert answer.json["tweet"]["text"] == own
    until(lambda: schedule.done, what="the slots are posted")
    assert rig.problems() == []
    assert live_texts(rig)[own] == 1
    assert len(rig.x.posts()) == 7


def test_two_run_once_at_once(rig: Rig) -> None:
    wishes = [words("one"), words("two"), words("three")]

    running = [rig.program.start("run-once", "--json", "--text", wish) for wish in wishes]

    assert [one.wait(timeout=PATIENCE) for one in running] == [0, 0, 0]
    assert rig.problems() == []
    assert live_texts(rig) == Counter(wishes)


def test_deploys_that_overlap(rig: Rig) -> None:
    schedule = Schedule(rig, 16, depth=4)
    old = rig.wait_ready(rig.start())
    for _ in range(3):
        done = len(rig.x.posts())
        new = rig.wait_ready(rig.start())
        until(lambda done=done: schedule.done or len(rig.x.posts()) > done + 1, what="posts go out")  # type: ignore[misc]  # mypy can't infer a lambda's default
        old.terminate()
        assert old.wait(timeout=PATIENCE) == 0
        old = new
    until(lambda: schedule.done, what="every slot is posted")

    assert rig.problems() == []
    assert len(rig.x.posts()) == 16
    assert rig.heard == 16


def test_four_workers_and_one_slot(rig: Rig) -> None:
    workers = [rig.start() for _ in range(4)]
    for worker in workers:
        rig.wait_ready(worker)

    ids = rig.add_slot()

    rig.wait_rest(ids)
    rig.have_look(workers=4)
    assert rig.problems() == []
    assert rig.heard == 1


def test_an_unheard_yes_is_adopted_by_reconcile(new_rig: NewRig) -> None:
    rig = new_rig()
    rig.x.arm("accept_then_drop")
    own = words("an unheard yes")

    answer = rig.command("run-once", "--json", "--text", own)

    assert answer.code == 4, answer.out + answer.err
    assert answer.json["outcome"] == "unknown"
    assert rig.command("status", "--json").json["unknown"] == 1
    settled = rig.command("reconcile", "--json")
    assert settled.code == 0, settled.out + settled.err
    assert rig.command("status", "--json").json["unknown"] == 0
    assert rig.problems() == []
    assert [(row["status"], row["reason"]) for row in rig.tweets()] == [("posted", "adopted")]
    assert rig.heard == 1


def test_a_lost_post_is_sent_again_once_by_reconcile(rig: Rig) -> None:
    rig.x.arm("fail_500")
    own = words("a lost post")

    answer = rig.command("run-once", "--json", "--text", own)

    assert answer.code == 4, answer.out + answer.err
    assert rig.command("status", "--json").json["unknown"] == 1
    for _ in range(2):
        settled = rig.command("reconcile", "--json")
        assert settled.code == 0, settled.out + settled.err
        assert rig.problems() == []
        assert live_texts(rig) == Counter([own])
        assert rig.heard == 2
    assert [(row["status"], row["resends"]) for row in rig.tweets()] == [("posted", 1)]


@pytest.mark.parametrize(("kind", "calls"), [("accept_then_hang", 1), ("hang_before_accept", 2)])
def test_a_killed_run_once_is_settled_by_the_next_worker(new_rig: NewRig, kind: str, calls: int) -> None:
    rig = new_rig(X_TIMEOUT_SECONDS="2")
    rig.x.arm(kind)
    own = words("killed")
    running = rig.program.start("run-once", "--json", "--text", own)
    until(lambda: rig.heard == 1, what="the call is made", step=0.005)
    rig.kill(running)
    assert [row["status"] for row in rig.tweets()] == ["publishing"]

    rig.start()

    rig.wait_rest()
    assert rig.problems() == []
    assert live_texts(rig) == Counter([own])
    assert rig.heard == calls


def test_reconciles_and_a_worker_at_once_send_a_lost_post_again_once(rig: Rig) -> None:
    rig.x.arm("fail_500")
    own = words("settled by many")
    assert rig.command("run-once", "--json", "--text", own).code == 4

    worker = rig.start()
    settling = [rig.program.start("reconcile", "--json") for _ in range(2)]

    assert [one.wait(timeout=PATIENCE) for one in settling] == [0, 0]
    rig.wait_rest()
    assert rig.problems() == []
    assert live_texts(rig) == Counter([own])
    assert rig.heard == 2
    assert worker.poll() is None


def test_while_a_call_is_on_its_way_nobody_else_settles_it(new_rig: NewRig) -> None:
    rig = new_rig(X_TIMEOUT_SECONDS="20", BOT_LEASE_SECONDS="60")
    with Gate(rig.x.base_url) as gate:
        rig.address = gate.address
        for worker in [rig.start() for _ in range(2)]:
            rig.wait_ready(worker)
        gate.delay()
        rig.add_slot()
        until(lambda: gate.kept == 1, what="the call is on its way")
        # The other worker looks again and again.
        rig.have_look(workers=2, times=5)
        assert [row["status"] for row in rig.tweets()] == ["publishing"]
        gate.open()

        rig.wait_rest()
        assert rig.problems() == []
        assert rig.heard == 1
        assert [row["reason"] for row in rig.tweets()] == [None]

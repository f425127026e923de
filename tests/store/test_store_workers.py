"""Which workers live, as whoever asks for the status is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.core.health import WorkerLife
from bot.store.manager import DatabaseManager
from tests.store.rows import DAY, NOW

PATIENCE = timedelta(seconds=150)


def life(manager: DatabaseManager) -> WorkerLife:
    with manager.transaction() as tx:
        return tx.workers.life(patience=PATIENCE)


def begin(manager: DatabaseManager, holder: str, *, started: float = 0, beat: float = 0) -> None:
    """A worker that started and last beat so many seconds ago."""
    with manager.transaction() as tx:
        tx.workers.begin(holder=holder, host="here", pid=1)
        tx.connection.execute(
            text(
                "UPDATE workers SET started_at = clock_timestamp() - make_interval(secs => :started), "
                "beat_at = clock_timestamp() - make_interval(secs => :beat) WHERE holder = :holder"
            ),
            {"started": started, "beat": beat, "holder": holder},
        )


def end(manager: DatabaseManager, holder: str) -> None:
    with manager.transaction() as tx:
        tx.workers.end(holder=holder)


def started_ago(told: WorkerLife) -> float:
    """Seconds between a worker's start and its last beat."""
    assert told.since is not None
    assert told.last_beat is not None
    return round((told.last_beat - told.since).total_seconds())


def test_without_a_worker_none_lives(manager: DatabaseManager) -> None:
    assert life(manager) == WorkerLife()


def test_a_worker_lives_from_its_start_on(manager: DatabaseManager) -> None:
    begin(manager, "one")
    assert life(manager).alive
    assert life(manager).silent_for is not None


@pytest.mark.parametrize(("beat", "alive"), [(149, True), (151, False)])
def test_a_worker_that_is_silent_for_too_long_is_told_with_its_last_beat(
    manager: DatabaseManager, beat: float, alive: bool
) -> None:
    begin(manager, "one", started=1000, beat=beat)
    told = life(manager)
    assert (told.alive, started_ago(told)) == (alive, 1000 - beat)


def test_a_worker_that_stopped_is_not_told_of(manager: DatabaseManager) -> None:
    begin(manager, "one")
    end(manager, "one")
    assert life(manager) == WorkerLife()


def test_a_killed_worker_is_not_alive_because_a_later_one_stopped(manager: DatabaseManager) -> None:
    begin(manager, "killed", started=1000, beat=900)
    begin(manager, "later", started=500)
    end(manager, "later")
    assert life(manager) == WorkerLife()


def test_a_worker_lives_on_when_one_that_came_after_it_stops(manager: DatabaseManager) -> None:
    begin(manager, "first", started=1000, beat=5)
    begin(manager, "second", started=500)
    end(manager, "second")
    told = life(manager)
    assert (told.alive, started_ago(told)) == (True, 995)


def test_of_two_that_live_the_later_one_is_told(manager: DatabaseManager) -> None:
    begin(manager, "first", started=1000, beat=1)
    begin(manager, "second", started=500, beat=1)
    assert started_ago(life(manager)) == 499


def test_a_worker_that_starts_again_under_its_name_lives_again(manager: DatabaseManager) -> None:
    begin(manager, "one", started=1000)
    end(manager, "one")
    begin(manager, "one")
    assert life(manager).alive


def test_workers_that_were_not_heard_of_for_long_are_forgotten(manager: DatabaseManager) -> None:
    begin(manager, "old")
    begin(manager, "new")
    with manager.transaction() as tx:
        tx.connection.execute(
            text("UPDATE workers SET beat_at = :at WHERE holder = 'old'"), {"at": NOW - 91 * DAY}
        )
        assert tx.workers.forget(before=NOW - 90 * DAY) == 1
        assert list(tx.connection.scalars(text("SELECT holder FROM workers"))) == ["new"]

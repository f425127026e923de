"""One writer a profile, and a fencing number that only grows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from bot.core.errors import LeaseLost
from bot.core.model import Lease, Profile
from bot.store.manager import DatabaseManager
from tests.store.rows import HOUR, NOW
from tests.support.database_clock import make_settable, set_clock
from tests.support.processes import eventually

TERM = timedelta(minutes=2)
ASKED = 1000.0


def take(manager: DatabaseManager, profile: Profile, holder: str, now: datetime = NOW) -> Lease | None:
    with manager.transaction() as tx:
        set_clock(tx, now)
        return tx.leases.acquire(profile.id, holder=holder, asked_at=ASKED, lasts=TERM)


def check(manager: DatabaseManager, lease: Lease, now: datetime = NOW) -> None:
    with manager.transaction() as tx:
        set_clock(tx, now)
        tx.leases.check(lease)


@pytest.fixture
def manager(manager: DatabaseManager) -> DatabaseManager:
    """The data layer on a database whose clock can be set."""
    make_settable(manager)
    return manager


def taken(manager: DatabaseManager, profile: Profile, holder: str, now: datetime = NOW) -> Lease:
    lease = take(manager, profile, holder, now)
    assert lease is not None
    return lease


def test_a_free_lease_is_given(manager: DatabaseManager, profile: Profile) -> None:
    assert take(manager, profile, "a") == Lease(
        profile_id=profile.id, holder="a", fencing=1, began=NOW, ends=ASKED + TERM.total_seconds()
    )


def test_a_held_lease_is_refused_to_another_up_to_its_last_moment(
    manager: DatabaseManager, profile: Profile
) -> None:
    taken(manager, profile, "a")

    assert take(manager, profile, "b") is None
    assert take(manager, profile, "b", NOW + TERM - timedelta(microseconds=1)) is None


def test_an_expired_lease_is_taken_over(manager: DatabaseManager, profile: Profile) -> None:
    taken(manager, profile, "a")

    assert taken(manager, profile, "b", NOW + TERM).fencing == 2


def test_each_profile_has_a_lease_of_its_own(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    taken(manager, profile, "a")

    assert taken(manager, neighbour, "b").fencing == 1


def test_fencing_grows_with_every_acquisition_also_after_release_and_never_starts_again(
    manager: DatabaseManager, profile: Profile
) -> None:
    numbers = []
    for holder in ("a", "a", "b", "a"):
        lease = taken(manager, profile, holder)
        numbers.append(lease.fencing)
        if len(numbers) != 1:
            with manager.transaction() as tx:
                tx.leases.release(lease)

    assert numbers == [1, 2, 3, 4]


def test_a_released_lease_is_free_at_once(manager: DatabaseManager, profile: Profile) -> None:
    lease = taken(manager, profile, "a")
    with manager.transaction() as tx:
        tx.leases.release(lease)

    assert taken(manager, profile, "b").holder == "b"


def test_a_late_release_takes_nothing_from_the_next_holder(
    manager: DatabaseManager, profile: Profile
) -> None:
    old = taken(manager, profile, "a")
    new = taken(manager, profile, "b", NOW + TERM)

    with manager.transaction() as tx:
        tx.leases.release(old)

    check(manager, new, NOW + TERM)


def test_a_held_lease_passes_its_check_until_it_runs_out(manager: DatabaseManager, profile: Profile) -> None:
    lease = taken(manager, profile, "a")

    check(manager, lease, NOW + TERM - timedelta(microseconds=1))
    with pytest.raises(LeaseLost):
        check(manager, lease, NOW + TERM)


def test_a_lease_that_was_taken_over_released_or_deleted_is_lost(
    manager: DatabaseManager, profile: Profile
) -> None:
    first = taken(manager, profile, "a")
    second = taken(manager, profile, "b", NOW + TERM)
    with pytest.raises(LeaseLost, match="nothing was written"):
        check(manager, first)

    with manager.transaction() as tx:
        tx.leases.release(second)
    with pytest.raises(LeaseLost):
        check(manager, second)

    third = taken(manager, profile, "a", NOW + HOUR)
    with manager.transaction() as tx:
        tx.connection.execute(text("DELETE FROM leases"))
    with pytest.raises(LeaseLost):
        check(manager, third, NOW + HOUR)


def test_the_same_holder_who_asks_again_holds_the_new_lease_only(
    manager: DatabaseManager, profile: Profile
) -> None:
    first = taken(manager, profile, "a")
    second = taken(manager, profile, "a")

    check(manager, second)
    with pytest.raises(LeaseLost):
        check(manager, first)


def test_of_many_who_reach_for_a_free_lease_at_once_one_gets_it(
    manager: DatabaseManager, profile: Profile
) -> None:
    start = threading.Barrier(8)

    def reach(holder: str) -> Lease | None:
        start.wait(timeout=20)
        return take(manager, profile, holder)

    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(reach, [f"worker-{n}" for n in range(8)]))

    assert len([lease for lease in leases if lease]) == 1


def test_one_who_waits_for_an_acquisition_under_way_is_refused_when_it_commits(
    manager: DatabaseManager, profile: Profile
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with manager.transaction() as tx:
            set_clock(tx, NOW)
            assert tx.leases.acquire(profile.id, holder="a", asked_at=ASKED, lasts=TERM)
            other = pool.submit(take, manager, profile, "b")
            eventually(lambda: _waiting(manager), what="the other waits for the row")
        assert other.result(timeout=20) is None


def test_one_who_waits_for_an_acquisition_that_rolls_back_gets_it(
    manager: DatabaseManager, profile: Profile
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ZeroDivisionError), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
            set_clock(tx, NOW)
            assert tx.leases.acquire(profile.id, holder="a", asked_at=ASKED, lasts=TERM)
            other = pool.submit(take, manager, profile, "b")
            eventually(lambda: _waiting(manager), what="the other waits for the row")
            raise ZeroDivisionError
        lease = other.result(timeout=20)

    assert lease is not None
    assert lease.holder == "b"


def test_a_checked_lease_stays_locked_to_the_transactions_end(
    manager: DatabaseManager, profile: Profile
) -> None:
    lease = taken(manager, profile, "a")
    late = NOW + TERM
    with ThreadPoolExecutor(1) as pool:
        with manager.transaction() as tx:
            set_clock(tx, NOW)
            tx.leases.check(lease)
            other = pool.submit(take, manager, profile, "b", late)
            eventually(lambda: _waiting(manager), what="the other waits for the row")
            assert not other.done()
        taken_over = other.result(timeout=20)

    assert taken_over is not None
    assert taken_over.fencing == lease.fencing + 1


def _waiting(manager: DatabaseManager) -> bool:
    with manager.transaction() as tx:
        return bool(
            tx.connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )
        )

"""The machine's clock."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from bot.clock import SystemClock


def test_now_is_aware_and_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_waiting_lets_time_pass() -> None:
    begun = time.perf_counter()
    SystemClock().wait(0.05)

    assert time.perf_counter() - begun >= 0.045


def test_waiting_ends_when_the_program_is_asked_to_stop() -> None:
    clock = SystemClock()
    waiting = threading.Thread(target=clock.wait, args=(600,))
    waiting.start()
    clock.stop.set()
    waiting.join(timeout=20)

    assert not waiting.is_alive()


def test_one_that_was_stopped_waits_no_more() -> None:
    clock = SystemClock()
    clock.stop.set()
    begun = time.perf_counter()
    clock.wait(600)

    assert time.perf_counter() - begun < 20


def test_a_clock_goes_by_the_one_it_agrees_with() -> None:
    clock = SystemClock()
    for ahead in (timedelta(seconds=300), timedelta(seconds=-300), timedelta(hours=30)):
        since = clock.now()
        clock.agree(datetime.now(UTC) + ahead, since=since)

        assert abs(clock.now() - datetime.now(UTC) - ahead) < timedelta(seconds=1)


def test_a_difference_that_the_time_of_asking_explains_is_none() -> None:
    clock = SystemClock()
    since = clock.now() - timedelta(seconds=2)
    clock.agree(since + timedelta(seconds=1), since=since)

    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=0.5)


def test_a_clock_that_was_set_back_is_set_right_again() -> None:
    """What the machine says is corrected as it is now, not as it was."""

    class Skewed(SystemClock):
        off = timedelta(seconds=300)

        def now(self) -> datetime:
            return super().now() + self.off

    clock = Skewed()
    clock.agree(datetime.now(UTC), since=clock.now())
    clock.off = timedelta(seconds=-300)
    clock.agree(datetime.now(UTC), since=clock.now())

    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_steady_seconds_only_grow() -> None:
    clock = SystemClock()
    begun = clock.monotonic()
    clock.agree(clock.now() - timedelta(hours=1), since=clock.now())
    clock.wait(0.02)

    assert 0.015 <= clock.monotonic() - begun < 20

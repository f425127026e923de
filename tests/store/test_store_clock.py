"""The machine's clock."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

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

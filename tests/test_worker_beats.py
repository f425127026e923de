"""What beats the worker's time."""

from __future__ import annotations

from bot.worker import _Scheduler


def test_a_beat_that_is_gone_already_breaks_no_thread_at_the_end() -> None:
    # APScheduler's thread removes what it has begun, and a shutdown may have done so before it.
    scheduler = _Scheduler(timezone="UTC")
    scheduler.start()
    scheduler.shutdown(wait=False)
    scheduler.remove_job("gone")

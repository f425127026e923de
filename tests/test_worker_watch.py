"""The program's main thread hears signals; the work in its own thread is told, and never interrupted."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, cast

import psutil
import pytest

from bot import signals
from bot.cli.worker import run
from bot.clock import SystemClock
from bot.core.errors import DatabaseUnavailable
from bot.settings import Settings
from bot.signals import SIGNALS, Watch
from bot.worker import Worker
from bot.writer.connection import within
from tests.support.processes import eventually

if TYPE_CHECKING:
    from bot.bootstrap import Bot


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts pytest's handlers back, looks often, and hears a hang-up also where nohup started pytest."""
    monkeypatch.setattr(signals, "WAKE_SECONDS", 0.01)
    monkeypatch.setattr(signals, "LAST_SECONDS", 0.01)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def watch() -> Watch:
    heard = Watch()
    heard.listen()
    return heard


@pytest.mark.parametrize("drained", [True, False])
def test_it_gives_the_work_s_answer(watch: Watch, drained: bool) -> None:
    assert watch.over(lambda: drained, drain=0) is drained


@pytest.mark.parametrize("over", [lambda work: Watch().over(work, drain=5), lambda work: within(5, work)])
def test_nothing_is_still_being_put_away_once_it_is_over(over: Callable[[Callable[..., bool]], bool]) -> None:
    """The interpreter looks through what is to be put away as it ends, and must not meet it changing."""
    kept, away = threading.local(), threading.Event()

    class Slow:
        def __del__(self) -> None:
            time.sleep(0.3)
            away.set()

    def work(*_line: object) -> bool:
        kept.until_the_thread_ends = Slow()
        return True

    assert over(work)
    assert away.is_set()


def test_it_raises_the_work_s_error(watch: Watch) -> None:
    def work() -> bool:
        raise DatabaseUnavailable("the database is gone", fix="start it")

    with pytest.raises(DatabaseUnavailable, match="the database is gone"):
        watch.over(work, drain=0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_start_that_is_asked_to_stop_ends_in_its_own_way(watch: Watch, number: signal.Signals) -> None:
    steps = []

    def work() -> bool:
        steps.append("opened")
        os.kill(os.getpid(), number)
        assert watch.stop.wait(10)
        steps.append("closed")
        return True

    assert watch.over(work, drain=30) is True
    assert steps == ["opened", "closed"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_start_that_hangs_is_left_where_it_is(watch: Watch, number: signal.Signals) -> None:
    hangs = threading.Event()

    def work() -> bool:
        os.kill(os.getpid(), number)
        hangs.wait(10)
        return True

    try:
        assert watch.over(work, drain=0.05) is None
    finally:
        hangs.set()


def test_what_goes_wrong_in_a_start_that_is_given_up_is_nobodys_business(watch: Watch) -> None:
    def work() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.stop.wait(10)
        raise DatabaseUnavailable("it was asked to stop, too", fix="start it")

    assert watch.over(work, drain=30) is None


def test_what_goes_wrong_after_it_has_begun_is_raised(watch: Watch) -> None:
    def work() -> bool:
        watch.begun.set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.stop.wait(10)
        raise DatabaseUnavailable("the outcome can't be saved", fix="start it")

    with pytest.raises(DatabaseUnavailable, match="the outcome"):
        watch.over(work, drain=30)


def test_work_that_has_begun_is_waited_for_within_its_time(watch: Watch) -> None:
    def work() -> bool:
        watch.begun.set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.stop.wait(10)
        # Many looks long.
        threading.Event().wait(0.3)
        return True

    assert watch.over(work, drain=30) is True


def test_work_that_has_begun_and_hangs_is_left_where_it_is(watch: Watch) -> None:
    hangs = threading.Event()

    def work() -> bool:
        watch.begun.set()
        os.kill(os.getpid(), signal.SIGTERM)
        hangs.wait()
        return True

    try:
        assert watch.over(work, drain=0.05) is None
    finally:
        hangs.set()


def test_a_start_that_is_asked_to_stop_writes_and_buys_nothing_more() -> None:
    stop, begun = threading.Event(), threading.Event()

    @dataclass
    class Starting:
        """A bot that is asked to stop as soon as its database answers; it has nothing else to use."""

        settings: Settings = field(default_factory=Settings)
        clock: SystemClock = field(default_factory=lambda: SystemClock(stop))

        def announce(self) -> None:
            stop.set()

    assert Worker(cast("Bot", Starting()), begun=begun).run() is True
    assert not begun.is_set()


class Left(BaseException):
    """The process has ended, as far as a test is concerned."""


def test_a_program_that_runs_for_months_searches_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short command does not: it would take longer than what it asks."""
    seen = []

    def over(_watch: Watch, _work: object, *, drain: float) -> bool:
        seen.append((gc.isenabled(), drain))
        return True

    def leave(code: int) -> None:
        raise Left(code)

    # The test's own process must neither fork nor end.
    monkeypatch.setattr(signals, "guard", lambda _drain: None)
    monkeypatch.setattr(signals, "leave", leave)
    monkeypatch.setattr(Watch, "over", over)
    gc.disable()
    try:
        with pytest.raises(Left, match="0"):
            run(Settings(), Namespace(sandbox=False, json=False))
        assert seen == [(True, 4.0)]
    finally:
        gc.enable()
        gc.unfreeze()


HOLDS_THE_LOCK = """
import re, sys, threading, time
from bot.signals import Watch, guard, leave
watch = Watch()
watch.listen()
guard(0.5)
def work():
    sys.stdout.write("begun\\n")
    sys.stdout.flush()
    time.sleep(0.2)
    re.match("(a+)+$", "a" * 60 + "b")
    return True
watch.over(work, drain=0.5)
leave(0)
"""


def test_a_call_that_keeps_the_interpreters_lock_is_ended_from_outside_and_named() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_LOCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        # From then on no Python runs but the one call that takes for ever.
        eventually(lambda: cpu_seconds(program.pid) > 1, what="the call has the lock")
        begun = monotonic()
        program.terminate()
        _, told = program.communicate(timeout=30)

    assert monotonic() - begun < 10
    assert program.returncode == -signal.SIGABRT
    assert "re/__init__.py" in told
    assert "in work" in told


def cpu_seconds(pid: int) -> float:
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user)

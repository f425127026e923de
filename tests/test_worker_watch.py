"""The program's main thread hears signals; the work in its own thread is told, and never interrupted."""

from __future__ import annotations

import gc
import os
import signal
import threading
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from bot import worker
from bot.cli import run
from bot.clock import SystemClock
from bot.core.errors import DatabaseUnavailable
from bot.settings import Settings
from bot.worker import SIGNALS, Watch, Worker

if TYPE_CHECKING:
    from bot.bootstrap import Bot


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts pytest's handlers back, and looks often."""
    monkeypatch.setattr(worker, "WAKE_SECONDS", 0.01)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.mark.parametrize("drained", [True, False])
def test_it_gives_the_work_s_answer(watch: Watch, drained: bool) -> None:
    assert watch.over(lambda: drained, patience=0) is drained


def test_it_raises_the_work_s_error(watch: Watch) -> None:
    def work() -> bool:
        raise DatabaseUnavailable("the database is gone", fix="start it")

    with pytest.raises(DatabaseUnavailable, match="the database is gone"):
        watch.over(work, patience=0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_start_that_is_asked_to_stop_ends_in_its_own_way(watch: Watch, number: signal.Signals) -> None:
    steps = []

    def work() -> bool:
        steps.append("opened")
        os.kill(os.getpid(), number)
        assert watch.stop.wait(10)
        steps.append("closed")
        return True

    assert watch.over(work, patience=30) is True
    assert steps == ["opened", "closed"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_start_that_hangs_is_left_where_it_is(watch: Watch, number: signal.Signals) -> None:
    hangs = threading.Event()

    def work() -> bool:
        os.kill(os.getpid(), number)
        hangs.wait()
        return True

    try:
        assert watch.over(work, patience=0.05) is None
        # The next signal ends the program, whatever holds it up.
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        hangs.set()


def test_what_goes_wrong_in_a_start_that_is_given_up_is_nobodys_business(watch: Watch) -> None:
    def work() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.stop.wait(10)
        raise DatabaseUnavailable("it was asked to stop, too", fix="start it")

    assert watch.over(work, patience=30) is None


def test_what_goes_wrong_after_it_has_begun_is_raised(watch: Watch) -> None:
    def work() -> bool:
        watch.begun.set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.stop.wait(10)
        raise DatabaseUnavailable("the outcome can't be saved", fix="start it")

    with pytest.raises(DatabaseUnavailable, match="the outcome"):
        watch.over(work, patience=30)


def test_work_that_has_begun_is_waited_for(watch: Watch) -> None:
    def work() -> bool:
        watch.begun.set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.stop.wait(10)
        # Longer than a start would be given, by many looks.
        threading.Event().wait(0.3)
        return True

    assert watch.over(work, patience=0.01) is True


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


def test_a_program_that_runs_for_months_searches_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short command does not: it would take longer than what it asks."""
    seen = []

    def over(_watch: Watch, _work: object, *, patience: float) -> bool:
        seen.append((gc.isenabled(), patience))
        return True

    monkeypatch.setattr(Watch, "over", over)
    gc.disable()
    try:
        assert run(Settings(), Namespace(sandbox=False)) == 0
        assert seen == [(True, 3.0)]
    finally:
        gc.enable()
        gc.unfreeze()

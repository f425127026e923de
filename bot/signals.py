"""Stop, wait, leave: a program that is asked to end does so in time, whatever hangs."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import NoReturn

WAKE_SECONDS = 0.25
# What even a program without a draining time has for saying what is left.
LAST_SECONDS = 1.0
# How long work that is over may take to put its things away.
_PUTS_AWAY_SECONDS = 1.0
# How far beyond the draining time a program may be before it is ended from outside.
GRACE_SECONDS = 1.5
# A terminal that closes hangs up.
SIGNALS = (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


_ALWAYS = frozenset({signal.SIGTERM, signal.SIGINT})


class Watch:
    """Hears the system's signals while the work is done in a thread of its own.

    A handler that raised would break whatever it met: a library's half-opened connection as well.

    Attributes:
        stop: set once the program is asked to end.
        begun: set by the work once it may leave something half done.
        interrupted: whether it was a person at the terminal who asked first.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.begun = threading.Event()
        self.interrupted = False
        self._heard_at: float | None = None

    def listen(self) -> None:
        """Takes the signals over; call it in the main thread."""
        for number in SIGNALS:
            # Whoever starts a program by nohup wants it to outlive the terminal.
            if number in _ALWAYS or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._heard)

    def over(self, work: Callable[[], bool], *, drain: float) -> bool | None:
        """What `work` returns; None when it was asked to stop and its time was over before it ended.

        Args:
            work: told by `stop` to end; gets all of the draining time for it.
            drain: seconds from the signal on.

        Raises:
            Exception: whatever `work` raised, unless it was asked to stop before it had begun:
                until then nothing is half done that the next start would not find.
        """
        ended: Future[bool] = Future()

        def carry_out() -> None:
            try:
                ended.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
                ended.set_exception(error)

        thread = threading.Thread(target=carry_out, name="worker", daemon=True)
        thread.start()
        # The system may hand a signal to any thread, and Python runs its handler only once the main
        # thread wakes up: one that waits for ever would sleep through it.
        while not wait([ended], timeout=WAKE_SECONDS).done:
            if self._heard_at is not None and monotonic() > self._heard_at + max(drain, LAST_SECONDS):
                return None
        # What it still puts away, the interpreter must not look through at its own end.
        thread.join(_PUTS_AWAY_SECONDS)
        given_up = self.stop.is_set() and not self.begun.is_set()
        return None if given_up and ended.exception() else ended.result()

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self._heard_at is None:
            self._heard_at = monotonic()
            self.interrupted = number == signal.SIGINT
        self.stop.set()


def guard(drain: float) -> None:
    """Starts a process that ends this one when a signal has not done so in time.

    A thread could not: one library's call that keeps the interpreter's lock would stop it as well.
    The system itself tells the guard of the signal, before any line of Python runs here. What hangs
    is written to stderr, thread by thread.
    """
    if not hasattr(os, "fork"):
        return
    faulthandler.enable()
    hears, tells = os.pipe()
    guarded = os.getpid()
    if os.fork() == 0:
        os.close(tells)
        try:
            _stand_guard(hears, guarded, drain + GRACE_SECONDS)
        finally:
            os._exit(0)
    os.close(hears)
    os.set_blocking(tells, False)
    signal.set_wakeup_fd(tells, warn_on_full_buffer=False)


def _stand_guard(hears: int, guarded: int, seconds: float) -> None:
    """Waits for a signal's number, then for the end of the process, which closes the pipe."""
    import select

    for number in SIGNALS:
        # A terminal or a supervisor may signal all processes at once.
        signal.signal(number, signal.SIG_IGN)
    while heard := os.read(hears, 1):
        if heard[0] not in SIGNALS:
            continue
        deadline = monotonic() + seconds
        while (left := deadline - monotonic()) > 0:
            if select.select([hears], [], [], left)[0] and not os.read(hears, 64):
                return
        for last in (signal.SIGABRT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(guarded, last)
                time.sleep(GRACE_SECONDS / 3)
        return


def leave(code: int) -> NoReturn:
    """Ends the process now: nothing at the interpreter's exit may wait for a thread that hangs."""

    def flush() -> None:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()

    # Whoever reads the log may hang, too.
    last = threading.Thread(target=flush, name="flush", daemon=True)
    last.start()
    last.join(LAST_SECONDS / 2)
    os._exit(code)

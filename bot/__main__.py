"""`python -m bot`."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130


def start() -> int:
    """Runs one command; returns its exit code.

    What a command loads stays to its end. Searching that for garbage, over and over while it is
    loaded and once more at the end, takes a quarter of a short command's time. `run` searches again.

    An interrupt ends the program with one line at any moment: while it loads and once it has
    answered at once, in between after closing what is open.
    """
    asked = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if asked:
        signal.signal(signal.SIGINT, _leave)
        # Called last of all. Python's own end would put the default back, which kills without a word.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    from bot.cli import main

    try:
        if asked:
            signal.signal(signal.SIGINT, _interrupt)
            sys.unraisablehook = _pass_on
        return main()
    except KeyboardInterrupt:
        _end_interrupted()
    finally:
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, _leave)
        gc.freeze()


_LINE = b"stopped\n"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Stops the command; whoever asks again does not wait for it to close what is open."""
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def _end_interrupted() -> NoReturn:
    """Ends with the one line, past Python's own exit.

    That would end it by a signal instead of with a code, where the interrupt met code that was
    compiled from a string, as a dataclass is made.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    atexit._run_exitfuncs()  # noqa: SLF001 - nothing public runs them
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    _leave(signal.SIGINT, None)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ends the process where nothing is open that the next one would miss."""
    os.write(2, _LINE)
    os._exit(INTERRUPTED)


def _pass_on(broken: sys.UnraisableHookArgs) -> None:
    """Interrupts again where an interrupt met code that can't raise, as a finalizer."""
    if broken.exc_type is KeyboardInterrupt:
        _leave(signal.SIGINT, None)
    sys.__unraisablehook__(broken)


if __name__ == "__main__":
    sys.exit(start())

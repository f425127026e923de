"""`python -m bot`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

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
    gc.disable()
    from bot.cli import main

    try:
        if asked:
            signal.signal(signal.SIGINT, _interrupt)
            sys.unraisablehook = _pass_on
        return main()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.write(2, _LINE)
        return INTERRUPTED
    finally:
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, _leave)
        gc.freeze()


_LINE = b"stopped\n"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Stops the command; whoever asks again does not wait for it to close what is open."""
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def _leave(_number: int, _frame: FrameType | None) -> None:
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

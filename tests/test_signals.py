"""Which signals ask a program to end."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys
from bot.signals import Watch
before, number = sys.argv[1], int(sys.argv[2])
signal.signal(number, getattr(signal, before))
watch = Watch()
watch.listen()
os.kill(os.getpid(), number)
print(watch.stop.wait(0.5))
"""


@pytest.mark.parametrize(
    ("before", "number", "asked"),
    [
        ("SIG_DFL", signal.SIGHUP, True),
        ("SIG_DFL", signal.SIGTERM, True),
        ("SIG_DFL", signal.SIGINT, True),
        # As nohup starts a program.
        ("SIG_IGN", signal.SIGHUP, False),
        # As a shell starts one in the background.
        ("SIG_IGN", signal.SIGINT, True),
    ],
)
def test_a_signal_asks_to_stop_unless_nohup_says_otherwise(
    before: str, number: signal.Signals, *, asked: bool
) -> None:
    command = [sys.executable, "-c", SCRIPT, before, str(int(number))]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert said.strip() == str(asked)

"""Ctrl-C ends any command, at any moment, with one line."""

from __future__ import annotations

import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox import Sandbox
from tests.end_to_end.conftest import Cli

MODULE = (sys.executable, "-m", "bot")
SCRIPT = (str(Path(sysconfig.get_path("scripts")) / "bot"),)
# Says when the program loads its first module.
HOOK = """
import sys

class Finder:
    def find_spec(self, name, *_):
        if name == "bot.cli":
            sys.stdout.write("begun\\n")
            sys.stdout.flush()

sys.meta_path.insert(0, Finder())
"""


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Hears interrupts: a shell's background jobs ignore them, and so would what they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(cli: Cli, command: tuple[str, ...], *, after: float, **variables: str) -> tuple[int, str]:
    """The exit code and stderr of a command that is interrupted so long after its program has begun."""
    hook = cli.process.folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    environment = cli.process.full_environment(**variables)
    environment["PYTHONPATH"] = f"{hook}:{environment['PYTHONPATH']}"
    # The file that Python was loading is left open; nobody is told of that by a Python as it is started.
    environment["PYTHONWARNINGS"] += ",ignore::ResourceWarning"
    with subprocess.Popen(
        command,
        env=environment,
        cwd=cli.process.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    said = [line for line in errors.splitlines() if not line.startswith("{")]
    return process.returncode, "\n".join(said)


@pytest.mark.long
@pytest.mark.parametrize(
    ("program", "moments"),
    [
        (MODULE, [0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0, 1.6, 2.5]),
        # It differs only as it begins.
        (SCRIPT, [0.0, 0.03, 0.1, 0.3]),
    ],
    ids=["module", "script"],
)
def test_an_interrupt_at_any_moment_is_one_line(
    cli: Cli, local_x: Sandbox, program: tuple[str, ...], moments: list[float]
) -> None:
    """X never answers, so that the command is interrupted wherever it is by then."""
    local_x.arm("hang_before_accept", endpoint="*", count=None)

    seen = {moment: interrupted(cli, (*program, "run-once"), after=moment) for moment in moments}

    assert seen == dict.fromkeys(moments, (130, "stopped"))


def test_an_interrupt_of_a_short_command_leaves_no_trace_of_python(cli: Cli) -> None:
    for moment in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5):
        code, said = interrupted(cli, (*MODULE, "check", "Hello"), after=moment)

        assert (code, said) in {(130, "stopped"), (0, "")}


DRIVER = """
import sys
import bot.__main__
import bot.cli

MADE = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"
bot.cli.main = lambda: exec(MADE)
sys.exit(bot.__main__.start())
"""
# What `sys` holds goes last, when Python has put its own handlers away.
ENDS = """
import os
import signal
import sys
import bot.__main__
import bot.cli

class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGINT):
        kill(pid, number)

sys.last = Last()
bot.cli.main = int
sys.exit(bot.__main__.start())
"""


def test_an_interrupt_of_code_that_is_made_from_a_string_ends_with_a_code_too(cli: Cli) -> None:
    """Dataclasses are made so, and Python would end itself by the signal then."""
    assert driven(cli, DRIVER) == (130, "stopped\n")


def test_an_interrupt_of_pythons_own_end_leaves_the_answer_and_its_code(cli: Cli) -> None:
    assert driven(cli, ENDS) == (0, "")


def driven(cli: Cli, driver: str) -> tuple[int, str]:
    """How a program ends that starts the bot its own way."""
    (cli.process.folder / "driver.py").write_text(driver)
    done = subprocess.run(
        [sys.executable, "-m", "driver"],
        env=cli.process.full_environment(),
        cwd=cli.process.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stderr

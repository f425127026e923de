"""The program as a process: started, read, stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        answer: dict[str, Any] = json.loads(self.out)
        return answer


@dataclass
class BotProcess:
    """Starts `python -m bot` in a clean environment.

    `covered` says whether coverage is measured in it where the tests measure any: it makes a start
    half as long again, and a killed process never tells what it covered.
    """

    folder: Path
    environment: Mapping[str, str]
    covered: bool = True
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str, timeout: float = 60, **variables: str | None) -> Result:
        """Runs a command to its end. A variable given as None is taken out of the environment."""
        done = subprocess.run(
            [sys.executable, "-m", "bot", *arguments],
            env=self.full_environment(**variables),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Result(code=done.returncode, out=done.stdout, err=done.stderr)

    def start(self, *arguments: str, **variables: str | None) -> subprocess.Popen[str]:
        """Starts a command that goes on; its stderr goes to a file that `log` reads."""
        number = len(self.running)
        with (self.folder / f"log-{number}").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bot", *arguments],
                env=self.full_environment(**variables),
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                stdin=subprocess.DEVNULL,
            )
        self.running.append(process)
        return process

    def log(self, process: subprocess.Popen[str]) -> list[dict[str, Any]]:
        """The events that a started command has logged so far."""
        text = (self.folder / f"log-{self.running.index(process)}").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def kill_all(self) -> None:
        """Ends what still runs."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(timeout=10)

    def full_environment(self, **variables: str | None) -> dict[str, str]:
        """The environment a command gets."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in {"PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV"}
            or (self.covered and name.startswith(("COV_", "COVERAGE")))
        }
        given = {**self.environment, **variables}
        named = {name: value for name, value in given.items() if value is not None}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **named}


def eventually(condition: Callable[[], object], *, within: float = 20.0, what: str = "") -> None:
    """Waits until something holds; fails with its name when it doesn't come true in time."""
    end = monotonic() + within
    while not condition():
        if monotonic() > end:
            raise AssertionError(f"did not happen within {within} s: {what}")
        sleep(0.02)

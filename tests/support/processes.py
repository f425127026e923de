"""The program as a process: started, read, stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import IO, Any

from tests.support.warm import WarmProcess, nursery

ROOT = Path(__file__).resolve().parents[2]
# On a machine that others use too.
PATIENCE = 60.0
_KEPT = {"PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV"}
# What an interpreter reads as it starts.
_AT_START = {*_KEPT, "PYTHONPATH", "PYTHONWARNINGS"}


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

    `covered` says whether coverage is measured in it where the tests measure any: a killed process
    never tells what it covered. An interpreter of its own is never measured: it runs the same lines as
    a fork, and would take twice as long to load them.
    """

    folder: Path
    environment: Mapping[str, str]
    covered: bool = False
    running: list[WarmProcess] = field(default_factory=list)

    def run(self, *arguments: str, timeout: float = 60, **variables: str | None) -> Result:
        """Runs a command to its end. A variable given as None is taken out of the environment."""
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            process = self.start_on(arguments, variables, out=out, err=err)
            try:
                code = process.wait(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            out.seek(0)
            err.seek(0)
            return Result(code=code, out=out.read(), err=err.read())

    def run_cold(self, *arguments: str, timeout: float = 60, **variables: str | None) -> Result:
        """Runs a command in an interpreter of its own, as a person's shell does."""
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

    def start(self, *arguments: str, **variables: str | None) -> WarmProcess:
        """Starts a command that goes on; its stderr goes to a file that `log` reads."""
        number = len(self.running)
        with (self.folder / f"log-{number}").open("w") as log, Path(os.devnull).open("w") as nowhere:
            process = self.start_on(arguments, variables, out=nowhere, err=log)
        self.running.append(process)
        return process

    def start_on(
        self, arguments: Sequence[str], variables: Mapping[str, str | None], *, out: IO[str], err: IO[str]
    ) -> WarmProcess:
        """Starts a command that writes to these files."""
        given = self.full_environment(**variables)
        at_start = {name: value for name, value in given.items() if name in _AT_START}
        return nursery(at_start | (_measuring() if self.covered else {})).start(
            arguments, environment=given, folder=self.folder, out=out.fileno(), err=err.fileno()
        )

    def log(self, process: WarmProcess) -> list[dict[str, Any]]:
        """The events that a started command has logged so far."""
        return [json.loads(line) for line in self.said(process).splitlines() if line.startswith("{")]

    def said(self, process: WarmProcess) -> str:
        """All that a started command has written to stderr so far."""
        return (self.folder / f"log-{self.running.index(process)}").read_text()

    def kill_all(self) -> None:
        """Ends what still runs."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(timeout=10)

    def full_environment(self, **variables: str | None) -> dict[str, str]:
        """The environment a command gets."""
        kept = {name: value for name, value in os.environ.items() if name in _KEPT}
        given = {**self.environment, **variables}
        named = {name: value for name, value in given.items() if value is not None}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **named}


class WarmParser:
    """The process that reads documents, forked instead of started: as much of `Popen` as it is used by."""

    def __init__(self) -> None:
        into, self.stdin = _pipe()
        self.stdout, out = _pipe()
        at_start = {name: value for name, value in os.environ.items() if name in _KEPT}
        forks = nursery({**at_start, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"})
        with into, out, Path(os.devnull).open("w") as nowhere:
            self._process = forks.start_parser(into=into.fileno(), out=out.fileno(), err=nowhere.fileno())

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int:
        return self._process.wait()


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reader, writer = os.pipe()
    return open(reader, "rb"), open(writer, "wb")  # noqa: PTH123 - descriptors are no paths


def eventually(condition: Callable[[], object], *, within: float = PATIENCE, what: str = "") -> None:
    """Waits until something holds; fails with its name when it doesn't come true in time."""
    end = monotonic() + within
    while not condition():
        if monotonic() > end:
            raise AssertionError(f"did not happen within {within} s: {what}")
        sleep(0.02)


def _measuring() -> dict[str, str]:
    """What tells an interpreter to measure coverage, where the tests measure any."""
    return {name: value for name, value in os.environ.items() if name.startswith(("COV_", "COVERAGE"))}

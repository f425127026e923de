"""Starts the program without loading it each time: a process that has loaded it forks for every command.

What a fork runs is `python -m bot` from its first line on, as a process of its own, with its own
environment, folder and streams, that is waited for, signalled and killed like any other. Only the
loading of modules, most of a second, is shared.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import inspect
import json
import os
import pkgutil
import posix
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Loaded by the bot only where they are needed, and slowly.
SLOW = (
    "alembic.command",
    "apscheduler.schedulers.background",
    "feedparser",
    "openai",
    "rich.console",
    "trafilatura",
    "tweepy",
)
LONGEST_REQUEST = 1 << 20


class WarmProcess:
    """A running command: as much of `subprocess.Popen` as tests need."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._told = b""
        self.returncode: int | None = None
        self.pid = self._number(None)

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.returncode is None:
            with suppress(TimeoutError, BlockingIOError):
                self._end(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once there is one."""
        try:
            return self._end(timeout)
        except (TimeoutError, BlockingIOError):
            raise subprocess.TimeoutExpired("bot", timeout or 0) from None

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def _end(self, timeout: float | None) -> int:
        if self.returncode is None:
            self.returncode = self._number(timeout)
            self._line.close()
        return self.returncode

    def _number(self, timeout: float | None) -> int:
        """The next line that the nursery says."""
        end = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._told:
            self._line.settimeout(None if end is None else max(0.0, end - time.monotonic()))
            more = self._line.recv(64)
            if not more:
                raise RuntimeError("the process that forks is gone")
            self._told += more
        line, _, self._told = self._told.partition(b"\n")
        return int(line)


class Nursery:
    """The process that has loaded the program. It ends with the process that made it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bot-warm-"))
        self._address = str(self._folder / "line")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm", self._address],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("the program can't be loaded: see above")

    def start(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, out: int, err: int
    ) -> WarmProcess:
        """Starts `python -m bot` with these arguments; `out` and `err` are file descriptors."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.connect(self._address)
        request = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
        socket.send_fds(line, [json.dumps(request).encode() + b"\n"], [out, err])
        return WarmProcess(line)

    def close(self) -> None:
        """Ends it, so that it says what it covered."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


_NURSERIES: dict[str, Nursery] = {}
_ASKING = threading.Lock()


def nursery(environment: Mapping[str, str]) -> Nursery:
    """The one for programs that start with this environment; made when it is first asked for."""
    key = json.dumps(sorted(environment.items()))
    with _ASKING:
        if key not in _NURSERIES:
            _NURSERIES[key] = Nursery(environment)
        return _NURSERIES[key]


def close_nurseries() -> None:
    """Ends all of them; benchmarks leave that to the interpreter's end."""
    while _NURSERIES:
        _NURSERIES.popitem()[1].close()


atexit.register(close_nurseries)


@dataclass(frozen=True)
class _Request:
    arguments: list[str]
    environment: dict[str, str]
    folder: str


def _load() -> None:
    import bot

    for name in SLOW:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(bot.__path__, "bot."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    # Coverage asks this anew in each fork; the answer's cost is finding every module's file, once.
    inspect.stack()
    # What is loaded stays: a fork that looks through it for garbage as it ends copies all of it.
    gc.collect()
    gc.freeze()


def _serve(address: str) -> _Request | None:
    """Forks for each request; returns in each fork with its request, and at the end without one."""
    ended, ends = socket.socketpair()
    ends.setblocking(False)
    lines: dict[int, socket.socket] = {}
    with (
        selectors.DefaultSelector() as selector,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
        ended,
        ends,
    ):
        listener.bind(address)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ends.fileno())
        for source in (listener, ended, 0):
            selector.register(source, selectors.EVENT_READ)
        os.write(1, b"ready\n")
        try:
            while True:
                for key, _ in selector.select():
                    if key.fileobj is ended:
                        ended.recv(4096)
                        _tell(lines)
                    elif key.fileobj is not listener:
                        return None
                    elif (request := _fork(listener, lines)) is not None:
                        return request
        finally:
            signal.set_wakeup_fd(-1)
            for line in lines.values():
                line.close()


def _fork(listener: socket.socket, lines: dict[int, socket.socket]) -> _Request | None:
    """Takes one request on; returns it in the process that becomes the program."""
    line, _ = listener.accept()
    try:
        request, streams = _hear(line)
    except ConnectionError:
        line.close()
        return None
    pid = os.fork()
    if pid == 0:
        line.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _become(request, streams)
        return request
    for stream in streams:
        os.close(stream)
    lines[pid] = line
    with suppress(OSError):
        line.sendall(f"{pid}\n".encode())
    return None


def _hear(line: socket.socket) -> tuple[_Request, list[int]]:
    said, streams, _, _ = socket.recv_fds(line, LONGEST_REQUEST, 2)
    while not said.endswith(b"\n"):
        more = line.recv(LONGEST_REQUEST)
        if not more:
            raise ConnectionError("whoever asked is gone")
        said += more
    return _Request(**json.loads(said)), list(streams)


def _tell(lines: dict[int, socket.socket]) -> None:
    """Tells those who wait how their processes ended."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with lines.pop(pid) as line, suppress(OSError):
                line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(request: _Request, streams: Sequence[int]) -> None:
    """Takes on what a process gets when it is started."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for given, own in zip((nothing, *streams), (0, 1, 2), strict=True):
        os.dup2(given, own)
        os.close(given)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    sys.argv = ["bot", *request.arguments]


def main() -> None:
    """Loads, serves, and in a fork becomes the program."""
    _load()
    if _serve(sys.argv[1]) is not None:
        try:
            runpy.run_module("bot", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            _leave(end)


def _leave(end: SystemExit) -> None:
    """Ends a fork as the interpreter does, but for freeing one by one what it shares with the others."""
    if end.code is not None and not isinstance(end.code, int):
        raise end
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter calls to wait for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()
    # Not os._exit: where that is measured it would save once more what was covered.
    posix._exit((end.code or 0) & 0xFF)


if __name__ == "__main__":
    main()

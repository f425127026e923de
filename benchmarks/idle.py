"""What a worker costs that has nothing to do: `python -m benchmarks idle --profiles 500 [--json]`.

A real worker runs so many accounts that post nothing, on an embedded PostgreSQL, against a sandbox.
After it has settled, its statements, transactions and processor time are counted for a while. Then
posts come due one after another beside all that idle, and how late each leaves is measured by the
rows. Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from sqlalchemy import Engine, create_engine, text

from benchmarks.publishing_x import ROOT, LocalX, local_x
from benchmarks.servers import start_postgres
from bot.core.work import LookAhead
from bot.encryption import Cipher, new_secret_key
from bot.engine.agenda import Agenda
from bot.store.manager import DatabaseManager
from bot.worker import LOOK_EVERY

# Of one minute: for one profile, and for many.
STATEMENTS = {1: 2.0, 500: 4.0}
CORE_PERCENT = 0.3
LATE_MS = 100.0
TICK_MS = 5.0
TICKS = 50
# How long a start goes on: plans are filled and audits made.
SETTLED_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Idle:
    """What was measured.

    Statements, without BEGIN and COMMIT, and transactions are those of a minute; `tick_ms` is the median
    time of one look at all profiles; `late_ms` is what 99 % of the posts are within.
    """

    profiles: int
    seconds: float
    statements: float
    transactions: float
    core_percent: float
    tick_ms: float
    posts: int
    late_ms: float
    late_median_ms: float

    @property
    def missed(self) -> list[str]:
        """The targets that these figures miss."""
        most = STATEMENTS[1 if self.profiles == 1 else 500]
        held = {
            f"statements at most {most:g} a minute": self.statements <= most,
            f"at most {CORE_PERCENT} % of a core": self.core_percent <= CORE_PERCENT,
            f"a tick within {TICK_MS:g} ms": self.tick_ms <= TICK_MS,
            f"99 % of posts at most {LATE_MS:g} ms late": self.late_ms <= LATE_MS,
        }
        return [name for name, holds in held.items() if not holds]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    options = _options(arguments)
    with ExitStack() as stack:
        x = stack.enter_context(local_x(0))
        url = start_postgres(stack)
        engine = create_engine(url)
        stack.callback(engine.dispose)
        secret = new_secret_key()
        add_profiles(engine, x, Cipher([secret]), options.profiles)
        address = url.render_as_string(hide_password=False)
        worker = stack.enter_context(running(x, address, secret))
        result = measure(engine, worker, options)
    if options.json:
        print(json.dumps(asdict(result) | {"missed": result.missed}))
    else:
        for name, value in asdict(result).items():
            print(f"{name:<16} {value:.3f}" if isinstance(value, float) else f"{name:<16} {value}")
        print("missed: " + ("; ".join(result.missed) or "nothing"))
    return 1 if result.missed else 0


def add_profiles(engine: Engine, x: LocalX, cipher: Cipher, number: int) -> None:
    """Profiles with keys of their own and a plan that wants no posts."""
    with engine.begin() as connection:
        for count in range(number):
            account = x.account(f"idle_{count}")
            values: dict[str, Any] = {
                "id": uuid.uuid4(),
                "user": uuid.uuid4(),
                "handle": f"idle_{count}",
                "x": account["user_id"],
                "keys": cipher.encrypt(account["keys"]),
            }
            for statement in (
                "INSERT INTO profiles (id, auth_user_id, handle, x_user_id) VALUES (:id, :user, :handle, :x)",
                "INSERT INTO credentials (profile_id, encrypted_keys) VALUES (:id, :keys)",
                (
                    "INSERT INTO plans (profile_id, status, posts_per_day, spacing_seconds) "
                    "VALUES (:id, 'active', 0, 0)"
                ),
            ):
                named = {name: value for name, value in values.items() if f":{name}" in statement}
                connection.execute(text(statement), named)


@contextmanager
def running(x: LocalX, address: str, secret: str) -> Iterator[psutil.Process]:
    """A worker of its own, once it has started and has made its audits."""
    with TemporaryDirectory(prefix="bot-benchmark-") as folder:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("BOT_", "X_"))
        }
        environment |= {
            "DATABASE_URL": address,
            "BOT_DATA_DIR": folder,
            "BOT_SECRET_KEY": secret,
            "X_API_BASE_URL": x.base_url,
            "X_POSTS_PER_24H": "none",
            "PYTHONPATH": str(ROOT),
        }
        log = Path(folder, "log")
        with log.open("w") as stream:
            command = [sys.executable, "-m", "bot", "run"]
            worker = subprocess.Popen(command, cwd=folder, env=environment, stderr=stream, stdout=stream)
        try:
            while "worker_started" not in log.read_text():
                if worker.poll() is not None:
                    sys.exit(f"the worker ended: {log.read_text()[-500:]}")
                time.sleep(0.1)
            yield psutil.Process(worker.pid)
        finally:
            worker.terminate()
            worker.wait(30)


def measure(engine: Engine, worker: psutil.Process, options: argparse.Namespace) -> Idle:
    """Lets it be idle for a while, then lets posts come due."""
    _settle(engine)
    log = _server_log(engine)
    # No connection of ours is open meanwhile: what the server logs is the worker's.
    engine.dispose()
    begun, before, busy = time.monotonic(), _said(log), sum(worker.cpu_times()[:2])
    time.sleep(options.seconds)
    seconds = time.monotonic() - begun
    said, used = _said(log) - before, sum(worker.cpu_times()[:2]) - busy
    late = _lateness(engine, options.posts, random.Random(options.seed))  # noqa: S311 - draws profiles
    return Idle(
        profiles=options.profiles,
        seconds=seconds,
        statements=said["statements"] * 60 / seconds,
        transactions=said["transactions"] * 60 / seconds,
        core_percent=100 * used / seconds,
        tick_ms=_tick_ms(engine),
        posts=len(late),
        late_ms=late[min(len(late) - 1, int(0.99 * len(late)))],
        late_median_ms=late[len(late) // 2],
    )


def _tick_ms(engine: Engine) -> float:
    """How long a look takes, of the same statement and the same agenda as the worker's."""
    manager, agenda = DatabaseManager(engine.url), Agenda(pause=timedelta(seconds=5))
    with engine.connect() as connection:
        holder = str(connection.scalar(text("SELECT holder FROM workers")))
    took = []
    for _ in range(TICKS):
        begun = time.perf_counter()
        now = datetime.now(UTC)
        ahead = LookAhead(
            until=now + LOOK_EVERY, prepare_ahead=timedelta(hours=6), settle_delay=timedelta(seconds=30)
        )
        with manager.transaction() as tx:
            found = tx.due_work.find(holder=holder, own=(), ahead=ahead, changed_since=now - LOOK_EVERY)
        agenda.look(found)
        agenda.begin(now=now)
        took.append((time.perf_counter() - begun) * 1000)
    manager.close()
    return statistics.median(took)


def _server_log(engine: Engine) -> Path:
    """Where the server logs every statement from now on."""
    with create_engine(engine.url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ALTER SYSTEM SET log_statement = 'all'"))
        connection.execute(text("SELECT pg_reload_conf()"))
        folder = connection.scalar(text("SHOW data_directory"))
    return Path(str(folder), "log")


def _settle(engine: Engine) -> None:
    """Waits until what a start brings with it is over: every profile is audited, and then some."""
    waiting = text(
        "SELECT count(*) FROM profiles WHERE NOT EXISTS "
        "(SELECT FROM decisions WHERE profile_id = profiles.id AND kind = 'audit')"
    )
    left = None
    while left != 0:
        time.sleep(0.5)
        with engine.connect() as connection:
            left = connection.scalar(waiting)
    time.sleep(SETTLED_SECONDS)


def _said(log: Path) -> Counter[str]:
    """How many transactions and other statements the server has logged so far."""
    found = re.findall(r"LOG:  (?:statement|execute [^:]*): (\w+)", log.read_text())
    return Counter("transactions" if word == "BEGIN" else "statements" for word in found if word != "COMMIT")


def _lateness(engine: Engine, posts: int, chance: random.Random) -> list[float]:
    """How many milliseconds after its moment each of the posts left, the least first."""
    with engine.connect() as connection:
        profiles = list(connection.scalars(text("SELECT id FROM profiles")))
    first = datetime.now(UTC) + timedelta(seconds=2)
    for number in range(posts):
        due = first + timedelta(seconds=number * 0.5 + chance.random() * 0.2)
        values = {"p": chance.choice(profiles), "due": due, "text": f"Idle {uuid.uuid4().hex}"}
        with engine.begin() as connection:
            slot = connection.scalar(
                text("INSERT INTO posting_schedule (profile_id, due_at) VALUES (:p, :due) RETURNING id"),
                {"p": values["p"], "due": due},
            )
            connection.execute(
                text(
                    "INSERT INTO tweets (profile_id, slot_id, text, fingerprint) "
                    "VALUES (:p, :slot, :text, :text)"
                ),
                {"p": values["p"], "slot": slot, "text": values["text"]},
            )
    until = time.monotonic() + posts * 0.5 + 30
    asked = text(
        "SELECT extract(epoch FROM t.intent_at - s.due_at) * 1000 FROM tweets t "
        "JOIN posting_schedule s ON s.id = t.slot_id WHERE t.status = 'posted'"
    )
    while time.monotonic() < until:
        time.sleep(1)
        with engine.connect() as connection:
            late = sorted(float(one) for one in connection.scalars(asked))
        if len(late) == posts:
            return late
    sys.exit(f"of {posts} posts only {len(late)} left")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks idle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profiles", type=int, default=500, help="accounts that post nothing; 500")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long it is idle; 120")
    parser.add_argument("--posts", type=int, default=100, help="posts that come due beside them; 100")
    parser.add_argument("--seed", type=int, default=1, help="draws whose they are; 1")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)

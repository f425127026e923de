"""One account under test: its rows, its X, and the processes that act for it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import URL, Connection, Engine, create_engine, insert, text

from bot.core.content.text import fingerprint
from bot.core.states import LatePolicy, Mode, PlanStatus, TweetStatus
from bot.sandbox import Sandbox
from bot.store.rows.posting import CONFIG, PLANS, PROFILES, SLOTS, TWEETS
from tests.faults import truth
from tests.support.databases import admin, copy_of
from tests.support.processes import BotProcess, Result
from tests.support.warm import WarmProcess

PATIENCE = 90.0
# Far above what any campaign calls: these tests are about faults, not about limits.
ROOMY = 1_000_000
QUICK: Mapping[str, str] = {
    "BOT_TICK_SECONDS": "0.2",
    "BOT_SETTLE_SECONDS": "0.5",
    "BOT_DRAIN_SECONDS": "2",
    "X_TIMEOUT_SECONDS": "0.6",
    # A tick on a busy machine may take a while; nobody waits for a lease to run out: see `Rig.kill`.
    "BOT_LEASE_SECONDS": "60",
    "BOT_POSTS_PER_DAY": "0",
    "X_POSTS_PER_24H": "none",
    "LOG_FORMAT": "json",
}
# What X shows differs from what it was sent: entities, t.co links, blanks.
FLAVOURS = (
    "Plain",
    "Salt & pepper <both>",
    "See https://example.com/a?b=c&d=e and",
    "Caf\u00e9 \U0001f469\u200d\U0001f680 \u65e5\u672c",
    "First line\n\nthird line",
)


def now() -> datetime:
    return datetime.now(UTC)


def words_of(number: int, part: int = 1) -> str:
    """The only text of its kind."""
    return f"{FLAVOURS[number % len(FLAVOURS)]} {number}.{part}: {uuid4().hex}"


def until(condition: Callable[[], object], *, what: str, within: float = PATIENCE, step: float = 0.1) -> None:
    """Waits until something holds, looking less often than `eventually`: many lanes share two cores."""
    end = monotonic() + within
    while not condition():
        if monotonic() > end:
            raise AssertionError(f"did not happen within {within} s: {what}")
        sleep(step)


@dataclass
class Rig:
    """A database, a sandbox and the program's processes, all of one account.

    X takes the same text again unless it `refuses_copies`, as the real one does for a while: a bot
    that sends blindly must not be saved by it.
    """

    url: URL
    x: Sandbox
    folder: Path
    address: str | None = None
    knobs: Mapping[str, str] = field(default_factory=dict)
    tolerance: timedelta = timedelta(days=1)
    late_policy: LatePolicy = LatePolicy.MOVE
    refuses_copies: bool = False
    profile_id: UUID = field(default_factory=uuid4)
    plan_id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.numbers = count(1)
        self.x.configure(
            limits={
                "POST /2/tweets": {"user_15min": ROOMY, "user_24hour": ROOMY, "app_24hour": ROOMY},
                "GET /2/users/:id/tweets": {"user_15min": ROOMY, "app_15min": ROOMY},
            }
        )
        if not self.refuses_copies:
            self.x.configure(duplicate_window_seconds=0)
        with self.engine.begin() as connection:
            self.make_profile(connection, self.profile_id, self.plan_id, self.x.username, self.x.user_id)
            connection.execute(insert(CONFIG).values(key="caps", value={"posts_15min": ROOMY}))

    @cached_property
    def engine(self) -> Engine:
        # A look must survive a server that went and came back.
        return create_engine(self.url, pool_size=3, pool_pre_ping=True)

    @cached_property
    def program(self) -> BotProcess:
        keys = self.x.keys
        return BotProcess(
            folder=self.folder,
            environment={
                "DATABASE_URL": self.url.render_as_string(hide_password=False),
                "BOT_DATA_DIR": str(self.folder / "data"),
                "X_API_BASE_URL": self.address or self.x.base_url,
                "X_API_KEY": keys.api_key,
                "X_API_SECRET": keys.api_secret,
                "X_ACCESS_TOKEN": keys.access_token,
                "X_ACCESS_TOKEN_SECRET": keys.access_token_secret,
                **QUICK,
                **self.knobs,
            },
        )

    def close(self) -> None:
        self.program.kill_all()
        self.engine.dispose()

    # Rows

    def make_profile(
        self, connection: Connection, profile_id: UUID, plan_id: UUID, handle: str, x_user_id: str
    ) -> None:
        """An account's profile, with a plan that plans nothing by itself."""
        connection.execute(
            insert(PROFILES).values(
                id=profile_id,
                auth_user_id=uuid4(),
                handle=handle,
                x_user_id=x_user_id,
                timezone="UTC",
                mode=Mode.AUTO,
            )
        )
        connection.execute(
            insert(PLANS).values(
                id=plan_id,
                profile_id=profile_id,
                status=PlanStatus.ACTIVE,
                posts_per_day=0,
                spacing_seconds=0,
                late_policy=self.late_policy,
                late_tolerance_seconds=int(self.tolerance.total_seconds()),
            )
        )

    def select(self, statement: str, **values: object) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def execute(self, statement: str, **values: object) -> None:
        """Changes rows as an operator or as time would, and wakes the workers."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)
            connection.execute(text("SELECT pg_notify('bot_work', '')"))

    def tweet(self, tweet_id: UUID) -> dict[str, Any]:
        (row,) = self.select("SELECT * FROM tweets WHERE id = :id", id=tweet_id)
        return row

    def tweets(self) -> list[dict[str, Any]]:
        return self.select("SELECT * FROM tweets ORDER BY created_at, part")

    def decisions(self, where: str = "true") -> list[dict[str, Any]]:
        return self.select(f"SELECT * FROM decisions WHERE {where} ORDER BY last_at")

    def add_slot(self, *, parts: int = 1, due: datetime | None = None, draft: bool = True) -> list[UUID]:
        """A slot that is due, with a draft of so many parts; each text is the only one of its kind."""
        slot = self._slot_of(self.profile_id, self.plan_id, due or now())
        tweets = self._drafts_for(slot, next(self.numbers), parts) if draft else []
        with self.engine.begin() as connection:
            connection.execute(insert(SLOTS), [slot])
            for tweet in tweets:
                connection.execute(insert(TWEETS).values(tweet))
        return [tweet["id"] for tweet in tweets] if draft else [slot["id"]]

    @staticmethod
    def _slot_of(profile_id: UUID, plan_id: UUID, due: datetime) -> dict[str, Any]:
        return {"id": uuid4(), "profile_id": profile_id, "plan_id": plan_id, "due_at": due}

    @staticmethod
    def _drafts_for(slot: Mapping[str, Any], number: int, parts: int = 1) -> list[dict[str, Any]]:
        """Rows of a draft with its parts, of which the first has the slot."""
        ids = [uuid4() for _ in range(parts)]
        texts = [words_of(number, part) for part in range(1, parts + 1)]
        return [
            {
                "id": ids[place],
                "profile_id": slot["profile_id"],
                "slot_id": slot["id"] if place == 0 else None,
                "thread_id": ids[0] if parts > 1 else None,
                "part": place + 1,
                "idempotency_key": str(ids[place]),
                "text": words,
                "fingerprint": fingerprint(words),
                "status": TweetStatus.DRAFTED,
            }
            for place, words in enumerate(texts)
        ]

    def forget_starts(self) -> None:
        """Lets the crash-loop guard take earlier starts for long past."""
        self.execute("UPDATE decisions SET at = at - interval '1 hour' WHERE kind = 'start'")

    # Processes

    def start(self, *, forget: bool = True, **variables: str | None) -> WarmProcess:
        """Starts a worker; it need not be ready yet."""
        if forget:
            self.forget_starts()
        return self.program.start("run", **variables)

    def wait_ready(self, worker: WarmProcess) -> WarmProcess:
        until(lambda: '"worker_started"' in self.stderr(worker), what="a worker is up")
        return worker

    def said(self, worker: WarmProcess, event: str) -> list[dict[str, Any]]:
        return [line for line in self.program.log(worker) if line.get("event") == event]

    def stderr(self, worker: WarmProcess) -> str:
        return (self.folder / f"log-{self.program.running.index(worker)}").read_text()

    def kill(self, worker: WarmProcess, *, lease_lasts: bool = False) -> None:
        """Kills a worker; the time that its lease still holds passes at once, unless it is to last."""
        worker.kill()
        worker.wait(timeout=PATIENCE)
        if not lease_lasts:
            self.end_lease_of(worker)

    def end_lease_of(self, worker: WarmProcess) -> None:
        """Lets the time pass that a dead worker's lease still holds."""
        self.execute(
            "UPDATE leases SET expires_at = clock_timestamp() WHERE starts_with(holder, :holder)",
            holder=f"{socket.gethostname()}:{worker.pid}:",
        )

    @property
    def transactions(self) -> int:
        """How many transactions of others are under way."""
        (row,) = self.select(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() "
            "AND state <> 'idle' AND pid <> pg_backend_pid()"
        )
        return int(row["n"])

    @property
    def calm(self) -> bool:
        """Whether nobody acts for an account, nor is about to."""
        held = self.select("SELECT 1 FROM leases WHERE expires_at > clock_timestamp()")
        return not held and not self.transactions

    def actor(self, workers: Sequence[WarmProcess]) -> WarmProcess:
        """The worker that holds the lease."""
        (lease,) = self.select("SELECT holder FROM leases")
        pid = int(lease["holder"].removeprefix(f"{socket.gethostname()}:").partition(":")[0])
        return next(worker for worker in workers if worker.pid == pid)

    def have_look(self, *, workers: int = 1, times: int = 1) -> None:
        """Wakes every worker so many times, and each time waits until all have looked for work."""
        looked = "SELECT count(*) AS n FROM workers WHERE beat_at > :at"
        for _ in range(times):
            asked = self.select("SELECT clock_timestamp() AS at")[0]["at"]
            self.execute("SELECT 1")
            until(lambda asked=asked: self.select(looked, at=asked)[0]["n"] == workers, what="all look")  # type: ignore[misc]  # mypy can't infer a lambda's default

    def command(self, *arguments: str, **variables: str | None) -> Result:
        return self.program.run(*arguments, timeout=PATIENCE, **variables)

    # Truth

    @property
    def heard(self) -> int:
        """How many posts X was asked for, whatever became of them."""
        return sum(times for name, times in self.x.calls.items() if name.startswith("POST /2/tweets "))

    @property
    def calls(self) -> int:
        """How many calls of any kind X got."""
        return sum(self.x.calls.values())

    def open_ids(self) -> set[UUID]:
        """The tweets that are not at their ends."""
        open_rows = self.select(
            "SELECT id FROM tweets WHERE status NOT IN ('posted', 'failed', 'rejected', 'deleted')"
        )
        return {row["id"] for row in open_rows}

    def rests(self, ids: Sequence[UUID] | None = None) -> bool:
        """Whether these tweets, or all, are at their ends."""
        still = self.open_ids()
        return not still if ids is None else still.isdisjoint(ids)

    def wait_rest(self, ids: Sequence[UUID] | None = None, *, within: float = PATIENCE) -> None:
        try:
            until(lambda: self.rests(ids), within=within, what="every tweet is at its end")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.unsettled()}") from None

    def unsettled(self) -> str:
        """What is open, and what was decided last."""
        names = ("text", "status", "reason", "attempts", "resends", "next_attempt_at")
        left = [
            {name: row[name] for name in names} for row in self.tweets() if row["status"] not in truth.AT_REST
        ]
        last = [(row["kind"], row["verdict"], row["reason"]) for row in self.decisions()[-4:]]
        return f"{left}; last decisions: {last}"

    def problems(self) -> list[str]:
        """Every way in which X and the tables disagree; none is what is wanted."""
        return [*truth.problems(self.select, self.x.posts()), *truth.different_days(self.select)]


@dataclass
class Schedule:
    """Slots that come due as the run goes on, so that none is ever late; `held` ones come later."""

    rig: Rig
    slots: int
    depth: int = 3
    threads: bool = False
    come: int = 0
    tweets: int = 0
    held: int = 0

    def top_up(self) -> None:
        waiting = self.rig.select("SELECT count(*) AS n FROM posting_schedule WHERE status = 'planned'")
        for _ in range(min(self.depth - waiting[0]["n"], self.slots - self.held - self.come)):
            self.come += 1
            # Every fourth slot is a thread where threads are wanted.
            self.tweets += len(self.rig.add_slot(parts=3 if self.threads and self.come % 4 == 0 else 1))

    @property
    def quiet(self) -> bool:
        """Tops up, and says whether every tweet that has come is at its end."""
        self.top_up()
        return self.rig.rests()

    @property
    def done(self) -> bool:
        """Whether every slot has come and every tweet is at its end."""
        return self.quiet and self.come == self.slots


@contextmanager
def database(server: URL, template: str) -> Iterator[URL]:
    """A migrated database of a rig's own."""
    name = f"faults_{uuid.uuid4().hex[:12]}"
    admin(server, copy_of(template, name))
    yield server.set(database=name)
    admin(server, f'DROP DATABASE "{name}" WITH (FORCE)')

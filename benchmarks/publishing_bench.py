"""What `publishing` measures on: profiles on a real database, and the two sides that post."""

from __future__ import annotations

import os
import random
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, Self

import psycopg
import tweepy
from sqlalchemy import event, insert, select, update

from benchmarks.publishing_x import LocalX, local_x
from benchmarks.servers import start_postgres
from bot.clock import SystemClock
from bot.core.content.text import fingerprint
from bot.core.model import Profile
from bot.core.spending.limits import Limits
from bot.core.spending.pricing import LISTED
from bot.core.states import TweetStatus
from bot.engine.context import EngineSettings, ProfileContext, Services
from bot.engine.posting.batches import publish_ready
from bot.engine.posting.posting_engine import tick
from bot.engine.spending.limits_agent import LimitsAgent
from bot.logs import configure, get_logger
from bot.sources.reader import SourceReader
from bot.store.cache import MemoryCache
from bot.store.manager import DatabaseManager
from bot.store.rows.posting import PLANS, SLOTS, TWEETS
from bot.writer.offline import OfflineWriter
from bot.x.client import NOISY_LOGGERS, XClient
from bot.x.connection import Lines

# The program's own.
POOL_SIZE = 5
AT_ONCE = 32


class PostsDiffer(Exception):
    """X or the tables do not hold exactly what was to be posted."""


@dataclass
class StatementCounter:
    """Counts what a manager's connections send, also where a statement goes past SQLAlchemy."""

    statements: int = 0
    transactions: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, manager: DatabaseManager) -> Self:
        """A counter of all connections that the manager opens from now on; those before are closed."""
        counter = cls()
        cursor = counter._cursor()

        def use_counting_cursor(connection: Any, _record: object) -> None:
            connection.cursor_factory = cursor

        manager.engine.dispose()
        event.listen(manager.engine, "connect", use_counting_cursor)
        event.listen(manager.engine, "begin", lambda _connection: counter.add(transactions=1))
        return counter

    def add(self, *, statements: int = 0, transactions: int = 0) -> None:
        """Counts from any thread."""
        with self._lock:
            self.statements += statements
            self.transactions += transactions

    def _cursor(self) -> type[psycopg.Cursor[Any]]:
        add = self.add

        class CountingCursor(psycopg.Cursor[Any]):
            def execute(self, *args: Any, **kwargs: Any) -> Self:
                add(statements=1)
                return super().execute(*args, **kwargs)

            def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> None:
                rows = list(params_seq)
                add(statements=len(rows))
                super().executemany(query, rows, **kwargs)

        return CountingCursor


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One case's servers, its profiles and its bare clients; `pool` has a thread for each call at once."""

    x: LocalX
    manager: DatabaseManager
    counter: StatementCounter
    pool: ThreadPoolExecutor
    contexts: Sequence[ProfileContext]
    clients: Sequence[tweepy.Client]
    posted: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def new_texts(self, posts: int) -> Sequence[str]:
        """Texts that nobody posted yet; both sides post them."""
        texts = [
            f"Post number {next(self.numbers)} of this benchmark: {uuid.uuid4().hex}" for _ in range(posts)
        ]
        self.posted.extend(texts)
        return texts

    def make_due(self, texts: Sequence[str]) -> None:
        """Gives each profile a slot that is due and its ready draft, at most one a profile."""
        ready = [
            (uuid.uuid4(), one.profile.id, text) for one, text in zip(self.contexts, texts, strict=False)
        ]
        due = self.contexts[0].clock.now()
        slots = [{"id": slot, "profile_id": profile, "due_at": due} for slot, profile, _ in ready]
        drafts = [
            {"profile_id": profile, "slot_id": slot, "text": text, "fingerprint": fingerprint(text)}
            for slot, profile, text in ready
        ]
        with self.manager.transaction() as tx:
            tx.connection.execute(insert(SLOTS), slots)
            tx.connection.execute(insert(TWEETS), drafts)

    def check(self) -> None:
        """Compares X and the tables with what was to be posted.

        Raises:
            PostsDiffer: a text is missing or live twice, or a row is not posted.
        """
        with self.manager.transaction() as tx:
            columns = TWEETS.c.text, TWEETS.c.status, TWEETS.c.x_tweet_id
            rows = tx.connection.execute(select(*columns)).tuples().all()
        own = {context.profile.x_user_id for context in self.contexts}
        live = self.x.control.posts()
        engine = [(post.text, post.id) for post in live if post.account_id in own]
        compare(self.posted, engine, rows)
        compare(self.posted, [(post.text, post.id) for post in live if post.account_id not in own])


def compare(
    texts: Sequence[str],
    live: Sequence[tuple[str, str]],
    rows: Sequence[tuple[str, str, str | None]] | None = None,
) -> None:
    """Compares a side's live posts (text, id), and its rows (text, status, id) if any, with its texts.

    Raises:
        PostsDiffer: a text is not live exactly once, or a row does not say so.
    """
    wanted, found = Counter(texts), Counter(text for text, _ in live)
    if found != wanted:
        missing, extra = (wanted - found).total(), (found - wanted).total()
        raise PostsDiffer(f"of {len(texts)} texts {missing} are not live, and {extra} posts are too many")
    told = [(text, TweetStatus.POSTED, x_tweet_id) for text, x_tweet_id in live]
    if rows is not None and Counter(rows) != Counter[tuple[str, str, str | None]](told):
        statuses = dict(Counter(str(status) for _, status, _ in rows))
        raise PostsDiffer(f"the rows do not tell of the live posts, each as posted: {statuses}")


def engine_round(bench: Bench) -> None:
    """Publishes everything that is due now for all profiles."""
    for context, outcome in publish_ready(bench.contexts[0], bench.contexts, bench.pool, at_once=AT_ONCE):
        if outcome is None:
            tick(context)


def bare_round(bench: Bench, texts: Sequence[str]) -> None:
    """Posts the texts by tweepy alone: each thread takes the next one as soon as it is free."""
    waiting = iter(texts)

    def post(client: tweepy.Client) -> None:
        for text in waiting:
            client.create_tweet(text=text)

    for _ in bench.pool.map(post, bench.clients):
        pass


@contextmanager
def open_bench(*, profiles: int, threads: int, latency_ms: int) -> Iterator[Bench]:
    """Servers, accounts and profiles for one case; all of it is gone at the end."""
    with ExitStack() as stack:
        nowhere = stack.enter_context(Path(os.devnull).open("w"))
        x = stack.enter_context(local_x(latency_ms))
        # The worker writes its log too.
        configure(level="INFO", style="json", secrets=x.app.values(), quiet=NOISY_LOGGERS, stream=nowhere)
        # Each thread of today's engine holds a connection at times; waiting for one is not measured.
        manager = DatabaseManager(start_postgres(stack), pool_size=max(POOL_SIZE, threads))
        stack.callback(manager.close)
        yield Bench(
            x=x,
            manager=manager,
            counter=StatementCounter.of(manager),
            pool=stack.enter_context(ThreadPoolExecutor(threads)),
            clients=[x.bare_client(f"bare_{number}") for number in range(threads)],
            contexts=_contexts(x, manager, profiles, stack.enter_context(closing(Lines(60.0, kept=threads)))),
        )


def _contexts(x: LocalX, manager: DatabaseManager, profiles: int, lines: Lines) -> Sequence[ProfileContext]:
    clock = SystemClock()
    services = Services(
        database=manager,
        limits=LimitsAgent(caps=Limits(posts_24h=None, posts_15min=None), listed=LISTED, new_id=uuid.uuid4),
        clock=clock,
        new_id=uuid.uuid4,
        log=get_logger(),
        settings=EngineSettings(holder="benchmark"),
    )
    contexts = []
    for number in range(profiles):
        account = x.account(f"profile_{number}")
        rng = random.Random(number)  # noqa: S311 - jitter
        contexts.append(
            ProfileContext.of(
                services,
                profile=_profile(manager, f"profile_{number}", account["user_id"]),
                x=XClient(**account["keys"], base_url=x.base_url, lines=lines, clock=clock.now),
                sources=SourceReader((), clock=clock.now, cache=MemoryCache(monotonic)),
                writer=OfflineWriter(rng),
                rng=rng,
            )
        )
    return contexts


def _profile(manager: DatabaseManager, handle: str, x_user_id: str) -> Profile:
    with manager.transaction() as tx:
        profile = tx.profiles.create(handle=handle, x_user_id=x_user_id, timezone="UTC", mode="auto")
        plan = tx.plans.start(profile.id, posts_per_day=0)
        tx.connection.execute(update(PLANS).where(PLANS.c.id == plan.id).values(spacing_seconds=0))
    return profile

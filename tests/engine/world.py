"""A world for the engine: real PostgreSQL, a virtual clock, and an X that fails as it is told."""

from __future__ import annotations

import random
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text as sql

from bot.core.content.drafts import Draft, DraftRequest, SourceItem, SourceReading
from bot.core.content.text import fingerprint
from bot.core.errors import (
    DatabaseUnavailable,
    Fatal,
    OutcomeUnknown,
    Refused,
    Retryable,
    SourceUnreadable,
)
from bot.core.model import Account, LivePost, Posted, Profile, Source, Timeline, Tweet
from bot.core.posting.post import Post
from bot.core.rates import RateWindow
from bot.core.spending.limits import Limits
from bot.core.spending.pricing import LISTED
from bot.core.spending.usage import ModelUsage
from bot.engine.context import EngineSettings, ProfileContext, Services
from bot.engine.posting.posting_engine import PostingEngine
from bot.engine.spending.limits_agent import LimitsAgent
from bot.store.manager import DatabaseManager, StoreTransaction
from tests.support.database_clock import make_settable, set_clock

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


@dataclass
class VirtualClock:
    """Time that passes when it is told to, and a machine's clock that may jump beside it.

    A machine whose clock `agrees` goes by the database's, as the real one does; without it, the
    engine is left to a clock that is wrong.
    """

    true: datetime = NOON
    offset: timedelta = timedelta(0)
    agreed: timedelta = timedelta(0)
    agrees: bool = False

    def now(self) -> datetime:
        return self.true + self.offset + self.agreed

    def agree(self, moment: datetime, *, since: datetime) -> None:
        del since
        if self.agrees:
            self.agreed += moment - self.now()

    def monotonic(self) -> float:
        return (self.true - NOON).total_seconds()

    def jump(self, seconds: float) -> None:
        self.offset += timedelta(seconds=seconds)

    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        self.true += timedelta(seconds=seconds)


class SilentLog:
    """Keeps events for tests to look at."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **facts: object) -> None:
        self.events.append((event, facts))

    warning = info
    error = info
    exception = info


@dataclass
class ScriptedX:
    """An X in memory: accepts, refuses, fails and shows posts late, one scripted answer a call."""

    clock: VirtualClock
    script: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    visibility: timedelta = timedelta(0)
    refuses_duplicates: bool = True
    posts: list[LivePost] = field(default_factory=list)
    rates: tuple[RateWindow, ...] = ()
    calls: int = 0
    x_user_id: str = "1"
    first_id: int = 1000

    def me(self) -> Account:
        return Account(x_user_id="1", username="tester")

    def create_post(self, post: Post) -> Posted:
        self.calls += 1
        text, reply_to = post.text, post.reply_to
        kind = self.script.pop(0) if self.script else "accept"
        if kind in _REFUSALS:
            raise _REFUSALS[kind](self.clock.now())
        if kind == "kill_before":
            raise Killed
        if kind == "lost_before":
            raise OutcomeUnknown("no answer", code="no_answer")
        if self.refuses_duplicates and any(made.text == text for made in self.posts):
            raise OutcomeUnknown("duplicate", code="duplicate")
        if reply_to is not None and not any(made.x_tweet_id == reply_to for made in self.posts):
            raise Refused("the post replied to is gone", code="reply_not_allowed")
        made = LivePost(
            x_tweet_id=str(self.first_id + len(self.posts)),
            text=text,
            created_at=self.clock.true,
            reply_to=reply_to,
        )
        self.posts.append(made)
        if kind == "kill_after":
            raise Killed
        if kind == "slow":
            self.clock.pass_time(45)
        if kind == "lost_after":
            self.clock.pass_time(60)
            raise OutcomeUnknown("no answer", code="no_answer")
        if kind == "error_after":
            raise OutcomeUnknown("503", code="server_error")
        return Posted(x_tweet_id=made.x_tweet_id, text=text, rates=self.rates)

    def timeline(self, x_user_id: str, *, since_id: str | None = None, limit: int = 100) -> Timeline:
        assert x_user_id == self.x_user_id
        kind = self.reads.pop(0) if self.reads else "ok"
        if kind == "fail":
            raise Retryable("connection refused", code="x_unreachable")
        if kind == "lost":
            raise Retryable("no answer", code="no_answer")
        if kind == "half":
            error = Retryable("503 on the second page", code="x_trouble")
            error.served = 3
            raise error
        shown = [
            post
            for post in reversed(self.posts)
            if (post.created_at or NOON) + self.visibility <= self.clock.true
            and (since_id is None or int(post.x_tweet_id) > int(since_id))
        ]
        return Timeline(posts=tuple(shown[:limit]), complete=len(shown) <= limit)

    def lookup(self, ids: Sequence[str]) -> Timeline:
        return Timeline(posts=tuple(post for post in self.posts if post.x_tweet_id in ids))

    def delete(self, x_tweet_id: str) -> None:
        self.posts = [post for post in self.posts if post.x_tweet_id != x_tweet_id]

    def count(self, text: str) -> int:
        return sum(post.text == unicodedata.normalize("NFC", text) for post in self.posts)


_REFUSALS: dict[str, Callable[[datetime], Exception]] = {
    "refuse": lambda _now: Refused("not allowed", code="policy"),
    "unreachable": lambda _now: Retryable("connection refused", code="x_unreachable"),
    "too_many": lambda now: Retryable("429", code="rate_limited", until=now + timedelta(minutes=2)),
    "credits": lambda _now: Retryable("402", code="credits_depleted", scope="account"),
    "keys": lambda _now: Fatal("401", code="keys_invalid"),
}
POST_SCRIPT = (
    *_REFUSALS,
    "kill_before",
    "kill_after",
    "lost_before",
    "lost_after",
    "error_after",
    "slow",
    "accept",
)


@dataclass
class Notes:
    """Sources in memory."""

    items: tuple[SourceItem, ...] = tuple(
        SourceItem(
            source=Source(id=f"note-{number}", kind="note", title=f"Note {number}", location="notes"),
            text=f"Fact number {number} about the sea.",
        )
        for number in range(50)
    )

    def read(self) -> SourceReading:
        if not self.items:
            raise SourceUnreadable("there are no notes")
        return SourceReading(items=self.items)


@dataclass
class PlainWriter:
    """Takes the first item that was not used; costs tokens when it is given a price in tokens."""

    name: str = "plain"
    usage: ModelUsage | None = None
    fails: Exception | None = None
    asked: list[DraftRequest] = field(default_factory=list)

    def estimate(self, request: DraftRequest) -> ModelUsage | None:
        del request
        return self.usage and replace(self.usage, output_tokens=self.usage.output_tokens * 2)

    def write(self, request: DraftRequest) -> Draft:
        self.asked.append(request)
        if self.fails is not None:
            raise self.fails
        item = next(one for one in request.items if one.text not in request.avoid)
        return Draft(text=item.text, source=item.source, writer=self.name, usage=self.usage)


@dataclass
class BreakableDatabase:
    """The real data layer, which can be made to fail before or after a commit.

    Its own clock is always right. A function among the failures is what happens before a
    transaction that is in order.
    """

    manager: DatabaseManager
    failures: list[str | Callable[[], object]] = field(default_factory=list)
    clock: VirtualClock = field(kw_only=True)

    def transaction(self) -> AbstractContextManager[StoreTransaction]:
        kind = self.failures.pop(0) if self.failures else "ok"
        if callable(kind):
            kind()
            kind = "ok"
        return self._transaction(kind)

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[StoreTransaction]:
        if kind == "down":
            raise DatabaseUnavailable("down")
        if kind == "kill_before":
            raise Killed
        with self.manager.transaction() as tx:
            set_clock(tx, self.clock.true)
            yield tx
            if kind == "lost_at_commit":
                raise DatabaseUnavailable("went away before the commit")
        if kind == "kill_after":
            raise Killed
        if kind == "lost_after_commit":
            raise DatabaseUnavailable("went away after the commit")


@dataclass(frozen=True, kw_only=True, slots=True)
class Process(PostingEngine):
    """An engine, with the services that its contexts share."""

    services: Services


class World:
    """One profile on a fresh set of rows."""

    def __init__(self, manager: DatabaseManager, *, caps: Limits | None = None, seed: int = 0) -> None:
        self.manager = manager
        self.clock = VirtualClock()
        self.x = ScriptedX(self.clock)
        self.database = BreakableDatabase(manager, clock=self.clock)
        self.log = SilentLog()
        self.writer = PlainWriter()
        self.sources = Notes()
        self.caps = caps or Limits(posts_24h=None, posts_15min=None)
        self.rng = random.Random(seed)  # noqa: S311 - jitter
        make_settable(manager)
        with manager.transaction() as tx:
            for table in ("profiles", "api_calls", "api_usage_tracking", "decisions", "bot_config"):
                tx.connection.execute(
                    sql(f"TRUNCATE {table} CASCADE" if "usage" in table else f"DELETE FROM {table}")
                )
            made = tx.profiles.create(handle="tester", x_user_id="1", timezone="UTC", mode="auto")
            tx.plans.start(made.id, posts_per_day=0)
            tx.connection.execute(sql("UPDATE plans SET spacing_seconds = 0"))
        self.profile_id = made.id
        self.engine = self.new_engine()

    def new_engine(self, **settings: Any) -> Process:
        """A process: its own name on leases, nothing remembered."""
        return self.engine_with(
            Services(
                database=self.database,
                limits=LimitsAgent(caps=self.caps, listed=LISTED, new_id=uuid.uuid4),
                clock=self.clock,
                new_id=uuid.uuid4,
                log=self.log,
                settings=EngineSettings(holder=f"worker-{uuid.uuid4()}", **settings),
            )
        )

    def engine_with(self, services: Services) -> Process:
        """A process with services of its own; the account is the world's, as it is when it is used."""

        def context(profile: Profile) -> ProfileContext:
            return ProfileContext.of(
                services,
                profile=profile,
                x=self.x,
                sources=self.sources,
                writer=self.writer,
                rng=self.rng,
            )

        return Process(services=services, context=context)

    @property
    def context(self) -> ProfileContext:
        """The profile as its row says now, for this process."""
        return self.engine.context(self.profile)

    @property
    def profile(self) -> Profile:
        """The profile as its row says now."""
        with self.manager.transaction() as tx:
            return next(iter(tx.profiles.all()))

    def slot(self, due_in: float, *texts: str) -> None:
        """A slot with a draft ready: more than one text is a thread; none leaves it to the writer."""
        with self.manager.transaction() as tx:
            slot_id = tx.connection.scalar(
                sql("INSERT INTO posting_schedule (profile_id, due_at) VALUES (:p, :d) RETURNING id"),
                {"p": self.profile_id, "d": self.clock.now() + timedelta(seconds=due_in)},
            )
            root = uuid.uuid4()
            for part, one in enumerate(texts, start=1):
                tx.connection.execute(
                    sql(
                        "INSERT INTO tweets (id, profile_id, slot_id, thread_id, part, text, fingerprint) "
                        "VALUES (:id, :p, :slot, :thread, :part, :text, :print)"
                    ),
                    {
                        "id": root if part == 1 else uuid.uuid4(),
                        "p": self.profile_id,
                        "slot": slot_id if part == 1 else None,
                        "thread": None,
                        "part": part,
                        "text": one,
                        "print": fingerprint(one),
                    },
                )
                if len(texts) > 1:
                    tx.connection.execute(
                        sql("UPDATE tweets SET thread_id = :root WHERE text = :text AND profile_id = :p"),
                        {"root": root, "text": one, "p": self.profile_id},
                    )

    def change(self, statement: str, **values: object) -> None:
        """Writes rows as an operator would."""
        with self.manager.transaction() as tx:
            tx.connection.execute(sql(statement), values)

    def rows(self, statement: str) -> list[Any]:
        """Reads rows."""
        with self.manager.transaction() as tx:
            return list(tx.connection.execute(sql(statement)))

    def tweets(self) -> list[Tweet]:
        """Every tweet, oldest first."""
        with self.manager.transaction() as tx:
            ids = tx.connection.scalars(sql("SELECT id FROM tweets ORDER BY created_at, part"))
            return [tx.tweets.get(tweet_id) for tweet_id in ids]

    def run(self, seconds: float, *, every: float = 5.0) -> None:
        """Ticks for so long, starting a new process where one is killed.

        Nobody changes the profile meanwhile: it is read once.
        """
        end, profile = self.clock.true + timedelta(seconds=seconds), self.profile
        while self.clock.true < end:
            try:
                self.engine.tick(profile)
            except DatabaseUnavailable:
                pass
            except Killed:
                self.engine = self.new_engine()
            self.clock.pass_time(every)

    def at_rest(self) -> bool:
        """Whether nothing is under way or still to come."""
        return not self.rows(
            "SELECT 1 FROM posting_schedule WHERE status IN ('planned', 'claimed') UNION ALL "
            "SELECT 1 FROM tweets WHERE status IN ('publishing', 'unknown') "
            "OR (status = 'approved' AND part > 1)"
        )

    def check_books(self) -> None:
        """The ledger's settled posts are X's posts, and the daily rows are the ledger's sums."""
        settled = self.rows(
            "SELECT coalesce(sum(units), 0), coalesce(sum(cost_usd), 0) FROM api_calls "
            "WHERE kind = 'post' AND state = 'settled'"
        )[0]
        assert settled[0] == len(self.x.posts)
        assert settled[1] == len(self.x.posts) * Decimal("0.015")
        ledger = self.rows(
            "SELECT (at AT TIME ZONE 'UTC')::date, api, "
            "sum(units) FILTER (WHERE kind = 'post'), sum(units) FILTER (WHERE kind = 'read'), sum(cost_usd) "
            "FROM api_calls WHERE state <> 'released' GROUP BY 1, 2 ORDER BY 1, 2"
        )
        daily = self.rows(
            "SELECT date, api_type, tweets_posted, reads_made, cost_usd FROM api_usage_tracking "
            "WHERE tweets_posted + reads_made > 0 OR cost_usd > 0 ORDER BY 1, 2"
        )
        assert [
            (*row[:2], row[2] or 0, row[3] or 0, row[4]) for row in ledger if row[2] or row[3] or row[4]
        ] == [tuple(row) for row in daily]

"""What the engine's verbs work with, and what they answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from bot.core.errors import BotError
from bot.core.limits import Verdict
from bot.core.model import Lease, Profile, Tweet
from bot.core.states import TweetStatus
from bot.engine.limits_agent import LimitsAgent
from bot.ports import Clock, Database, Sources, Writer, X


class Log(Protocol):
    """Takes events: a machine-readable name and its facts."""

    def info(self, event: str, **facts: object) -> object:
        """Something happened."""
        ...

    def warning(self, event: str, **facts: object) -> object:
        """Something happened that an operator may want to mend."""
        ...

    def error(self, event: str, **facts: object) -> object:
        """Something failed."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    """How the engine behaves; times are spans.

    Attributes:
        holder: this process's name on leases.
        lease_time: how long a lease holds; longer than any one call may take.
        call_time: the longest that one call to X may take.
        settle_delay: how long X may need to show a post on the timeline; looks are spaced by it.
        plan_days: how many days ahead slots are planned.
        prepare_ahead: how long before its slot a draft is written.
        write_time: how long a slot stays claimed by whoever writes for it; longer than writing takes.
        write_pause: how long a slot whose writing failed is left alone; doubles with each try.
        write_pause_longest: the longest of these pauses.
        record_time: how long saving an outcome is tried before it is left to reconcile.
    """

    holder: str
    lease_time: timedelta = timedelta(seconds=90)
    call_time: timedelta = timedelta(seconds=60)
    settle_delay: timedelta = timedelta(seconds=30)
    plan_days: int = 3
    prepare_ahead: timedelta = timedelta(hours=2)
    write_time: timedelta = timedelta(minutes=5)
    write_pause: timedelta = timedelta(seconds=10)
    write_pause_longest: timedelta = timedelta(minutes=5)
    record_time: timedelta = timedelta(seconds=20)
    draft_tries: int = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Everything a verb may use. Chance and time are in here, so that both can be replayed."""

    database: Database
    x: X
    sources: Sources
    writer: Writer
    limits: LimitsAgent
    clock: Clock
    rng: random.Random
    new_id: Callable[[], UUID]
    log: Log
    settings: EngineSettings


class OutcomeKind(StrEnum):
    """How one wish to post ended."""

    POSTED = "posted"
    DRY_RUN = "dry_run"
    AWAITING_APPROVAL = "awaiting_approval"
    WAITING = "waiting"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of one wish to post, with everything that explains it.

    `reason` is a code for programs, `detail` a line for people, `parts` a thread's rows in order.
    """

    kind: OutcomeKind
    reason: str | None = None
    detail: str = ""
    tweet: Tweet | None = None
    verdict: Verdict | None = None
    cost_usd: Decimal = Decimal(0)
    parts: Sequence[Tweet] = ()

    @property
    def queued(self) -> bool:
        """Whether the worker posts it later."""
        waits = self.kind is OutcomeKind.WAITING and self.tweet is not None
        return waits and self.tweet.status is TweetStatus.APPROVED  # type: ignore[union-attr]  # it waits


@dataclass(slots=True)
class Stopwatch:
    """Adds up milliseconds by name, from a monotonic clock it is given."""

    seconds: Callable[[], float]
    spent: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Adds the block's time to the name."""
        begun = self.seconds()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + (self.seconds() - begun) * 1000


@contextmanager
def leased(parts: Parts, profile: Profile, *, job: str = "") -> Iterator[Lease | None]:
    """Holds the profile's lease for the block; gives None while another holds it.

    A job beside the tick names itself: the tick of the same worker is another to it. Rows that one
    worker wrote are weighed by another, so all go by the database's clock.
    """
    with parts.database.transaction() as tx:
        since = parts.clock.now()
        lease = tx.leases.acquire(
            profile.id,
            holder=parts.settings.holder + job,
            asked_at=parts.clock.monotonic(),
            lasts=parts.settings.lease_time,
        )
        if lease is not None:
            parts.clock.agree(lease.began, since=since)
    try:
        yield lease
    finally:
        if lease is not None:
            _give_back(parts, lease)


def _give_back(parts: Parts, lease: Lease) -> None:
    """Releases the lease; if that can't be written, it runs out by itself."""
    try:
        with parts.database.transaction() as tx:
            tx.leases.release(lease)
    except BotError as error:
        parts.log.warning("lease_not_released", error=error.line)

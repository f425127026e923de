"""What the engine's verbs work with."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from bot.core.codes import DecisionKind
from bot.core.model import Profile
from bot.engine.decisions import DecisionRecorder
from bot.engine.spending.limits_agent import LimitsAgent
from bot.ports import Clock, Database, Sources, Transaction, Writer, X
from bot.ports.log import Log


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
        draft_tries: how often the writer is asked for one draft.
        keep_decisions: how long decision rows are kept.
        keep_calls: how long ledger rows are kept; longer than any window they are summed over.
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
    keep_decisions: timedelta = timedelta(days=90)
    keep_calls: timedelta = timedelta(days=400)


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """What all profiles of a process share."""

    database: Database
    limits: LimitsAgent
    clock: Clock
    new_id: Callable[[], UUID]
    log: Log
    settings: EngineSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileContext(Services):
    """One profile as it stands, what is its own, and the services that it shares.

    Chance is in here, so that a run can be replayed.
    """

    profile: Profile
    x: X
    sources: Sources
    writer: Writer
    rng: random.Random

    @classmethod
    def of(cls, services: Services, **own: Any) -> Self:
        """The services with what is one profile's own: `profile`, `x`, `sources`, `writer`, `rng`."""
        return cls(**{field.name: getattr(services, field.name) for field in fields(Services)}, **own)

    def decisions(
        self, tx: Transaction, kind: DecisionKind, *, now: datetime | None = None
    ) -> DecisionRecorder:
        """Records decisions about the profile; made now unless a moment is given."""
        return DecisionRecorder(tx=tx, kind=kind, profile=self.profile, now=now or self.clock.now())

    @contextmanager
    def deciding(self, kind: DecisionKind, *, now: datetime | None = None) -> Iterator[DecisionRecorder]:
        """Records decisions in a transaction of their own."""
        with self.database.transaction() as tx:
            yield self.decisions(tx, kind, now=now)

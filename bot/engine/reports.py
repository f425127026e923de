"""Look: what the tables say, gathered for a person or a program. Nothing here changes a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import DecisionRecord, Profile, ProfileId, Slot, Tweet
from bot.core.spending.forecast import Comparison, Forecast, forecast
from bot.core.spending.limits import Gauge, Limits, Usage, Verdict, Wait, Wanted, decide, gauge_limits
from bot.core.states import Mode
from bot.engine.posting.auditing import EVERY, depth
from bot.engine.posting.reconciling import unsettled
from bot.engine.spending.limits_agent import LimitsAgent
from bot.ports import Database, Transaction

_STARTS_READ = 100
_TICKS_READ = 50
# What a command beside the worker leaves as well says nothing of the worker.
_LEFT_BY_TICKS = frozenset({Ruling.NOTHING, Ruling.PAUSED, Ruling.EXPIRED, Ruling.MOVED})
_LEFT_BY_EITHER = frozenset({Ruling.FAILED, Ruling.WAIT})


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageReport:
    """What was used, what is left, and where the month ends."""

    as_of: datetime
    usage: Usage
    limits: Limits
    gauges: tuple[Gauge, ...]
    forecast: Forecast
    verdict: Verdict

    @property
    def drift(self) -> dict[str, int]:
        """How many more calls X counts than the ledger, by endpoint and window."""
        return {f"{seen.endpoint} ({seen.window.name})": seen.drift for seen in self.usage.seen if seen.drift}


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerLife:
    """Whether a worker acts, since when, and when its last tick was."""

    alive: bool = False
    since: datetime | None = None
    last_beat: datetime | None = None

    @property
    def last_seen(self) -> datetime | None:
        """Its last tick, or its start where there was none since."""
        return max((one for one in (self.since, self.last_beat) if one is not None), default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusReport:
    """How one profile stands; `unseen` posts exist, says X, whose timeline doesn't show them."""

    as_of: datetime
    profile: Profile | None
    verdict: Verdict
    mode: Mode
    worker: WorkerLife
    posts_per_day: int | None = None
    open: Mapping[str, int] = field(default_factory=dict)
    unseen: int = 0
    last_post: Tweet | None = None
    next_slot: Slot | None = None
    last_decision: DecisionRecord | None = None


def report_usage(
    database: Database,
    agent: LimitsAgent,
    profile_id: ProfileId | None,
    *,
    now: datetime,
    spaced: bool = True,
) -> UsageReport:
    """Reads usage for a profile, or for rows that belong to nobody when there is none yet.

    Args:
        database: where the rows are.
        agent: reads and judges them.
        profile_id: whose.
        now: when.
        spaced: whether spacing and pace are weighed, as they aren't for a person's wish.

    Raises:
        UsageUnreadable: the rows say nothing.
    """
    with database.transaction() as tx:
        usage = agent.usage(tx, profile_id, now)
        limits = agent.limits(tx, profile_id)
        cost = agent.prices(tx).post_price(has_link=False)
        comparison = _comparison(tx, agent, profile_id)
    wanted = Wanted(cost_usd=cost, spaced=spaced)
    return UsageReport(
        as_of=now,
        usage=usage,
        limits=limits,
        gauges=gauge_limits(usage, limits, now, wanted),
        forecast=forecast(usage, limits, now, comparison),
        verdict=decide(usage, limits, now, wanted),
    )


def report_decisions(database: Database, profile: Profile | None, *, limit: int) -> Sequence[DecisionRecord]:
    """The newest decisions for a profile and those that concern all, as a worker's start; newest first."""
    with database.transaction() as tx:
        found = list(tx.decisions.last(None, limit=limit))
        if profile is not None:
            found += tx.decisions.last(profile.id, limit=limit)
    return sorted(found, key=lambda one: one.last_at or one.at, reverse=True)[:limit]


def _comparison(tx: Transaction, agent: LimitsAgent, profile_id: ProfileId | None) -> Comparison | None:
    price = agent.prices(tx).own_post_read
    if profile_id is None or price is None:
        return None
    most = depth(tx)
    posts = len(tx.tweets.last_live(profile_id, limit=most))
    return Comparison(every=EVERY, posts=posts, most=most, post_usd=price)


def report_status(
    database: Database,
    agent: LimitsAgent,
    profile: Profile | None,
    *,
    now: datetime,
    mode: Mode,
    patience: timedelta,
) -> StatusReport:
    """Reads how a profile stands.

    Args:
        database: where the rows are.
        agent: reads and judges usage.
        profile: whose.
        now: when.
        mode: the mode in force, which a worker takes over and a command goes by.
        patience: how long a worker may be silent and still count as alive.
    """
    usage = report_usage(database, agent, profile.id if profile else None, now=now)
    with database.transaction() as tx:
        life = _life(tx, profile, now=now, patience=patience)
        report = StatusReport(as_of=now, profile=profile, verdict=usage.verdict, mode=mode, worker=life)
        return report if profile is None else _with_rows(tx, report, profile)


def _with_rows(tx: Transaction, report: StatusReport, profile: Profile) -> StatusReport:
    """The report with what the profile's rows say."""
    plan = tx.profiles.active_plan(profile.id)
    week = report.as_of + timedelta(days=8)
    coming = tx.slots.upcoming(profile.id, after=report.as_of, before=week, limit=1)
    decisions = tx.decisions.last(profile.id, limit=1)
    unknown = unsettled(tx, profile.id)
    return replace(
        report,
        posts_per_day=plan.posts_per_day if plan else None,
        open=tx.tweets.counts(profile.id),
        unseen=unknown.tweets - unknown.holding_up,
        last_post=tx.tweets.last_posted(profile.id),
        next_slot=coming[0] if coming else None,
        last_decision=decisions[0] if decisions else None,
        verdict=_paused(profile) if profile.paused else report.verdict,
    )


def _paused(profile: Profile) -> Wait:
    reason = f"paused: {profile.pause_reason or 'by the operator'}; `resume` lifts it"
    return Wait(until=None, limit="paused", used=Decimal(0), cap=None, reason=reason)


def _life(tx: Transaction, profile: Profile | None, *, now: datetime, patience: timedelta) -> WorkerLife:
    """Reads a worker's life: a start without a stop after it, and the rows that its ticks leave.

    Those rows don't name the worker: what was left while a later worker ran that has stopped by now
    may be that one's, and shows no life of an earlier one.
    """
    publish = (DecisionKind.PUBLISH,)
    ticks = tx.decisions.last(profile.id, limit=_TICKS_READ, kinds=publish) if profile else ()
    beats = [at for one in ticks if _left_by_tick(one) for at in (one.at, one.last_at or one.at)]
    over: list[tuple[datetime, datetime]] = []
    silent = WorkerLife()
    for since, stopped in _runs(
        tx.decisions.last(None, limit=_STARTS_READ, kinds=(DecisionKind.START, DecisionKind.STOP))
    ):
        if stopped is not None:
            over.append((since, stopped))
            continue
        own = [at for at in beats if at >= since and not any(begun <= at <= end for begun, end in over)]
        life = WorkerLife(since=since, last_beat=max(own, default=None))
        if life.last_seen is not None and now - life.last_seen <= patience:
            return replace(life, alive=True)
        if not over and silent.since is None:
            silent = life
    return silent


def _left_by_tick(row: DecisionRecord) -> bool:
    """Whether a tick left the row: `run-once` weighs a text of its own once, and for no slot."""
    if row.verdict in _LEFT_BY_EITHER:
        return row.slot_id is not None or row.repeated > 1
    return row.verdict in _LEFT_BY_TICKS


def _runs(rows: Sequence[DecisionRecord]) -> Iterator[tuple[datetime, datetime | None]]:
    """When each worker started and stopped, newest first as the rows are."""
    stopped: dict[object, datetime] = {}
    for row in rows:
        holder = row.numbers.get("holder")
        if row.kind == DecisionKind.STOP:
            stopped[holder] = row.at
        else:
            yield row.at, stopped.get(holder)

"""Look: what the tables say, gathered for a person or a program. Nothing here changes a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.core.health import PATIENCE, WorkerLife
from bot.core.model import DecisionRecord, Profile, ProfileId, Slot, Tweet
from bot.core.spending.forecast import Comparison, Forecast, forecast
from bot.core.spending.limits import Gauge, Limits, Usage, Verdict, Wait, Wanted, decide, gauge_limits
from bot.core.states import Mode
from bot.engine.posting.auditing import EVERY, depth
from bot.engine.posting.reconciling import unsettled
from bot.engine.spending.limits_agent import LimitsAgent
from bot.ports import Database, Transaction


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
        comparison = _daily_comparison(tx, agent, profile_id)
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


def _daily_comparison(tx: Transaction, agent: LimitsAgent, profile_id: ProfileId | None) -> Comparison | None:
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
) -> StatusReport:
    """Reads how a profile stands.

    Args:
        database: where the rows are.
        agent: reads and judges usage.
        profile: whose.
        now: when.
        mode: the mode in force, which a worker takes over and a command goes by.
    """
    usage = report_usage(database, agent, profile.id if profile else None, now=now)
    with database.transaction() as tx:
        life = tx.workers.life(patience=PATIENCE)
        report = StatusReport(as_of=now, profile=profile, verdict=usage.verdict, mode=mode, worker=life)
        return report if profile is None else _with_rows(tx, report, profile)


def _with_rows(tx: Transaction, report: StatusReport, profile: Profile) -> StatusReport:
    """The report with what the profile's rows say."""
    plan = tx.plans.active(profile.id)
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
        verdict=_paused_verdict(profile) if profile.paused else report.verdict,
    )


def _paused_verdict(profile: Profile) -> Wait:
    reason = f"paused: {profile.pause_reason or 'by the operator'}; `resume` lifts it"
    return Wait(until=None, limit="paused", used=Decimal(0), cap=None, reason=reason)

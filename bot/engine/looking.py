"""Look: what the tables say, gathered for a person or a program. Nothing here changes a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.forecast import Comparison, Forecast, forecast
from bot.core.limits import Gauge, Limits, Usage, Verdict, Wanted, decide, measure
from bot.core.model import DecisionRecord, Profile, ProfileId, Slot, Tweet
from bot.engine.auditing import EVERY, depth
from bot.engine.limits_agent import LimitsAgent
from bot.engine.reconciling import unsettled
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
    posts_per_day: int | None
    open: dict[str, int]
    unseen: int
    last_post: Tweet | None
    next_slot: Slot | None
    last_decision: DecisionRecord | None
    verdict: Verdict


def report_usage(
    database: Database, agent: LimitsAgent, profile_id: ProfileId | None, *, now: datetime
) -> UsageReport:
    """Reads usage for a profile, or for rows that belong to nobody when there is none yet.

    Raises:
        UsageUnreadable: the rows say nothing.
    """
    with database.transaction() as tx:
        usage = agent.usage(tx, profile_id, now)
        limits = agent.limits(tx, profile_id)
        cost = agent.prices(tx).post_price(has_link=False)
        comparison = _comparison(tx, agent, profile_id)
    wanted = Wanted(cost_usd=cost)
    return UsageReport(
        as_of=now,
        usage=usage,
        limits=limits,
        gauges=measure(usage, limits, now, wanted),
        forecast=forecast(usage, limits, now, comparison),
        verdict=decide(usage, limits, now, wanted),
    )


def _comparison(tx: Transaction, agent: LimitsAgent, profile_id: ProfileId | None) -> Comparison | None:
    price = agent.prices(tx).own_post_read
    if profile_id is None or price is None:
        return None
    most = depth(tx)
    posts = len(tx.tweets.last_live(profile_id, limit=most))
    return Comparison(every=EVERY, posts=posts, most=most, post_usd=price)


def report_status(
    database: Database, agent: LimitsAgent, profile: Profile | None, *, now: datetime
) -> StatusReport:
    """Reads how a profile stands."""
    usage = report_usage(database, agent, profile.id if profile else None, now=now)
    if profile is None:
        return StatusReport(
            as_of=now,
            profile=None,
            posts_per_day=None,
            open={},
            unseen=0,
            last_post=None,
            next_slot=None,
            last_decision=None,
            verdict=usage.verdict,
        )
    with database.transaction() as tx:
        plan = tx.profiles.active_plan(profile.id)
        coming = tx.slots.upcoming(profile.id, after=now, before=now + timedelta(days=8), limit=1)
        decisions = tx.decisions.last(profile.id, limit=1)
        unknown = unsettled(tx, profile)
        return StatusReport(
            as_of=now,
            profile=profile,
            posts_per_day=plan.posts_per_day if plan else None,
            open=tx.tweets.counts(profile.id),
            unseen=unknown.tweets - unknown.holding_up,
            last_post=tx.tweets.last_posted(profile.id),
            next_slot=coming[0] if coming else None,
            last_decision=decisions[0] if decisions else None,
            verdict=usage.verdict,
        )

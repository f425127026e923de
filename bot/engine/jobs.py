"""The job table: what is done for each profile, and when it wants to be done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.codes import DecisionKind
from bot.core.posting.schedule import next_day
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.context import ProfileContext, Services
from bot.engine.housekeeping import forget_old_rows
from bot.engine.learning.planning import fill_schedule
from bot.engine.posting.auditing import audit_if_due, next_audit
from bot.engine.posting.posting_engine import tick

HOURLY, DAILY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is done for one profile.

    Attributes:
        act: does it, and answers when it wants to act again; None leaves that to rows.
        retry: how long after a failure it is tried again; None leaves that to rows, too.
    """

    act: Callable[[ProfileContext], datetime | None]
    retry: timedelta | None = None


def publish(context: ProfileContext) -> None:
    """A tick; what it leaves is due by its rows."""
    tick(context)


def prepare(context: ProfileContext) -> None:
    """A draft for the first slot without one; the next is due by its row."""
    prepare_next(context)


def audit(context: ProfileContext) -> datetime:
    """Compares X with the tables once most of a day is over."""
    audit_if_due(context)
    return next_audit(context)


def plan(context: ProfileContext) -> datetime:
    """Fills the coming days; again when the profile's next day begins."""
    fill_schedule(context)
    return next_day(zone=context.profile.timezone, now=context.clock.now())


def forget(services: Services) -> datetime:
    """Lets old rows go, whoever's they are."""
    forget_old_rows(services)
    return services.clock.now() + DAILY


# The same for the worker and for a rehearsal.
JOBS: Mapping[DecisionKind, Job] = {
    DecisionKind.PUBLISH: Job(act=publish),
    DecisionKind.PREPARE: Job(act=prepare),
    DecisionKind.AUDIT: Job(act=audit, retry=HOURLY),
    DecisionKind.PLAN: Job(act=plan, retry=HOURLY),
}

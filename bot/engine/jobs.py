"""The job table: what is looked after for each profile, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.core.codes import DecisionKind
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.context import ProfileContext
from bot.engine.housekeeping import forget_old_rows
from bot.engine.learning.planning import fill_schedule
from bot.engine.posting.auditing import audit_if_due
from bot.engine.posting.posting_engine import tick

HOURLY, DAILY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Something that is looked after every so often, on a thread of its own.

    `kind` is that of its decision rows.
    """

    kind: DecisionKind
    every: timedelta
    act: Callable[[ProfileContext], object]


def jobs(shortest: timedelta) -> tuple[Job, ...]:
    """The job table: the same for the worker and for a rehearsal.

    Args:
        shortest: the time between looks at what is due.
    """
    return (
        Job(kind=DecisionKind.PUBLISH, every=shortest, act=tick),
        # As often: a due slot without a draft has only its tolerance.
        Job(kind=DecisionKind.PREPARE, every=shortest, act=prepare_next),
        Job(kind=DecisionKind.AUDIT, every=HOURLY, act=audit_if_due),
        Job(kind=DecisionKind.PLAN, every=HOURLY, act=fill_schedule),
        # Whoever's profile it runs for: old rows are everybody's.
        Job(kind=DecisionKind.FORGET, every=DAILY, act=forget_old_rows),
    )

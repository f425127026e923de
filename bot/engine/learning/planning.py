"""Plan: fills the next days with slots from the active plan."""

from __future__ import annotations

from datetime import datetime

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import Plan
from bot.core.posting.schedule import days_to_plan, wishes
from bot.engine.context import ProfileContext
from bot.ports import Transaction


def ensure_plan(context: ProfileContext, *, posts_per_day: int) -> Plan:
    """Gives the profile an active plan with so many posts a day."""
    with context.database.transaction() as tx:
        # Two workers that start at once must not both find none.
        tx.ledger.lock()
        plan = tx.plans.active(context.profile.id)
        if plan is not None and plan.posts_per_day == posts_per_day:
            return plan
        started = tx.plans.start(context.profile.id, posts_per_day=posts_per_day)
        context.log.info("plan_started", profile=context.profile.handle, posts_per_day=posts_per_day)
        return started


def fill_schedule(context: ProfileContext) -> int:
    """Adds the slots of days that are not planned yet; never one in the past."""
    with context.database.transaction() as tx:
        now = context.clock.now()
        plan = tx.plans.active(context.profile.id)
        if plan is None:
            return 0
        days = context.settings.plan_days
        added = add_days(tx, plan, zone=context.profile.timezone, now=now, days=days)
        if added:
            reason = f"{added} slots for the next {context.settings.plan_days} days"
            context.decisions(tx, DecisionKind.PLAN, now=now).note(Ruling.PLANNED, reason)
            context.log.info("slots_planned", profile=context.profile.handle, slots=added)
    return added


def add_days(tx: Transaction, plan: Plan, *, zone: str, now: datetime, days: int) -> int:
    """Adds the slots of so many days, today first, where none is planned; returns how many."""
    coming = days_to_plan(zone=zone, now=now, days=days)
    filled = tx.plans.planned_days(plan.profile_id, plan, since=coming[0])
    wanted = [
        wish
        for day in coming
        if day not in filled
        for wish in wishes(plan, zone=zone, day=day)
        if wish.due_at > now
    ]
    return tx.slots.add(plan.profile_id, plan, wanted)

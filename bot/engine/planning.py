"""Plan: fills the next days with slots from the active plan."""

from __future__ import annotations

from datetime import datetime

from bot.core.model import Plan, Profile
from bot.core.schedule import days_to_plan, wishes
from bot.engine.noting import noted
from bot.engine.parts import Parts
from bot.ports import Transaction


def ensure_plan(parts: Parts, profile: Profile, *, posts_per_day: int) -> Plan:
    """Gives the profile an active plan with so many posts a day."""
    with parts.database.transaction() as tx:
        # Two workers that start at once must not both find none.
        tx.ledger.lock()
        plan = tx.profiles.active_plan(profile.id)
        if plan is not None and plan.posts_per_day == posts_per_day:
            return plan
        started = tx.profiles.start_plan(profile.id, posts_per_day=posts_per_day)
        parts.log.info("plan_started", profile=profile.handle, posts_per_day=posts_per_day)
        return started


def fill_schedule(parts: Parts, profile: Profile) -> int:
    """Adds the slots of days that are not planned yet; never one in the past."""
    with parts.database.transaction() as tx:
        now = parts.clock.now()
        plan = tx.profiles.active_plan(profile.id)
        if plan is None:
            return 0
        added = _add_days(parts, tx, profile, plan, now)
        if added:
            reason = f"{added} slots for the next {parts.settings.plan_days} days"
            tx.decisions.record(noted("planned", reason, now=now, kind="plan", profile=profile))
            parts.log.info("slots_planned", profile=profile.handle, slots=added)
    return added


def _add_days(parts: Parts, tx: Transaction, profile: Profile, plan: Plan, now: datetime) -> int:
    days = days_to_plan(zone=profile.timezone, now=now, days=parts.settings.plan_days)
    filled = tx.slots.planned_days(profile.id, plan, since=days[0])
    coming = [
        wish
        for day in days
        if day not in filled
        for wish in wishes(plan, zone=profile.timezone, day=day)
        if wish.due_at > now
    ]
    return tx.slots.add(profile.id, plan, coming)

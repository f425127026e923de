"""What a person does with a profile's plans, one verb each, for every way in alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import SettingError
from bot.core.model import Plan, PlanId, Profile
from bot.core.plans import PlanChange, activated, archived, changed, drafted_from, has_other_slots
from bot.core.states import PlanStatus
from bot.engine.context import Services
from bot.engine.decisions import DecisionRecorder
from bot.engine.learning.planning import add_days
from bot.engine.queue import starting
from bot.ports import Transaction

SEE_PLANS = "`plan list` shows them"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanSteering:
    """A person's acts on one profile's plans. A plan is named by its id, or by how its id begins.

    Only slots that are still to come change, and they change with the plan, in one transaction; drafts of
    slots that go wait for the next that come.
    """

    services: Services
    profile: Profile

    def all(self) -> Sequence[Plan]:
        """Every plan: the one in force first, then drafts, then archived ones, each newest first."""
        with self.services.database.transaction() as tx:
            return tx.plans.all(self.profile.id)

    def show(self, which: str | None) -> Plan:
        """One plan; the one in force where none is named."""
        with self.services.database.transaction() as tx:
            return self._find(tx, which)

    def add(self, change: PlanChange) -> Plan:
        """Makes a further plan like the one in force, with a change; it is not in force yet."""
        with self.services.database.transaction() as tx:
            like = self._find(tx, None)
            plan = tx.plans.add(drafted_from(like, PlanId(self.services.new_id()), change))
            self._note(tx, "a further plan was made by the operator")
        return plan

    def change(self, which: str | None, change: PlanChange) -> Plan:
        """Changes a plan; the one in force where none is named."""
        with self.services.database.transaction() as tx:
            tx.ledger.lock()
            before = self._find(tx, which)
            after = tx.plans.save(changed(before, change))
            if after.status is PlanStatus.ACTIVE and has_other_slots(before, after):
                self._replan(tx, before, after)
            self._note(tx, "a plan was changed by the operator")
        return after

    def activate(self, which: str) -> Plan:
        """Puts a plan in force, and archives the one that was."""
        with self.services.database.transaction() as tx:
            tx.ledger.lock()
            after = activated(self._find(tx, which))
            before = tx.plans.active(self.profile.id)
            if before is not None:
                tx.plans.save(archived(before))
            tx.plans.save(after)
            self._replan(tx, before, after)
            self._note(tx, "another plan was put in force by the operator")
        return after

    def archive(self, which: str) -> Plan:
        """Puts a plan away; without one in force, no slots are planned."""
        with self.services.database.transaction() as tx:
            tx.ledger.lock()
            before = self._find(tx, which)
            after = tx.plans.save(archived(before))
            if before.status is PlanStatus.ACTIVE:
                self._replan(tx, before, None)
            self._note(tx, "a plan was archived by the operator")
        return after

    @property
    def _now(self) -> datetime:
        return self.services.clock.now()

    def _replan(self, tx: Transaction, before: Plan | None, after: Plan | None) -> None:
        if before is not None:
            tx.plans.forget_planned(before.id, after=self._now)
        if after is not None:
            days = self.services.settings.plan_days
            add_days(tx, after, zone=self.profile.timezone, now=self._now, days=days)

    def _find(self, tx: Transaction, which: str | None) -> Plan:
        if which is None:
            in_force = tx.plans.active(self.profile.id)
            if in_force is None:
                raise SettingError("no plan is in force", fix="name one: " + SEE_PLANS)
            return in_force
        found = starting(tx.plans.all(self.profile.id), which)
        if len(found) != 1:
            said = f"{len(found)} plans' ids begin with {which}" if found else f"no plan has the id {which}"
            raise SettingError(said, fix=SEE_PLANS)
        return found[0]

    def _note(self, tx: Transaction, reason: str) -> None:
        in_force = tx.plans.active(self.profile.id)
        if in_force is not None:
            tx.profiles.choose(self.profile.id, posts_per_day=in_force.posts_per_day)
        decisions = DecisionRecorder(tx=tx, kind=DecisionKind.OPERATOR, profile=self.profile, now=self._now)
        decisions.note(Ruling.PLANNED, reason)

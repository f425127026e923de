"""The agenda: which job of which profile acts when, from what rows ask for and what jobs answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.codes import DecisionKind
from bot.core.model import ProfileId
from bot.core.work import Due, Work

# Jobs whose moments stand in rows; the others answer when they want to act next.
BY_ROWS = frozenset({DecisionKind.PUBLISH, DecisionKind.PREPARE})


@dataclass(kw_only=True)
class Agenda:
    """What is to be done, in memory: rows are asked again now and then, and after each act.

    Attributes:
        pause: how long what an act left as it was is left alone.
    """

    pause: timedelta
    _due: dict[Work, datetime] = field(default_factory=dict)
    _acted: dict[Work, datetime] = field(default_factory=dict)
    _running: set[Work] = field(default_factory=set)
    _changes: dict[Work, datetime] = field(default_factory=dict)

    def look(self, found: Iterable[Due]) -> None:
        """Takes what rows ask for, in place of what they asked for before.

        Whoever's plan is new or has changed is audited as well, from then on.
        """
        self._due = {work: at for work, at in self._due.items() if work.kind not in BY_ROWS}
        for due in found:
            if due.work.kind in BY_ROWS:
                self._due[due.work] = due.at
                continue
            self._changed(due)

    def add(self, work: Work, at: datetime) -> None:
        """Has a job act at a moment."""
        self._due[work] = at

    def begin(self, *, now: datetime) -> list[Work]:
        """What acts now, the longest due first; it is under way from here on."""
        ready = sorted((at, work) for work, at in self._waiting() if at <= now)
        begun = [work for _, work in ready]
        self._running.update(begun)
        self._acted.update(dict.fromkeys(begun, now))
        return begun

    def end(self, work: Work, *, again: datetime | None = None) -> None:
        """Says that a job has acted, and when it wants to act again where no row tells."""
        self._running.discard(work)
        if work.kind in BY_ROWS:
            return
        if again is None:
            self._due.pop(work, None)
        else:
            self._due[work] = again

    def hurry(self, work: Work) -> None:
        """Takes back that a job has just acted: what it waited for has come."""
        self._acted.pop(work, None)

    def forget(self, profile_id: ProfileId | None) -> None:
        """Drops all of a profile that is run no more."""
        for kept in (self._due, self._acted, self._changes):
            for work in [one for one in kept if one.profile_id == profile_id]:
                del kept[work]

    def next_moment(self) -> datetime | None:
        """When something has to act next."""
        return min((at for _, at in self._waiting()), default=None)

    def _changed(self, due: Due) -> None:
        """Takes up what is new or has changed, once: a look finds it again for a while."""
        if self._changes.get(due.work) == due.at:
            return
        self._changes[due.work] = self._due[due.work] = due.at
        self._due.setdefault(Work(DecisionKind.AUDIT, due.work.profile_id), due.at)

    def _waiting(self) -> Iterable[tuple[Work, datetime]]:
        for work, at in self._due.items():
            if work in self._running:
                continue
            acted = self._acted.get(work)
            # An act that left a moment as it was has said why; it need not say so at once again.
            held = work.kind in BY_ROWS and acted is not None and at <= acted
            yield work, max(at, acted + self.pause) if held and acted is not None else at

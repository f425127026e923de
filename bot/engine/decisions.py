"""Decision rows: what was decided, for whom, about what, because of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import DecisionRecord, Profile, Slot, SlotId, Tweet, TweetId
from bot.core.spending.limits import Gauge, Verdict
from bot.ports import Transaction

About = Slot | Tweet | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRecorder:
    """Records the decisions of one job for one profile at one moment, in one transaction."""

    tx: Transaction
    kind: DecisionKind
    profile: Profile
    now: datetime

    def weighed(self, verdict: Verdict, *, about: About = None) -> None:
        """Records what the judge of spending said.

        Args:
            verdict: what the judge said.
            about: the slot or the tweet concerned.
        """
        self.tx.decisions.record(self.weighing(verdict, about=about))

    def would(self, verdict: Verdict, *, about: About = None) -> None:
        """Records what the judge of spending says of a tweet that a dry run leaves as it is."""
        reason = f"would {verdict.verdict}: {verdict.reason}"
        record = self.weighing(verdict, about=about)
        self.tx.decisions.record(replace(record, verdict=Ruling.DRY_RUN, reason=reason))

    def note(
        self,
        ruling: Ruling,
        reason: str,
        *,
        about: About = None,
        until: datetime | None = None,
        numbers: Mapping[str, object] | None = None,
    ) -> None:
        """Records a decision for which no limit was weighed.

        Args:
            ruling: what was decided.
            reason: why, for a person.
            about: the slot concerned, or the tweet with its slot.
            until: when the same is looked at again.
            numbers: what it was decided from.
        """
        record = self._record(ruling, reason, about)
        self.tx.decisions.record(replace(record, until=until, numbers=numbers or {}))

    def weighing(self, verdict: Verdict, *, about: About = None) -> DecisionRecord:
        """What the judge of spending said, as a decision: its binding limit, and every limit it saw."""
        return replace(
            self._record(Ruling(verdict.verdict), verdict.reason, about),
            limit=verdict.limit,
            used=verdict.used,
            cap=verdict.cap,
            until=verdict.until,
            numbers={gauge.name: _figures(gauge) for gauge in verdict.gauges},
        )

    def _record(self, ruling: Ruling, reason: str, about: About) -> DecisionRecord:
        slot_id, tweet_id = _concerned(about)
        return DecisionRecord(
            at=self.now,
            kind=self.kind,
            verdict=ruling,
            reason=reason,
            profile_id=self.profile.id,
            slot_id=slot_id,
            tweet_id=tweet_id,
        )


def _concerned(about: About) -> tuple[SlotId | None, TweetId | None]:
    if isinstance(about, Tweet):
        return about.slot_id, about.id
    return about.id if about else None, None


def _figures(gauge: Gauge) -> Mapping[str, str | None]:
    return {"used": str(gauge.used), "cap": None if gauge.cap is None else str(gauge.cap)}

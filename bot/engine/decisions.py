"""Decision rows: what was decided, for whom, about what, because of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import DecisionRecord, Profile, Slot, SlotId, Tweet, TweetId
from bot.core.spending.limits import Verdict
from bot.ports import Transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRecorder:
    """Records the decisions of one job for one profile at one moment, in one transaction."""

    tx: Transaction
    kind: DecisionKind
    profile: Profile
    now: datetime

    def weighed(
        self,
        verdict: Verdict,
        *,
        ruling: Ruling | None = None,
        slot_id: SlotId | None = None,
        tweet_id: TweetId | None = None,
    ) -> None:
        """Records what the judge of spending said, its binding limit, and every limit it saw.

        Args:
            verdict: what the judge said.
            ruling: what was decided, where it isn't simply the judge's word.
            slot_id: the slot concerned.
            tweet_id: the tweet concerned.
        """
        record = weighed(verdict, kind=self.kind, profile=self.profile, now=self.now, tweet_id=tweet_id)
        if ruling is not None:
            reason = f"would {verdict.verdict}: {verdict.reason}"
            record = replace(record, verdict=ruling, reason=reason)
        self.tx.decisions.record(replace(record, slot_id=slot_id))

    def note(
        self,
        ruling: Ruling,
        reason: str,
        *,
        slot: Slot | None = None,
        tweet: Tweet | None = None,
        until: datetime | None = None,
        numbers: Mapping[str, object] | None = None,
    ) -> None:
        """Records a decision for which no limit was weighed.

        Args:
            ruling: what was decided.
            reason: why, for a person.
            slot: the slot concerned; the tweet's own when left out.
            tweet: the tweet concerned.
            until: when the same is looked at again.
            numbers: what it was decided from.
        """
        self.tx.decisions.record(
            DecisionRecord(
                at=self.now,
                kind=self.kind,
                verdict=ruling,
                reason=reason,
                profile_id=self.profile.id,
                until=until,
                slot_id=slot.id if slot else (tweet.slot_id if tweet else None),
                tweet_id=tweet.id if tweet else None,
                numbers=numbers or {},
            )
        )


def weighed(
    verdict: Verdict, *, kind: DecisionKind, profile: Profile, now: datetime, tweet_id: TweetId | None
) -> DecisionRecord:
    """What the judge of spending said, as a decision: its binding limit, and every limit it saw."""
    return DecisionRecord(
        at=now,
        kind=kind,
        verdict=Ruling(verdict.verdict),
        reason=verdict.reason,
        profile_id=profile.id,
        limit=verdict.limit,
        used=verdict.used,
        cap=verdict.cap,
        until=verdict.until,
        tweet_id=tweet_id,
        numbers={
            gauge.name: {"used": str(gauge.used), "cap": None if gauge.cap is None else str(gauge.cap)}
            for gauge in verdict.gauges
        },
    )

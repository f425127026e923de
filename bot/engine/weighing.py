"""A verdict as a decision row: what was weighed, for whom, about what."""

from __future__ import annotations

from datetime import datetime

from bot.core.limits import Verdict
from bot.core.model import DecisionRecord, Profile, SlotId, TweetId


def weighed(
    verdict: Verdict,
    *,
    now: datetime,
    kind: str,
    profile: Profile,
    outcome: str | None = None,
    slot_id: SlotId | None = None,
    tweet_id: TweetId | None = None,
) -> DecisionRecord:
    """The row that `why` reads: the verdict, its binding limit, and every limit it saw.

    Args:
        verdict: what the judge said.
        now: when.
        kind: which job asked: `publish`, `prepare`, `reconcile`, `audit`.
        profile: for whom.
        outcome: what is shown as the verdict when it isn't simply the judge's.
        slot_id: the slot concerned.
        tweet_id: the tweet concerned.
    """
    return DecisionRecord(
        at=now,
        kind=kind,
        verdict=outcome or verdict.verdict,
        reason=verdict.reason if outcome is None else f"would {verdict.verdict}: {verdict.reason}",
        profile_id=profile.id,
        limit=verdict.limit,
        used=verdict.used,
        cap=verdict.cap,
        until=verdict.until,
        slot_id=slot_id,
        tweet_id=tweet_id,
        numbers={
            gauge.name: {"used": str(gauge.used), "cap": None if gauge.cap is None else str(gauge.cap)}
            for gauge in verdict.gauges
        },
    )

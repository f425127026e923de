"""What was decided as a decision row: for whom, about what, because of what."""

from __future__ import annotations

from datetime import datetime

from bot.core.limits import Verdict
from bot.core.model import DecisionRecord, Profile, Slot, SlotId, Tweet, TweetId


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


def noted(
    verdict: str,
    reason: str,
    *,
    now: datetime,
    kind: str,
    profile: Profile,
    slot: Slot | None = None,
    tweet: Tweet | None = None,
    until: datetime | None = None,
) -> DecisionRecord:
    """The row that `why` reads where no limit was weighed.

    Args:
        verdict: one word for what came of it.
        reason: why, for a person.
        now: when.
        kind: which job decided.
        profile: for whom.
        slot: the slot concerned; the tweet's own when left out.
        tweet: the tweet concerned.
        until: when the same is looked at again.
    """
    return DecisionRecord(
        at=now,
        kind=kind,
        verdict=verdict,
        reason=reason,
        profile_id=profile.id,
        until=until,
        slot_id=slot.id if slot else (tweet.slot_id if tweet else None),
        tweet_id=tweet.id if tweet else None,
    )

"""Values with plain fields, so that a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from bot.core.content.text import fingerprint
from bot.core.model import Plan, PlanId, ProfileId, Slot, SlotId, Tweet, TweetId
from bot.core.rates import RateWindow
from bot.core.spending.limits import Limits, Seen, Spent, Verdict, Wanted
from bot.core.states import CallKind, LatePolicy, PlanStatus, TweetStatus

PROFILE = ProfileId(UUID(int=1))
NO_LIMITS = Limits(posts_15min=None, posts_24h=None)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def capped(**changes: Any) -> Limits:
    return replace(NO_LIMITS, **changes)


def told(verdict: Verdict) -> tuple[object, object, object]:
    return verdict.limit, verdict.used, verdict.cap


def spent(*moments: str | datetime, units: int = 1) -> tuple[Spent, ...]:
    return tuple(Spent(at=utc(one) if isinstance(one, str) else one, units=units) for one in moments)


def seen(
    remaining: int,
    resets_at: str,
    *,
    endpoint: str = "POST /2/tweets",
    name: str = "15m",
    limit: int | None = 100,
    used_since: int = 0,
    reason: str = "",
) -> Seen:
    window = RateWindow(name=name, limit=limit, remaining=remaining, resets_at=utc(resets_at), reason=reason)
    return Seen(
        endpoint=endpoint,
        window=window,
        seen_at=utc(resets_at) - timedelta(minutes=10),
        used_since=used_since,
    )


def read(units: int, **fields: Any) -> Wanted:
    return Wanted(kind=CallKind.READ, endpoint="GET /2/users/:id/tweets", units=units, spaced=False, **fields)


def plan(posts_per_day: int = 4, *, starts: time = time(8), ends: time = time(22)) -> Plan:
    return Plan(
        id=PlanId(UUID(int=2)),
        profile_id=PROFILE,
        status=PlanStatus.ACTIVE,
        posts_per_day=posts_per_day,
        topics=("tides",),
        day_starts=starts,
        day_ends=ends,
        late_policy=LatePolicy.MOVE,
        late_tolerance=timedelta(minutes=30),
        spacing=timedelta(minutes=30),
        include_links=False,
    )


def slot(due_at: datetime, number: int = 0) -> Slot:
    return Slot(id=SlotId(UUID(int=number)), profile_id=PROFILE, due_at=due_at)


def tweet(text: str = "The tide turns twice.", **fields: Any) -> Tweet:
    known: dict[str, Any] = {
        "id": TweetId(UUID(int=3)),
        "profile_id": PROFILE,
        "idempotency_key": "key",
        "fingerprint": fingerprint(text),
        "status": TweetStatus.UNKNOWN,
    }
    return Tweet(text=text, **{**known, **fields})

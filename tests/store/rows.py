"""Rows as the tests want them, with everything they don't care about filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL

from bot.core.model import Call, CallId, DecisionRecord, Profile, ProfileId, Slot, SlotId, Tweet, TweetId
from bot.core.posting.lifecycle import moved
from bot.core.posting.schedule import SlotWish
from bot.core.rates import RateWindow
from bot.core.spending.limits import CREATE_POST, Usage
from bot.core.states import CallKind, SlotStatus, TweetStatus
from bot.store.manager import DatabaseManager, StoreTransaction

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 17, 15, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# What a tweet's row holds after all that can happen to it, each value unlike its default.
LIVED: Mapping[str, Any] = {
    "x_tweet_id": "1999",
    "posted_at": NOW,
    "first_intent_at": NOW - DAY,
    "after_x_id": "1998",
    "intent_at": NOW - HOUR,
    "fencing": 7,
    "attempts": 2,
    "resends": 1,
    "absent_reads": 3,
    "inconclusive_reads": 2,
    "looked_at": NOW,
    "next_attempt_at": NOW + HOUR,
    "reason": "adopted",
}


def a_call(profile_id: ProfileId | None, **values: Any) -> Call:
    usual: dict[str, Any] = {
        "id": CallId(uuid4()),
        "api": "twitter",
        "kind": CallKind.POST,
        "endpoint": CREATE_POST,
        "units": 1,
        "cost_usd": Decimal("0.015"),
        "at": NOW,
        "profile_id": profile_id,
    }
    return Call(**usual | values)


def a_tweet(profile_id: ProfileId, **values: Any) -> Tweet:
    usual: dict[str, Any] = {
        "id": TweetId(uuid4()),
        "profile_id": profile_id,
        "idempotency_key": uuid4().hex,
        "text": "Two tides a day",
        "fingerprint": "two tides a day",
        "status": TweetStatus.DRAFTED,
    }
    return Tweet(**usual | values)


def a_posted(profile_id: ProfileId, x_tweet_id: str, **values: Any) -> Tweet:
    usual: dict[str, Any] = {
        "status": TweetStatus.POSTED,
        "x_tweet_id": x_tweet_id,
        "posted_at": NOW,
        "fencing": 1,
    }
    return a_tweet(profile_id, **usual | values)


def move(tx: StoreTransaction, slot_id: SlotId, status: SlotStatus, *, reason: str | None = None) -> Slot:
    return tx.slots.save(moved(tx.slots.lock(slot_id), status, reason=reason))


def a_wish(due_at: datetime) -> SlotWish:
    return SlotWish(
        local_date=due_at.date(),
        local_time=due_at.time().replace(tzinfo=None),
        timezone="UTC",
        due_at=due_at,
    )


def a_decision(profile_id: ProfileId | None, **values: Any) -> DecisionRecord:
    usual: dict[str, Any] = {
        "at": NOW,
        "kind": "post",
        "verdict": "wait",
        "reason": "nothing is due",
        "profile_id": profile_id,
    }
    return DecisionRecord(**usual | values)


def a_window(name: str = "24h_user", **values: Any) -> RateWindow:
    usual: dict[str, Any] = {"limit": 100, "remaining": 90, "resets_at": NOW + 23 * HOUR}
    return RateWindow(name=name, **usual | values)


Amounts = tuple[int, int, int, Decimal]


def daily_rows(connection: Connection) -> Mapping[tuple[date, str], Amounts]:
    """What `api_usage_tracking` says, without rows that say nothing."""
    rows = connection.execute(
        text(
            "SELECT date, api_type, tweets_posted, reads_made, tokens_used, cost_usd FROM api_usage_tracking"
        )
    )
    return {
        (day, api): (posts, reads, tokens, cost)
        for day, api, posts, reads, tokens, cost in rows
        if (posts, reads, tokens, cost) != (0, 0, 0, 0)
    }


def ledger_sums(connection: Connection) -> Mapping[tuple[date, str], Amounts]:
    """What the daily rows should say: the sums of the ledger's counting rows."""
    rows = connection.execute(
        text(
            """
            SELECT (at AT TIME ZONE 'UTC')::date, api,
                   coalesce(sum(units) FILTER (WHERE kind = 'post'), 0)::int,
                   coalesce(sum(units) FILTER (WHERE kind = 'read'), 0)::int,
                   sum(tokens)::bigint, sum(cost_usd)
              FROM api_calls WHERE state <> 'released' GROUP BY 1, 2
            """
        )
    )
    return {
        (day, api): (posts, reads, tokens, cost)
        for day, api, posts, reads, tokens, cost in rows
        if (posts, reads, tokens, cost) != (0, 0, 0, 0)
    }


def one_row_everywhere(tx: StoreTransaction, handle: str) -> ProfileId:
    """A profile with at least one row in every table that belongs to a profile."""
    profile = tx.profiles.create(handle=handle, x_user_id=None, timezone="UTC", mode="auto")
    plan = tx.plans.start(profile.id, posts_per_day=2)
    tx.slots.add(profile.id, plan, [a_wish(NOW + HOUR)])
    tweet = tx.tweets.add(a_tweet(profile.id))
    tx.ledger.reserve(a_call(profile.id))
    tx.rates.saw(profile.id, CREATE_POST, [a_window()], now=NOW)
    tx.leases.acquire(profile.id, holder="w", asked_at=0.0, lasts=HOUR)
    tx.decisions.record(a_decision(profile.id))
    tx.workers.begin(holder="w", host="here", pid=1)
    tx.credentials.put(profile.id, f"not {handle}'s real keys")
    names = {"profile": profile.id, "tweet": tweet.id, "now": NOW, "day": NOW.date()}
    for statement in (
        "INSERT INTO content_performance (tweet_id, age_minutes, measured_at) VALUES (:tweet, 60, :now)",
        "INSERT INTO learning_data (profile_id, arm) VALUES (:profile, 'tue-09|tides|plain')",
        "INSERT INTO analytics (profile_id, date) VALUES (:profile, :day)",
        "INSERT INTO conversations (profile_id) VALUES (:profile)",
        "INSERT INTO members (profile_id, auth_user_id) VALUES (:profile, gen_random_uuid())",
        """
        INSERT INTO messages (conversation_id, role, content)
        SELECT id, 'user', 'why?' FROM conversations WHERE profile_id = :profile
        """,
    ):
        tx.connection.execute(text(statement), {k: v for k, v in names.items() if f":{k}" in statement})
    return profile.id


@contextmanager
def plain_connection(url: URL) -> Iterator[Connection]:
    """A connection without anything of the bot's, which commits each statement."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def usage_of(manager: DatabaseManager, profile: Profile | None, now: datetime = NOW) -> Usage:
    with manager.transaction() as tx:
        return tx.ledger.usage(profile.id if profile else None, now=now)

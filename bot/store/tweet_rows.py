"""Rows of `tweets`, to and fro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.core.model import Source, Tweet
from bot.store.rows.posting import TWEETS

# The table's own columns: results of mapped attributes are looked up at several times the price.
_COLUMN = TWEETS.c
TWEET_COLUMNS = (
    _COLUMN.id,
    _COLUMN.profile_id,
    _COLUMN.idempotency_key,
    _COLUMN.text,
    _COLUMN.fingerprint,
    _COLUMN.status,
    _COLUMN.slot_id,
    _COLUMN.thread_id,
    _COLUMN.part,
    _COLUMN.origin,
    _COLUMN.topic,
    _COLUMN.source,
    _COLUMN.writer,
    _COLUMN.x_tweet_id,
    _COLUMN.posted_at,
    _COLUMN.first_intent_at,
    _COLUMN.after_x_id,
    _COLUMN.intent_at,
    _COLUMN.fencing,
    _COLUMN.attempts,
    _COLUMN.resends,
    _COLUMN.absent_reads,
    _COLUMN.inconclusive_reads,
    _COLUMN.looked_at,
    _COLUMN.next_attempt_at,
    _COLUMN.reason,
    _COLUMN.created_at,
)


def as_tweet(row: Mapping[Any, Any]) -> Tweet:
    """A row's `TWEET_COLUMNS` as a tweet."""
    source = row["source"]
    return Tweet(**{**row, "source": Source(**source) if source else None})


def tweet_values(tweet: Tweet) -> dict[str, Any]:
    """The whole row, as the database takes it."""
    values = {column.key: getattr(tweet, column.key) for column in TWEET_COLUMNS}
    del values["created_at"]
    return values | {"source": tweet.source.as_json() if tweet.source else None}

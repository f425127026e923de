"""Whether X and the tables tell the same story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from bot.core.posting.settling import DUPLICATE_REFUSED
from bot.sandbox import Post

AT_REST = frozenset({"posted", "failed", "rejected"})
# Of the ledger's own rows, in the daily rows' words.
LEDGER_SUMS = """
    SELECT (at AT TIME ZONE 'UTC')::date AS date, api AS api_type,
           sum(units) FILTER (WHERE kind = 'post') AS tweets_posted,
           sum(units) FILTER (WHERE kind = 'read') AS reads_made,
           sum(cost_usd) AS cost_usd
      FROM api_calls WHERE state <> 'released' GROUP BY 1, 2
"""
DIFFERENT_DAYS = f"""
    SELECT * FROM api_usage_tracking AS day FULL JOIN ({LEDGER_SUMS}) AS ledger USING (date, api_type)
     WHERE coalesce(day.tweets_posted, 0) <> coalesce(ledger.tweets_posted, 0)
        OR coalesce(day.reads_made, 0) <> coalesce(ledger.reads_made, 0)
        OR coalesce(day.cost_usd, 0) <> coalesce(ledger.cost_usd, 0)
"""
POST_CALLS = "SELECT state::text, count(*) AS calls FROM api_calls WHERE kind = 'post' AND {whose} GROUP BY 1"
CLAIMED = "SELECT id FROM posting_schedule WHERE status = 'claimed' AND {whose}"

Select = Callable[[str], list[dict[str, Any]]]
Row = Mapping[str, Any]


def problems(select: Select, live: Sequence[Post], *, profile_id: UUID | None = None) -> list[str]:
    """Every way in which they disagree; none is what is wanted.

    Args:
        select: reads rows.
        live: what is on X.
        profile_id: whose rows and posts these are; None for a database with one profile.
    """
    whose = "true" if profile_id is None else f"profile_id = '{profile_id}'"
    rows = select(f"SELECT * FROM tweets WHERE {whose} ORDER BY created_at, part")
    texts = {row["text"] for row in rows}
    times = Counter(post.text for post in live)
    found = [f"{text!r} is on X {number} times" for text, number in times.items() if number > 1]
    found += [f"{text!r} is on X and in no row" for text in times if text not in texts]
    posts = {post.text: post for post in live}
    for row in rows:
        found += _about_row(row, posts.get(row["text"]))
        found += _about_answer(row, posts.get(row["text"]), rows)
    # X said of these that they exist, so they count although nobody ever saw them.
    unseen = sum(row["reason"] == DUPLICATE_REFUSED for row in rows)
    return [*found, *_about_books(select, len(live) + unseen, whose)]


def different_days(select: Select) -> list[str]:
    """The days whose sums, kept over all profiles, are not those of the ledger."""
    return [f"a daily row differs from the ledger: {row}" for row in select(DIFFERENT_DAYS)]


def _about_row(row: Row, post: Post | None) -> Iterator[str]:
    text, status, reason = row["text"], row["status"], row["reason"]
    if status not in AT_REST:
        yield f"{text!r} is still {status}"
    elif status == "posted":
        if post is None or post.id != row["x_tweet_id"]:
            yield f"{text!r} is posted as {row['x_tweet_id']}, X has {post and post.id}"
    elif post is not None:
        yield f"{text!r} is {status} for {reason}, X has {post.id}"
    elif not reason:
        yield f"{text!r} is {status} for no reason"


def _about_answer(row: Row, post: Post | None, rows: Sequence[Row]) -> Iterator[str]:
    if post is None or row["part"] == 1:
        return
    before = [
        one["x_tweet_id"]
        for one in rows
        if one["thread_id"] == row["thread_id"] and one["part"] == row["part"] - 1
    ]
    if before != [post.reply_to]:
        yield f"{row['text']!r} answers {post.reply_to}, not {before}"


def _about_books(select: Select, counted: int, whose: str) -> Iterator[str]:
    states = {row["state"]: row["calls"] for row in select(POST_CALLS.format(whose=whose))}
    if states.get("settled", 0) != counted or states.keys() - {"settled", "released"}:
        yield f"the ledger's posts are {states}, {counted} count"
    for row in select(CLAIMED.format(whose=whose)):
        yield f"the slot {row['id']} is still claimed"

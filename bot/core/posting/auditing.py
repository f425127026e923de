"""The live timeline against the tables, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.content.text import fingerprint
from bot.core.model import LivePost, Tweet, TweetId

# A post this young may not be on the timeline yet.
TOO_YOUNG = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Where X and the tables differ.

    Attributes:
        missing: rows that say posted, with ids that the timeline should show and doesn't.
        foreign: ids of live posts that no row holds: made by hand or by another program.
        edited: rows whose live text is another.
    """

    missing: tuple[Tweet, ...] = ()
    foreign: tuple[str, ...] = ()
    edited: tuple[TweetId, ...] = ()


def compare(rows: Sequence[Tweet], live: Sequence[LivePost], *, complete: bool, now: datetime) -> Findings:
    """Compares rows that say posted with a read of the timeline, newest posts first.

    A read that was cut off says nothing about posts older than its last.
    """
    shown = {post.x_tweet_id: post for post in live}
    if not live and not complete:
        return Findings()
    oldest = 0 if complete else min(int(post.x_tweet_id) for post in live)
    missing, edited, known = [], [], set()
    for row in rows:
        if row.x_tweet_id is None:
            continue
        known.add(row.x_tweet_id)
        post = shown.get(row.x_tweet_id)
        if post is not None:
            if fingerprint(post.text, post.links) != row.fingerprint:
                edited.append(row.id)
        elif int(row.x_tweet_id) >= oldest and (row.posted_at is None or now - row.posted_at > TOO_YOUNG):
            missing.append(row)
    foreign = tuple(x_tweet_id for x_tweet_id in shown if x_tweet_id not in known)
    return Findings(missing=tuple(missing), foreign=foreign, edited=tuple(edited))

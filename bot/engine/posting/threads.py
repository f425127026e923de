"""Threads: a root that has the slot, and parts that follow one another."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.model import Tweet
from bot.core.posting.lifecycle import approved, broken_off
from bot.core.states import UNSENT, TweetStatus
from bot.ports import Transaction

_GONE = frozenset({TweetStatus.DELETED, TweetStatus.FAILED, TweetStatus.REJECTED})


def open_next_part(tx: Transaction, tweet: Tweet) -> None:
    """Lets the part after a live one go: from here on the thread is resumed at that part."""
    if tweet.thread_id is None:
        return
    for part in tx.tweets.parts(tweet.thread_id):
        if part.part == tweet.part + 1 and part.status is TweetStatus.DRAFTED:
            tx.tweets.save(approved(tx.tweets.lock(part.id)))


def break_thread(tx: Transaction, tweet: Tweet) -> None:
    """Gives up the parts after one that will never be live."""
    if tweet.thread_id is None:
        return
    for part in tx.tweets.parts(tweet.thread_id):
        if part.part > tweet.part and part.status in UNSENT:
            tx.tweets.save(broken_off(tx.tweets.lock(part.id)))


def following(tx: Transaction, tweet: Tweet) -> Sequence[Tweet]:
    """The parts after a tweet, in order; none after a single post."""
    if tweet.thread_id is None:
        return ()
    return [part for part in tx.tweets.parts(tweet.thread_id) if part.part > tweet.part]


def before(tx: Transaction, tweet: Tweet) -> Tweet | None:
    """The part that a tweet replies to; None before a root."""
    if tweet.thread_id is None or tweet.part == 1:
        return None
    return next(part for part in tx.tweets.parts(tweet.thread_id) if part.part == tweet.part - 1)


def is_broken(tx: Transaction, tweet: Tweet) -> bool:
    """Whether a part before this one will never be live, or is no more."""
    parts = tx.tweets.parts(tweet.thread_id) if tweet.thread_id is not None else ()
    return any(part.part < tweet.part and part.status in _GONE for part in parts)

"""Whether and when a refused post is tried again."""

from __future__ import annotations

import random
from datetime import timedelta

from bot.core.errors import Fatal, Retryable, ServiceError
from bot.core.model import Tweet
from bot.core.states import Origin

RETRY_FIRST = timedelta(seconds=5)
RETRY_LONGEST = timedelta(minutes=10)
MAX_ATTEMPTS = 8


def may_try_again(tweet: Tweet, error: ServiceError, *, queued: bool = False) -> bool:
    """Whether a definite refusal leads to another call later.

    A person's wish is not repeated behind their back, unless they queued it or it is being resent
    after an unknown outcome. Wrong keys and spent credits pass once an operator mends them.
    """
    if tweet.attempts >= MAX_ATTEMPTS:
        return False
    if tweet.origin is Origin.MANUAL and tweet.part == 1 and not (queued or tweet.resends):
        return False
    return isinstance(error, (Retryable, Fatal))


def backoff(attempts: int, *, rng: random.Random) -> timedelta:
    """The pause before the next attempt: doubles each time, with jitter so that workers spread out."""
    longest = min(RETRY_FIRST * 2 ** max(0, attempts - 1), RETRY_LONGEST)
    return timedelta(seconds=longest.total_seconds() * rng.uniform(0.5, 1.0))

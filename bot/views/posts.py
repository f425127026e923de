"""Posts and texts, and what became of a wish to post."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.content.guard import Judgement
from bot.core.content.rules import Problem
from bot.core.model import Profile, Tweet
from bot.engine.outcomes import Outcome
from bot.views.limits import verdict_json
from bot.views.plain import money


def outcome_json(outcome: Outcome, profile: Profile | None, timings: Mapping[str, float]) -> dict[str, Any]:
    """`run-once --json`."""
    return {
        "outcome": outcome.kind.value,
        "reason": outcome.reason,
        "profile": profile.handle if profile else None,
        "tweet": tweet_json(outcome.tweet) if outcome.tweet else None,
        "parts": [tweet_json(part) for part in outcome.parts],
        "queued": outcome.queued,
        "decision": verdict_json(outcome.verdict) if outcome.verdict else None,
        "timings_ms": {
            name: round(timings.get(name, 0.0), 1) for name in ("prepare", "publish", "store", "total")
        },
        "cost_usd": money(outcome.cost_usd),
    }


def tweet_json(tweet: Tweet) -> dict[str, Any]:
    """A tweet as programs see it."""
    return {
        "id": str(tweet.id),
        "x_tweet_id": tweet.x_tweet_id,
        "text": tweet.text,
        "status": tweet.status.value,
        "source": tweet.source.as_json() if tweet.source else None,
        "writer": tweet.writer,
    }


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """`check --json`."""
    return {
        "valid": judgement.valid,
        "weighted_length": judgement.weighted_length,
        "problems": problems_json(judgement.problems),
    }


def problems_json(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """What the guard has against a text."""
    return [{"rule": one.rule, "message": one.message} for one in problems]

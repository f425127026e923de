"""The queue, and what a person's acts made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.model import Slot
from bot.engine.queue import Queued
from bot.views.plain import money
from bot.views.posts import problems_json


def queue_json(found: Sequence[Queued]) -> dict[str, Any]:
    """`queue --json`."""
    return {"drafts": [draft_json(one) for one in found]}


def draft_json(queued: Queued) -> dict[str, Any]:
    """A post that is not sent yet, as programs see it; `parts` are those of a thread after the first."""
    tweet = queued.tweet
    return {
        "id": str(tweet.id),
        "text": tweet.text,
        "status": tweet.status.value,
        "reason": tweet.reason,
        "due_at": queued.due_at,
        "slot": str(tweet.slot_id) if tweet.slot_id else None,
        "format": queued.slot.format if queued.slot else None,
        "topic": tweet.topic,
        "cost_usd": money(queued.cost_usd),
        "source": tweet.source.as_json() if tweet.source else None,
        "writer": tweet.writer,
        "parts": [
            {"id": str(part.id), "text": part.text, "status": part.status.value} for part in queued.parts
        ],
        "problems": problems_json(queued.problems),
        "alternatives": [],
    }


def slot_json(slot: Slot) -> dict[str, Any]:
    """A slot that was moved or given up."""
    return {"slot": str(slot.id), "due_at": slot.due_at, "status": slot.status.value}

"""Decision rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.model import DecisionRecord
from bot.views.plain import amount


def decisions_json(decisions: Sequence[DecisionRecord]) -> dict[str, Any]:
    """`why --json`, newest first."""
    return {
        "decisions": [
            {
                "at": one.at,
                "last_at": one.last_at,
                "repeated": one.repeated,
                "kind": one.kind,
                "verdict": one.verdict,
                "reason": one.reason,
                "limit": one.limit,
                "used": amount(one.limit, one.used),
                "cap": amount(one.limit, one.cap),
                "until": one.until,
                "slot": str(one.slot_id) if one.slot_id else None,
                "tweet": str(one.tweet_id) if one.tweet_id else None,
                "numbers": one.numbers,
            }
            for one in decisions
        ]
    }

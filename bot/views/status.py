"""How a profile and the bot's parts stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.health import Check
from bot.core.model import Profile
from bot.engine.posting.auditing import Audit
from bot.engine.reports import StatusReport
from bot.views.limits import verdict_json
from bot.views.posts import tweet_json


def status_json(report: StatusReport) -> dict[str, Any]:
    """`status --json`."""
    profile = report.profile
    return {
        "as_of": report.as_of,
        "profile": profile.handle if profile else None,
        "mode": report.mode.value,
        "worker": {
            "alive": report.worker.alive,
            "since": report.worker.since,
            "last_beat": report.worker.last_beat,
            "mode": profile.mode.value if profile and report.worker.alive else None,
        },
        "paused": profile.paused if profile else False,
        "posts_per_day": report.posts_per_day,
        "next_slot": report.next_slot.due_at if report.next_slot else None,
        "last_post": tweet_json(report.last_post) if report.last_post else None,
        "last_post_at": report.last_post.posted_at if report.last_post else None,
        "unknown": report.open.get("unknown", 0) + report.open.get("publishing", 0),
        "unseen": report.unseen,
        "open": report.open,
        "decision": verdict_json(report.verdict),
    }


def reconciled_json(profile: Profile, unknown: int, found: Audit | None) -> dict[str, Any]:
    """`reconcile --json`."""
    audit = None
    if found is not None:
        audit = {
            "missing": [tweet.x_tweet_id for tweet in found.findings.missing],
            "deleted": list(found.deleted),
            "foreign": list(found.findings.foreign),
            "edited": [str(tweet_id) for tweet_id in found.findings.edited],
        }
    return {"profile": profile.handle, "unknown": unknown, "audit": audit}


def doctor_json(checks: Sequence[Check]) -> dict[str, Any]:
    """`doctor --json`."""
    return {
        "ok": all(check.status != "fail" for check in checks),
        "checks": [
            {"name": one.name, "status": one.status, "detail": one.detail, "fix": one.fix} for one in checks
        ],
    }

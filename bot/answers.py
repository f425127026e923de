"""Answers for programs: one JSON object each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.core.guard import Judgement
from bot.core.limits import Gauge, Verdict
from bot.core.model import DecisionRecord, Profile, Tweet

if TYPE_CHECKING:  # `check` answers without a database, and so without loading what speaks to one
    from bot.doctor import Check
    from bot.engine.auditing import Audit
    from bot.engine.looking import StatusReport, UsageReport
    from bot.engine.parts import Outcome


def to_json(value: Mapping[str, Any]) -> str:
    """One line of JSON; amounts of money as exact strings, moments as ISO 8601 in UTC."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


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


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A decision as programs see it."""
    return {
        "verdict": verdict.verdict,
        "limit": verdict.limit,
        "used": _amount(verdict.limit, verdict.used),
        "cap": _amount(verdict.limit, verdict.cap),
        "until": verdict.until,
        "reason": verdict.reason,
    }


def usage_json(report: UsageReport) -> dict[str, Any]:
    """`usage --json`."""
    return {
        "as_of": report.as_of,
        "limits": [_gauge_json(gauge) for gauge in report.gauges if gauge.name != "budget_usd"],
        "month": {
            "cost_usd": money(report.usage.cost_month),
            "budget_usd": None if report.limits.budget_usd is None else money(report.limits.budget_usd),
            "forecast_usd": money(report.forecast.cost_usd),
            "days_left": report.forecast.days_left,
            "posts_left": report.forecast.posts_left,
        },
        "drift": report.drift,
    }


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
                "used": _amount(one.limit, one.used),
                "cap": _amount(one.limit, one.cap),
                "until": one.until,
                "slot": str(one.slot_id) if one.slot_id else None,
                "tweet": str(one.tweet_id) if one.tweet_id else None,
                "numbers": one.numbers,
            }
            for one in decisions
        ]
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


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """`check --json`."""
    return {
        "valid": judgement.valid,
        "weighted_length": judgement.weighted_length,
        "problems": [{"rule": one.rule, "message": one.message} for one in judgement.problems],
    }


def doctor_json(checks: Sequence[Check]) -> dict[str, Any]:
    """`doctor --json`."""
    return {
        "ok": all(check.status != "fail" for check in checks),
        "checks": [
            {"name": one.name, "status": one.status, "detail": one.detail, "fix": one.fix} for one in checks
        ],
    }


def money(amount: Decimal) -> str:
    """An amount exactly, without an exponent."""
    plain = f"{amount.normalize():f}"
    return plain if "." in plain and len(plain.partition(".")[2]) > 1 else f"{amount:.2f}"


def _gauge_json(gauge: Gauge) -> dict[str, Any]:
    return {
        "name": gauge.name,
        "used": _amount(gauge.name, gauge.used),
        "cap": _amount(gauge.name, gauge.cap),
        "remaining": _amount(gauge.name, gauge.remaining),
        "window": gauge.window,
        "resets_at": gauge.resets_at,
    }


def _amount(name: str | None, value: Decimal | None) -> int | str | None:
    if value is None:
        return None
    return money(value) if name in {"budget_usd", "budget_pace"} else int(value)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)

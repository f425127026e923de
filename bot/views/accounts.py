"""Accounts, and where their keys come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.model import Plan, Profile


def accounts_json(found: Sequence[tuple[Profile, str]]) -> dict[str, Any]:
    """`accounts list --json`, oldest first: each profile, and `environment`, `credentials` or `none`."""
    return {"accounts": [profile_json(profile) | {"keys": source} for profile, source in found]}


def saved_json(profile: Profile, plan: Plan, *, replaced: bool) -> dict[str, Any]:
    """`accounts add --json`."""
    return profile_json(profile) | {"posts_per_day": plan.posts_per_day, "replaced": replaced}


def profile_json(profile: Profile) -> dict[str, Any]:
    """A profile as programs see it."""
    return {
        "profile": profile.handle,
        "id": str(profile.id),
        "x_user_id": profile.x_user_id,
        "mode": profile.mode.value,
        "timezone": profile.timezone,
        "paused": profile.paused,
    }

"""Onboarding: whoever runs the bot sets a profile up, or changes it, in one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import Profile
from bot.engine.context import Services
from bot.engine.decisions import DecisionRecorder


def set_up(
    services: Services, payload: Mapping[str, Any], *, user: UUID, known: Profile | None
) -> Mapping[str, Any]:
    """Sets a person's profile and plan up, for the account whose keys the environment holds.

    Args:
        services: what all profiles share.
        payload: as `finalize_onboarding` takes it.
        user: whose profile it is.
        known: the profile that the environment's keys serve, which becomes theirs.

    Returns:
        As `finalize_onboarding` answers.

    Raises:
        SettingError: a field holds what it may not, or they have another profile.
    """
    with services.database.transaction() as tx:
        if known is not None:
            tx.profiles.give(known.id, auth_user_id=user)
        answer = tx.profiles.finalize(payload, auth_user_id=user)
        # Whoever runs the bot means the environment's account by it.
        profile = tx.profiles.adopt(user)
        decisions = DecisionRecorder(
            tx=tx, kind=DecisionKind.OPERATOR, profile=profile, now=services.clock.now()
        )
        decisions.note(Ruling.PLANNED, "set up by the operator")
    return answer

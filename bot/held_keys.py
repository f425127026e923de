"""Where a profile's keys come from: the environment, rows, or nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bot.core.model import Profile


class KeySource(StrEnum):
    """Where a profile's keys come from."""

    ENVIRONMENT = "environment"
    CREDENTIALS = "credentials"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """Where a profile's keys come from, and those of the tables as they are kept there."""

    source: KeySource
    encrypted: str = field(default="", repr=False)


def held_by(profile: Profile, encrypted: str | None, *, own: Profile | None) -> HeldKeys:
    """Whose keys serve the profile: the environment's go before saved ones of the account that is its own."""
    if own is not None and profile.id == own.id:
        return HeldKeys(KeySource.ENVIRONMENT)
    return HeldKeys(KeySource.NONE) if encrypted is None else HeldKeys(KeySource.CREDENTIALS, encrypted)

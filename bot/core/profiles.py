"""Which profile is meant: by a person, or by whose keys the environment holds."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.errors import SettingError
from bot.core.model import Profile


def choose(
    profiles: Sequence[Profile], *, handle: str | None, x_user_id: str | None = None
) -> Profile | None:
    """The profile meant: by handle, by the account its keys belong to, else the first.

    Args:
        profiles: all of them, oldest first.
        handle: as a person gave it.
        x_user_id: whose keys the environment holds, where they tell. A profile that is known to
            be another account's is never chosen with these keys.

    Raises:
        SettingError: no profile has the handle.
    """
    if handle is not None:
        wanted = handle.removeprefix("@").lower()
        called = [one for one in profiles if one.handle.removeprefix("@").lower() == wanted]
        # Whoever signs in may call a profile anything; X says what an account is called.
        found = min(called, key=lambda one: (one.x_user_id is None, not one.adoptable), default=None)
        if found is None:
            raise SettingError(
                f"no profile is called @{wanted}", fix=f"profiles: {_names(profiles) or 'none yet'}"
            )
        return found
    if x_user_id is not None:
        profiles = sorted(
            (one for one in profiles if one.x_user_id in {x_user_id, None}),
            key=lambda one: one.x_user_id is None,
        )
    return profiles[0] if profiles else None


def only_one(profiles: Sequence[Profile]) -> Profile | None:
    """The one that is meant where a person names none; None where there is none.

    Raises:
        SettingError: there are several.
    """
    if len(profiles) > 1:
        raise SettingError(
            f"several accounts have saved keys: {_names(profiles)}", fix="say which: --profile HANDLE"
        )
    return profiles[0] if profiles else None


def _names(profiles: Sequence[Profile]) -> str:
    return ", ".join(f"@{one.handle.removeprefix('@')}" for one in profiles)


def own_profiles(found: Sequence[tuple[Profile, str | None]], owner: str | None) -> Sequence[Profile]:
    """The profiles that may be the environment's own.

    None with saved keys of another account, and none that a signed-in person set up for one that is not
    known: whoever may sign in would get the environment's account by that.

    Args:
        found: profiles with their encrypted keys, where some are saved.
        owner: whose keys the environment holds, where they tell.
    """
    return [
        one
        for one, saved in found
        if (saved is None or (owner is not None and one.x_user_id == owner)) and is_adoptable(one)
    ]


def is_adoptable(profile: Profile) -> bool:
    """Whether the environment's keys may serve it, if it is their account's or nobody's yet."""
    return profile.x_user_id is not None or profile.adoptable


def require_owner(profile: Profile, owner: str | None) -> None:
    """Refuses to act for a profile with the keys of another account, where the keys tell.

    Raises:
        SettingError: they are another account's, or the profile is a person's who never had them.
    """
    if not is_adoptable(profile):
        raise SettingError(
            f"@{profile.handle} was set up by a person who signed in, and has no keys yet",
            fix=f"save their own account's: python -m bot accounts add --user {profile.auth_user_id}; "
            f"or say that this one is theirs: python -m bot init --user {profile.auth_user_id}",
        )
    if owner is not None and profile.x_user_id not in {owner, None}:
        raise SettingError(
            f"@{profile.handle} is another account than the one X_ACCESS_TOKEN belongs to",
            fix="save that account's keys: python -m bot accounts add; or leave --profile out",
        )

"""Whose keys are these? Asked once, then remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.core.errors import Retryable, ServiceError, SettingError
from bot.core.limits import Wait
from bot.core.model import Account, CallId, Profile
from bot.core.states import CallState, Mode
from bot.engine.buying import state_after
from bot.engine.limits_agent import READ_ME
from bot.engine.parts import Parts

UNNAMED = "dry-run"


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
        found = next((one for one in profiles if one.handle.removeprefix("@").lower() == wanted), None)
        if found is None:
            known = ", ".join(f"@{one.handle.removeprefix('@')}" for one in profiles) or "none yet"
            raise SettingError(f"no profile is called @{wanted}", fix=f"profiles: {known}")
        return found
    if x_user_id is not None:
        profiles = sorted(
            (one for one in profiles if one.x_user_id in {x_user_id, None}),
            key=lambda one: one.x_user_id is None,
        )
    return profiles[0] if profiles else None


def identify(
    parts: Parts,
    *,
    timezone: str,
    mode: str,
    handle: str | None = None,
    token_user_id: str | None = None,
    needs_x: bool = True,
    keep: bool = False,
) -> Profile:
    """The profile that the environment's keys serve, made or completed on first use.

    Args:
        parts: what the engine works with.
        timezone: the environment's zone, which the profile takes over.
        mode: the environment's mode, which the profile takes over.
        handle: picks one of several profiles.
        token_user_id: whose keys they are, where the token tells.
        needs_x: whether X may be asked; a dry run does without.
        keep: whether zone and mode are written to the row, as the worker does. A command beside a
            worker goes by its own environment and leaves the worker's alone.

    Raises:
        Fatal, Retryable: X does not say whose keys they are.
        SettingError: no profile has the handle, or it is another account's.
    """
    with parts.database.transaction() as tx:
        profile = choose(tx.profiles.all(), handle=handle, x_user_id=token_user_id)
    if profile is not None and token_user_id is not None and profile.x_user_id not in {token_user_id, None}:
        raise SettingError(
            f"@{profile.handle} is another account than the one X_ACCESS_TOKEN belongs to",
            fix="give that account's keys, or leave --profile out",
        )
    if profile is None or (profile.x_user_id is None and needs_x):
        profile = _ask(parts, profile, timezone=timezone, mode=mode, needs_x=needs_x)
    if not keep:
        return replace(profile, timezone=timezone, mode=Mode(mode))
    if profile.timezone != timezone or profile.mode.value != mode:
        with parts.database.transaction() as tx:
            profile = tx.profiles.configure(profile.id, timezone=timezone, mode=mode)
    return profile


def _ask(parts: Parts, profile: Profile | None, *, timezone: str, mode: str, needs_x: bool) -> Profile:
    if not needs_x:
        with parts.database.transaction() as tx:
            tx.ledger.lock()
            made = next((one for one in tx.profiles.all() if one.x_user_id is None), None)
            return made or tx.profiles.create(handle=UNNAMED, x_user_id=None, timezone=timezone, mode=mode)
    account, call_id = _buy_account(parts)
    with parts.database.transaction() as tx:
        # Two processes that ask at once must not both make the profile.
        tx.ledger.lock()
        if profile is None:
            known = [one for one in tx.profiles.all() if one.x_user_id == account.x_user_id]
            profile = (
                known[0]
                if known
                else tx.profiles.create(
                    handle=account.username, x_user_id=account.x_user_id, timezone=timezone, mode=mode
                )
            )
        else:
            own = account.username if profile.handle == UNNAMED else profile.handle
            profile = tx.profiles.bind(profile.id, x_user_id=account.x_user_id, handle=own)
        tx.ledger.change(call_id, CallState.SETTLED, profile_id=profile.id)
    if profile.handle.removeprefix("@").lower() != account.username.lower():
        parts.log.warning("handle_differs", profile=profile.handle, x=account.username)
    parts.log.info("account_identified", handle=account.username)
    return profile


def _buy_account(parts: Parts) -> tuple[Account, CallId]:
    with parts.database.transaction() as tx:
        tx.ledger.lock()
        now = parts.clock.now()
        wanted = parts.limits.want_read(tx, READ_ME, "user_read", 1)
        verdict = parts.limits.judge(tx, None, wanted, now)
        if isinstance(verdict, Wait):
            raise Retryable(
                f"X can't be asked whose keys these are: {verdict.reason}",
                code=verdict.limit,
                until=verdict.until,
            )
        call = parts.limits.reserve(tx, wanted, profile_id=None, now=now)
    try:
        return parts.x.me(), call.id
    except ServiceError as error:
        with parts.database.transaction() as tx:
            tx.ledger.change(call.id, state_after(error))
        raise

"""Whose keys are these? Asked once, then remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.errors import Retryable, ServiceError, SettingError
from bot.core.model import Account, CallId, Profile
from bot.core.spending.limits import Wait
from bot.core.states import CallState, Mode
from bot.engine.context import Services
from bot.engine.spending.limits_agent import READ_ME
from bot.engine.spending.paid_reads import state_after
from bot.ports import X

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


def own_profiles(found: Sequence[tuple[Profile, str | None]], owner: str | None) -> Sequence[Profile]:
    """The profiles that may be the environment's own: not those with saved keys of another account.

    Args:
        found: profiles with their encrypted keys, where some are saved.
        owner: whose keys the environment holds, where they tell.
    """
    return [one for one, saved in found if saved is None or (owner is not None and one.x_user_id == owner)]


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnAccount:
    """The account whose keys the environment holds.

    Attributes:
        x: asks X with these keys.
        timezone: the environment's zone, which the profile takes over.
        mode: the environment's mode, which the profile takes over.
        token_user_id: whose keys they are, where the token tells.
        needs_x: whether X may be asked; a dry run does without.
    """

    x: X
    timezone: str
    mode: str
    token_user_id: str | None = None
    needs_x: bool = True


def identify(
    services: Services, account: OwnAccount, *, handle: str | None = None, keep: bool = False
) -> Profile:
    """The profile that the environment's keys serve, made or completed on first use.

    Args:
        services: database, limits, clock and log.
        account: what the environment says of it.
        handle: picks one of several profiles.
        keep: whether zone and mode are written to the row, as the worker does. A command beside a
            worker goes by its own environment and leaves the worker's alone.

    Raises:
        Fatal, Retryable: X does not say whose keys they are.
        SettingError: no profile has the handle, or it is another account's.
    """
    owner = account.token_user_id
    with services.database.transaction() as tx:
        found = tx.profiles.with_keys()
    profiles = [one for one, _ in found] if handle is not None else own_profiles(found, owner)
    profile = choose(profiles, handle=handle, x_user_id=owner)
    if profile is not None and owner is not None and profile.x_user_id not in {owner, None}:
        raise SettingError(
            f"@{profile.handle} is another account than the one X_ACCESS_TOKEN belongs to",
            fix="give that account's keys, or leave --profile out",
        )
    if profile is None or (profile.x_user_id is None and account.needs_x):
        profile = _ask(services, account, profile) if account.needs_x else _unnamed(services, account)
    if not keep:
        return replace(profile, timezone=account.timezone, mode=Mode(account.mode))
    if profile.timezone != account.timezone or profile.mode.value != account.mode:
        with services.database.transaction() as tx:
            profile = tx.profiles.configure(profile.id, timezone=account.timezone, mode=account.mode)
    return profile


def _unnamed(services: Services, account: OwnAccount) -> Profile:
    """A profile for dry runs, whose account nobody was asked for."""
    with services.database.transaction() as tx:
        tx.ledger.lock()
        made = next((one for one in tx.profiles.all() if one.x_user_id is None), None)
        return made or tx.profiles.create(
            handle=UNNAMED, x_user_id=None, timezone=account.timezone, mode=account.mode
        )


def _ask(services: Services, own: OwnAccount, profile: Profile | None) -> Profile:
    account, call_id = buy_account(services, own.x)
    with services.database.transaction() as tx:
        # Two processes that ask at once must not both make the profile.
        tx.ledger.lock()
        if profile is None:
            known = [one for one in tx.profiles.all() if one.x_user_id == account.x_user_id]
            profile = (
                known[0]
                if known
                else tx.profiles.create(
                    handle=account.username,
                    x_user_id=account.x_user_id,
                    timezone=own.timezone,
                    mode=own.mode,
                )
            )
        else:
            handle = account.username if profile.handle == UNNAMED else profile.handle
            profile = tx.profiles.bind(profile.id, x_user_id=account.x_user_id, handle=handle)
        tx.ledger.change(call_id, CallState.SETTLED, profile_id=profile.id)
    if profile.handle.removeprefix("@").lower() != account.username.lower():
        services.log.warning("handle_differs", profile=profile.handle, x=account.username)
    services.log.info("account_identified", handle=account.username)
    return profile


def buy_account(services: Services, x: X) -> tuple[Account, CallId]:
    """Asks X whose keys these are, within the limits; the call is booked and left to be settled.

    Raises:
        Retryable: a limit keeps X from being asked.
        ServiceError: X refuses, or doesn't answer.
    """
    with services.database.transaction() as tx:
        tx.ledger.lock()
        now = services.clock.now()
        wanted = services.limits.want_read(tx, READ_ME, "user_read", 1)
        verdict = services.limits.judge(tx, None, wanted, now)
        if isinstance(verdict, Wait):
            raise Retryable(
                f"X can't be asked whose keys these are: {verdict.reason}",
                code=verdict.limit,
                until=verdict.until,
            )
        call = services.limits.reserve(tx, wanted, profile_id=None, now=now)
    try:
        return x.me(), call.id
    except ServiceError as error:
        with services.database.transaction() as tx:
            tx.ledger.change(call.id, state_after(error))
        raise

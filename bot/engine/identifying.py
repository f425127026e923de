"""Whose keys are these? Asked once, then remembered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from bot.core.errors import Retryable, ServiceError
from bot.core.model import Account, Call, CallId, Profile
from bot.core.profiles import choose, is_adoptable, own_profiles, require_owner
from bot.core.spending.limits import Wait
from bot.core.states import CallState, Mode
from bot.engine.context import Services
from bot.engine.spending.limits_agent import READ_ME
from bot.engine.spending.paid_reads import state_after
from bot.ports import Transaction, X

UNNAMED = "dry-run"
# What a profile is called that was set up without a handle.
_NAMELESS = frozenset({UNNAMED, "unnamed"})


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnAccount:
    """The account whose keys the environment holds.

    Attributes:
        x: asks X with these keys.
        timezone: the environment's zone, which the profile takes over.
        mode: the environment's mode, which the profile takes over.
        token_user_id: whose keys they are, where the token tells.
        needs_x: whether X may be asked; a dry run does without.
        said: which settings the environment names; what a person chose for a profile goes before the others.
    """

    x: X
    timezone: str
    mode: str
    token_user_id: str | None = None
    needs_x: bool = True
    said: frozenset[str] = frozenset({"bot_timezone", "bot_mode"})


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
    profile = _known_profile(services, account.token_user_id, handle)
    if profile is None or (profile.x_user_id is None and account.needs_x):
        profile = (
            _ask_x(services, account, profile) if account.needs_x else _unnamed_profile(services, account)
        )
    zone = _in_force(account.said, profile, "timezone", account.timezone)
    mode = Mode(_in_force(account.said, profile, "mode", account.mode))
    if keep and (zone, mode) != (profile.timezone, profile.mode):
        with services.database.transaction() as tx:
            return tx.profiles.configure(profile.id, timezone=zone, mode=mode)
    return replace(profile, timezone=zone, mode=mode)


def _in_force(said: Collection[str], profile: Profile, name: str, value: str) -> str:
    """The environment's value where it says one, else what a person chose, else the default."""
    return value if f"bot_{name}" in said else str(profile.chosen.get(name, value))


def _known_profile(services: Services, owner: str | None, handle: str | None) -> Profile | None:
    """The profile that rows hold for these keys."""
    with services.database.transaction() as tx:
        found = tx.profiles.with_keys()
    profiles = [one for one, _ in found] if handle is not None else own_profiles(found, owner)
    profile = choose(profiles, handle=handle, x_user_id=owner)
    if profile is not None:
        require_owner(profile, owner)
    return profile


def _unnamed_profile(services: Services, own: OwnAccount) -> Profile:
    """A profile for dry runs, whose account nobody was asked for."""
    with services.database.transaction() as tx:
        tx.ledger.lock()
        return _profile_of(tx, own, None, handle=UNNAMED)


def _profile_of(tx: Transaction, own: OwnAccount, x_user_id: str | None, *, handle: str) -> Profile:
    """The account's profile, made when there is none."""
    known = next((one for one in tx.profiles.all() if one.x_user_id == x_user_id and is_adoptable(one)), None)
    return known or tx.profiles.create(
        handle=handle, x_user_id=x_user_id, timezone=own.timezone, mode=own.mode
    )


def _ask_x(services: Services, own: OwnAccount, profile: Profile | None) -> Profile:
    account, call_id = buy_account(services, own.x)
    with services.database.transaction() as tx:
        # Two processes that ask at once must not both make the profile.
        tx.ledger.lock()
        if profile is None:
            profile = _profile_of(tx, own, account.x_user_id, handle=account.username)
        else:
            handle = account.username if profile.handle in _NAMELESS else profile.handle
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
    call = _reserve_user_read(services)
    try:
        return x.me(), call.id
    except ServiceError as error:
        with services.database.transaction() as tx:
            tx.ledger.change(call.id, state_after(error))
        raise


def _reserve_user_read(services: Services) -> Call:
    with services.database.transaction() as tx:
        tx.ledger.lock()
        now = services.clock.now()
        wanted = services.limits.want_read(tx, READ_ME, "user_read", 1)
        verdict = services.limits.judge(tx, None, wanted, now)
        if not isinstance(verdict, Wait):
            return services.limits.reserve(tx, wanted, profile_id=None, now=now)
    raise Retryable(
        f"X can't be asked whose keys these are: {verdict.reason}", code=verdict.limit, until=verdict.until
    )

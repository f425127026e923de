"""Accounts' keys as an operator handles them: saved, removed, tried, encrypted anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from bot.accounts import ADD_KEYS
from bot.bootstrap import Bot
from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import BotError, Fatal, SettingError
from bot.core.model import Account, Plan, Profile
from bot.core.profiles import choose
from bot.core.states import CallState
from bot.engine.decisions import DecisionRecorder
from bot.engine.identifying import buy_account
from bot.held_keys import HeldKeys, KeySource
from bot.ports import Transaction
from bot.redaction import hide
from bot.x.keys import app_id


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileWish:
    """What is wanted of an account's profile; None leaves it, or the environment's word for a new one.

    `user` is whose the account is: it goes to the profile that they set up, where it has none.
    """

    timezone: str | None = None
    mode: str | None = None
    posts_per_day: int | None = None
    user: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """The profile whose keys were saved, its active plan, and whether it had keys before."""

    profile: Profile
    plan: Plan
    replaced: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What X said of a profile's keys."""

    profile: Profile
    source: KeySource
    accepted: bool
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """How many profiles' keys were encrypted anew, and whose no secret key reads."""

    rotated: int
    unreadable: Sequence[Profile]


def save_keys(bot: Bot, keys: Mapping[str, str], wish: ProfileWish) -> Saved:
    """Asks X whose the keys are, and keeps them encrypted with that account's profile.

    The profile is made when there is none, and gets an active plan when it has none.

    Raises:
        SettingError: there is no secret key; X is not asked then.
        Fatal, Retryable: X does not say whose keys they are; nothing is saved.
    """
    bot.accounts.cipher.require()
    hide(keys.values())
    account, call_id = buy_account(bot.services, bot.adapters.client(keys))
    with bot.manager.transaction() as tx:
        # Two processes that save at once must not both make the profile.
        tx.ledger.lock()
        rows = ((one, held) for one, held in tx.profiles.with_keys() if one.x_user_id == account.x_user_id)
        known, before = next(rows, (None, None))
        if wish.user is not None:
            known = _of_person(tx, known, account, wish.user)
        profile = _profile_of(bot, tx, account, wish, known=known)
        tx.credentials.put(profile.id, bot.accounts.cipher.encrypt(keys))
        if (app := app_id(keys["api_key"])) is not None:
            tx.profiles.use_app(profile.id, app)
        plan = _plan_of(bot, tx, profile, wish.posts_per_day)
        tx.ledger.change(call_id, CallState.SETTLED, profile_id=profile.id)
        _note(bot, tx, profile, Ruling.KEYS_SAVED, "keys saved by the operator, encrypted")
    return Saved(profile=profile, plan=plan, replaced=before is not None)


def remove_keys(bot: Bot, handle: str) -> Profile:
    """Deletes a profile's saved keys; all its other rows stay.

    Raises:
        SettingError: no profile has the handle, or it has no saved keys.
    """
    with bot.manager.transaction() as tx:
        # Whoever encrypts all keys anew must not put these back.
        tx.ledger.lock()
        profile = choose(tx.profiles.all(), handle=handle)
        if profile is None or not tx.credentials.remove(profile.id):
            raise SettingError(
                f"no keys are saved for @{handle.removeprefix('@')}", fix="see: python -m bot accounts list"
            )
        _note(bot, tx, profile, Ruling.KEYS_REMOVED, "saved keys removed by the operator")
    return profile


def try_keys(bot: Bot, handle: str | None = None) -> Iterator[Trial]:
    """Asks X with each profile's keys whose they are; one that fails ends nothing for the others.

    Args:
        bot: whose accounts.
        handle: tries this profile alone.

    Raises:
        SettingError: no profile has the handle.
    """
    with bot.manager.transaction() as tx:
        found = list(bot.accounts.held_keys(tx))
    if handle is not None:
        chosen = choose([profile for profile, _ in found], handle=handle)
        found = [(profile, held) for profile, held in found if profile == chosen]
    else:
        found = [(profile, held) for profile, held in found if held.source is not KeySource.NONE]
    return (_try(bot, profile, held) for profile, held in found)


def rotate_keys(bot: Bot) -> Rotation:
    """Encrypts all saved keys anew, by the first secret key.

    Raises:
        SettingError: there is no secret key.
    """
    bot.accounts.cipher.require()
    rotated, unreadable = 0, []
    with bot.manager.transaction() as tx:
        # Keys that are saved meanwhile must not be replaced by those before them.
        tx.ledger.lock()
        for profile, encrypted in tx.profiles.with_keys():
            if encrypted is None:
                continue
            try:
                tx.credentials.put(profile.id, bot.accounts.cipher.rotate(encrypted))
            except Fatal:
                unreadable.append(profile)
                continue
            rotated += 1
            _note(bot, tx, profile, Ruling.KEYS_SAVED, "saved keys encrypted anew by the operator")
    return Rotation(rotated=rotated, unreadable=unreadable)


def _of_person(tx: Transaction, known: Profile | None, account: Account, user: UUID) -> Profile:
    """The account's profile as a person's, or the one that they set up for it.

    Raises:
        SettingError: they have none, or one of another account.
    """
    if known is not None:
        tx.profiles.give(known.id, auth_user_id=user)
        return known
    theirs = next((one for one in tx.profiles.all() if one.auth_user_id == user), None)
    if theirs is None:
        fix = f"set it up first: python -m bot init --user {user}"
        raise SettingError(f"{user} has no profile that @{account.username} could be for", fix=fix)
    if theirs.x_user_id is not None:
        raise SettingError(f"{user} has a profile already, @{theirs.handle}", fix="leave --user out")
    return theirs


def _profile_of(
    bot: Bot, tx: Transaction, account: Account, wish: ProfileWish, *, known: Profile | None
) -> Profile:
    """The account's profile as it is wanted, under the handle that X tells."""
    if known is None:
        return tx.profiles.create(
            handle=account.username,
            x_user_id=account.x_user_id,
            timezone=wish.timezone or bot.settings.bot_timezone,
            mode=wish.mode or bot.settings.bot_mode,
        )
    profile = tx.profiles.bind(known.id, x_user_id=account.x_user_id, handle=account.username)
    return tx.profiles.configure(
        profile.id, timezone=wish.timezone or profile.timezone, mode=wish.mode or profile.mode.value
    )


def _plan_of(bot: Bot, tx: Transaction, profile: Profile, posts_per_day: int | None) -> Plan:
    plan = tx.plans.active(profile.id)
    if plan is not None and posts_per_day in {None, plan.posts_per_day}:
        return plan
    wanted = bot.settings.bot_posts_per_day if posts_per_day is None else posts_per_day
    return tx.plans.start(profile.id, posts_per_day=wanted)


def _try(bot: Bot, profile: Profile, held: HeldKeys) -> Trial:
    try:
        detail = _ask(bot, profile)
    except BotError as error:
        return Trial(profile=profile, source=held.source, accepted=False, detail=error.line)
    return Trial(profile=profile, source=held.source, accepted=True, detail=detail)


def _ask(bot: Bot, profile: Profile) -> str:
    """What X says of the profile's keys, once it takes them for the profile's own.

    Raises:
        BotError: it doesn't.
    """
    account, call_id = buy_account(bot.services, bot.accounts.context(profile).x)
    with bot.manager.transaction() as tx:
        tx.ledger.change(call_id, CallState.SETTLED, profile_id=profile.id)
    if profile.x_user_id not in {None, account.x_user_id}:
        raise Fatal(f"X says that they are @{account.username}'s", fix=ADD_KEYS)
    if account.username.lower() != profile.handle.removeprefix("@").lower():
        return f"X takes them, and calls the account @{account.username} now"
    return "X takes them"


def _note(bot: Bot, tx: Transaction, profile: Profile, ruling: Ruling, reason: str) -> None:
    DecisionRecorder(tx=tx, kind=DecisionKind.OPERATOR, profile=profile, now=bot.clock.now()).note(
        ruling, reason
    )

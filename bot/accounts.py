"""Whose keys there are, and each profile's own client, made when it is first needed."""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from bot.adapters import Adapters
from bot.core.errors import BotError, Fatal
from bot.core.model import Profile, ProfileId
from bot.core.profiles import choose, only_one, own_profiles
from bot.core.states import Mode
from bot.encryption import Cipher
from bot.engine.context import ProfileContext, Services
from bot.engine.identifying import OwnAccount
from bot.held_keys import HeldKeys, KeySource, held_by
from bot.redaction import hide
from bot.settings import Settings
from bot.x.keyless import KeylessX
from bot.x.keys import app_id, token_user_id

if TYPE_CHECKING:
    from bot.ports import Transaction, X

ADD_KEYS = "save them: python -m bot accounts add"


@dataclass(frozen=True, slots=True)
class _Own:
    """What is one profile's own, and the keys it was made with."""

    held: HeldKeys
    x: X
    app_id: str | None
    rng: random.Random


@dataclass
class Accounts:
    """The account that the environment's keys serve, and those whose keys are saved.

    Threads may ask it at once.

    Attributes:
        settings: what the environment says.
        services: what all profiles share.
        adapters: the writer and sources that all share, and what makes a client.
        x_keys: the environment's four keys, by their name in `XClient`.
        owner: whose the environment's keys are, where the token tells.
    """

    settings: Settings
    services: Services
    adapters: Adapters
    x_keys: dict[str, str]
    owner: str | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    _held: dict[ProfileId, HeldKeys] = field(default_factory=dict, init=False, repr=False)
    _own_parts: dict[ProfileId, _Own] = field(default_factory=dict, init=False, repr=False)
    _apps: dict[ProfileId, str | None] = field(default_factory=dict, init=False, repr=False)

    def context(self, profile: Profile) -> ProfileContext:
        """The profile with its client, writer and sources, and the services.

        A profile's client is kept from one call to the next, so that its connection to X is. It is
        made anew once `profiles` has seen other keys. Without keys that can be used, its calls
        raise Fatal.
        """
        own = self._own_parts_of(profile)
        self._keep_app(profile, own.app_id)
        with self._lock:
            sources, writer = self.adapters.sources, self.adapters.writer
        return ProfileContext.of(
            self.services, profile=profile, x=own.x, sources=sources, writer=writer, rng=own.rng
        )

    def profiles(self, tx: Transaction) -> Sequence[Profile]:
        """The profiles that a worker runs: the environment's own, and all whose keys are saved.

        With `BOT_MODE=dry-run` all of them run dry.
        """
        found = self.held_keys(tx)
        return [self._as_run(profile) for profile, held in found if held.source is not KeySource.NONE]

    def those(
        self, tx: Transaction, profile_ids: Sequence[ProfileId], *, own: Collection[ProfileId]
    ) -> Sequence[Profile]:
        """The profiles as they stand, of those named that a worker runs; in one statement.

        Args:
            tx: where the rows are read.
            profile_ids: whose.
            own: those whose keys the environment holds.
        """
        found = []
        for profile, encrypted in tx.profiles.with_keys(profile_ids):
            held = held_by(profile, encrypted, own=profile if profile.id in own else None)
            if held.source is not KeySource.NONE:
                self._keep(profile, held)
                found.append(self._as_run(profile))
        return found

    def _keep(self, profile: Profile, held: HeldKeys) -> None:
        with self._lock:
            self._apps[profile.id] = profile.app
            if self._held.get(profile.id) != held:
                self._held[profile.id] = held
                self._own_parts.pop(profile.id, None)

    def held_keys(self, tx: Transaction) -> Sequence[tuple[Profile, HeldKeys]]:
        """Every profile, oldest first, with where its keys come from now; in one statement."""
        rows = tx.profiles.with_keys()
        own = self._own_of(rows)
        found = [(profile, held_by(profile, encrypted, own=own)) for profile, encrypted in rows]
        with self._lock:
            self._held = {profile.id: held for profile, held in found}
            self._apps = {profile.id: profile.app for profile, _ in found}
            self._own_parts = {
                one: parts for one, parts in self._own_parts.items() if self._held.get(one) == parts.held
            }
        return found

    def saved(self, handle: str | None) -> Profile | None:
        """The profile that a command is for, where it acts with saved keys and not the environment's.

        Args:
            handle: as a person gave it; without one the environment's own profile goes before.

        Raises:
            SettingError: no profile has the handle.
        """
        if handle is None and all(self.x_keys.values()):
            return None
        found, saved = self._all_and_saved()
        among = saved if handle is None else found
        chosen = choose(among, handle=handle)
        return self._as_run(chosen) if chosen is not None and chosen in saved else None

    def meant(self, handle: str | None) -> str | None:
        """The handle of the account that a command acts for; None for the environment's own.

        Args:
            handle: as a person gave it.

        Raises:
            SettingError: none was given, and several accounts have saved keys.
        """
        if handle is not None or all(self.x_keys.values()):
            return handle
        _, saved = self._all_and_saved()
        one = only_one(saved)
        return None if one is None else one.handle

    def _all_and_saved(self) -> tuple[Sequence[Profile], Sequence[Profile]]:
        """Every profile, and those that act with saved keys."""
        with self.services.database.transaction() as tx:
            found = self.held_keys(tx)
        saved = [profile for profile, held in found if held.source is KeySource.CREDENTIALS]
        return [profile for profile, _ in found], saved

    @property
    def has_own(self) -> bool:
        """Whether the environment holds an account's keys, or wants a dry run without any."""
        return self.settings.bot_mode == "dry-run" or all(self.x_keys.values())

    @property
    def own(self) -> OwnAccount:
        """What the environment says of its account."""
        return OwnAccount(
            x=self.x,
            timezone=self.settings.bot_timezone,
            mode=self.settings.bot_mode,
            said=frozenset(self.settings.model_fields_set),
            token_user_id=self.owner,
            needs_x=self.settings.bot_mode != "dry-run" or all(self.x_keys.values()),
        )

    @cached_property
    def cipher(self) -> Cipher:
        """What encrypts and reads saved keys."""
        return Cipher(self.settings.secret_keys)

    @cached_property
    def x(self) -> X:
        """The environment's account on X."""
        return self.adapters.client(self.x_keys)

    def require_usable(self, profile: Profile) -> None:
        """Refuses to go on where no keys can be used for the profile.

        Raises:
            Fatal: there are none, no secret key reads them, or they are another account's.
        """
        x = self._own_parts_of(profile).x
        if isinstance(x, KeylessX):
            x.me()

    def _own_of(self, rows: Sequence[tuple[Profile, str | None]]) -> Profile | None:
        """The profile that the environment's keys serve, where there are any or none are needed."""
        if not self.has_own:
            return None
        return choose(own_profiles(rows, self.owner), handle=None, x_user_id=self.owner)

    def _as_run(self, profile: Profile) -> Profile:
        return replace(profile, mode=Mode.DRY_RUN) if self.settings.bot_mode == "dry-run" else profile

    def _own_parts_of(self, profile: Profile) -> _Own:
        with self._lock:
            known = profile.id in self._held
        if not known:
            with self.services.database.transaction() as tx:
                self.held_keys(tx)
        with self._lock:
            kept = self._own_parts.get(profile.id)
            if kept is None:
                held = self._held.get(profile.id, HeldKeys(KeySource.NONE))
                chance = random.Random()  # noqa: S311 - guards nothing
                kept = self._own_parts[profile.id] = _Own(held, *self._x_with(held, profile), chance)
            return kept

    def _keep_app(self, profile: Profile, app: str | None) -> None:
        """Writes down which app acts for the profile, before X is called: its limits bind all it acts for."""
        if app is None or self._apps.get(profile.id) == app:
            return
        with self.services.database.transaction() as tx:
            tx.profiles.use_app(profile.id, app)
        self._apps[profile.id] = app

    def _x_with(self, held: HeldKeys, profile: Profile) -> tuple[X, str | None]:
        """The profile's account on X and its app; without keys for it, one that refuses every call."""
        if held.source is KeySource.ENVIRONMENT:
            return self.x, app_id(self.x_keys["api_key"])
        try:
            keys = self._decrypted(held, profile)
            return self.adapters.client(keys), app_id(keys["api_key"])
        except BotError as error:
            self.services.log.warning(
                "keys_unusable", profile=profile.handle, code=error.code, error=error.line
            )
            return KeylessX(str(error), fix=error.fix), None

    def _decrypted(self, held: HeldKeys, profile: Profile) -> Mapping[str, str]:
        """The keys that are saved for the profile.

        Raises:
            Fatal: there are none, no secret key reads them, or they are another account's.
            SettingError: there is no secret key.
        """
        if held.source is KeySource.NONE:
            raise Fatal(f"there are no keys for @{profile.handle.removeprefix('@')}", fix=ADD_KEYS)
        keys = self.cipher.decrypt(held.encrypted)
        hide(keys.values())
        # Whoever can write rows could have put one account's keys in another's place.
        if token_user_id(keys["access_token"]) not in {None, profile.x_user_id}:
            raise Fatal(
                f"the keys saved for @{profile.handle.removeprefix('@')} are another account's", fix=ADD_KEYS
            )
        return keys

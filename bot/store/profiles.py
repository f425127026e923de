"""Profiles and run-time settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    Connection,
    RowMapping,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError

from bot.core.errors import SettingError
from bot.core.model import Profile, ProfileId
from bot.core.states import Mode
from bot.ports import Config, Profiles
from bot.store.rows.access import CREDENTIALS
from bot.store.rows.posting import CONFIG, PROFILES


@dataclass(frozen=True)
class ProfileTable(Profiles):
    """`profiles`."""

    connection: Connection

    def all(self) -> Sequence[Profile]:
        """Every profile, oldest first."""
        return [_profile(row) for row in self.connection.execute(_PROFILES).mappings()]

    def with_keys(self, only: Sequence[ProfileId] | None = None) -> Sequence[tuple[Profile, str | None]]:
        """Every profile or those named, oldest first, with its encrypted keys where it has some."""
        statement = _PROFILES_WITH_KEYS if only is None else _SOME_WITH_KEYS
        return [
            (Profile(**dict(zip(_NAMES, values, strict=True))), keys)
            for *values, keys in self.connection.execute(statement, {"only": list(only or ())})
        ]

    def create(self, *, handle: str, x_user_id: str | None, timezone: str, mode: str) -> Profile:
        """Adds a profile."""
        statement = (
            insert(PROFILES)
            .values(
                auth_user_id=uuid4(), handle=handle, x_user_id=x_user_id, timezone=timezone, mode=Mode(mode)
            )
            .returning(*_PROFILE_COLUMNS)
        )
        return _profile(self.connection.execute(statement).mappings().one())

    def finalize(self, payload: Mapping[str, Any], *, auth_user_id: UUID) -> Mapping[str, Any]:
        """Sets a person's profile and plan up, or changes them, as `finalize_onboarding` does for PostgREST.

        Args:
            payload: what is wished for; each part has a default.
            auth_user_id: whose profile it is.

        Returns:
            Profile, plan and role.

        Raises:
            SettingError: a field holds what it may not.
        """
        self.connection.execute(_SIGN_IN, {"claims": json.dumps({"sub": str(auth_user_id)})})
        try:
            with self.connection.begin_nested():
                asked = self.connection.execute(_FINALIZE, {"payload": dict(payload)})
                answer: Mapping[str, Any] = asked.scalar_one()
        except DBAPIError as error:
            told = getattr(error.orig, "diag", None)
            if told is None or told.sqlstate != _INVALID:
                raise
            raise SettingError(told.message_primary or "", fix=told.message_hint or "") from error
        return answer

    def give(self, profile_id: ProfileId, *, auth_user_id: UUID) -> None:
        """Makes a profile a person's.

        Raises:
            SettingError: they have another.
        """
        statement = select(PROFILES.c.handle).where(
            PROFILES.c.auth_user_id == auth_user_id, PROFILES.c.id != profile_id
        )
        other = self.connection.scalar(statement)
        if other is not None:
            raise SettingError(
                f"{auth_user_id} has a profile already, @{other}",
                fix="remove one of the two, or leave --user out",
            )
        self._change(profile_id, auth_user_id=auth_user_id)

    def adopt(self, auth_user_id: UUID) -> Profile:
        """Lets the environment's keys serve the person's profile."""
        statement = update(PROFILES).where(PROFILES.c.auth_user_id == auth_user_id).values(adoptable=True)
        row = self.connection.execute(statement.returning(*_PROFILE_COLUMNS)).mappings().one()
        return _profile(row)

    def bind(self, profile_id: ProfileId, *, x_user_id: str, handle: str) -> Profile:
        """Remembers whose keys serve the profile."""
        return self._change(profile_id, x_user_id=x_user_id, handle=handle)

    def use_app(self, profile_id: ProfileId, app_id: str) -> None:
        """Remembers which X app the profile's keys belong to, by the app's fingerprint."""
        statement = update(PROFILES).where(
            PROFILES.c.id == profile_id, PROFILES.c.app.is_distinct_from(app_id)
        )
        self.connection.execute(statement.values(app=app_id))

    def configure(self, profile_id: ProfileId, *, timezone: str, mode: str) -> Profile:
        """Takes the environment's zone and mode over."""
        return self._change(profile_id, timezone=timezone, mode=Mode(mode))

    def choose(self, profile_id: ProfileId, **chosen: Any) -> None:
        """Remembers what a person chose: it holds where the environment says nothing."""
        self._change(profile_id, chosen=PROFILES.c.chosen.op("||")(cast(chosen, JSONB)))

    def pause(self, profile_id: ProfileId, *, paused: bool, reason: str | None) -> Profile:
        """Stops or resumes posting."""
        return self._change(profile_id, paused=paused, pause_reason=reason)

    def _change(self, profile_id: ProfileId, **values: Any) -> Profile:
        statement = (
            update(PROFILES).where(PROFILES.c.id == profile_id).values(**values).returning(*_PROFILE_COLUMNS)
        )
        return _profile(self.connection.execute(statement).mappings().one())


@dataclass
class ConfigTable(Config):
    """`bot_config`, read once a transaction: one decision weighs by one set of settings."""

    connection: Connection
    _read: dict[str, Any] | None = field(default=None, init=False, repr=False)

    def get(self, key: str) -> Any:
        """The value, or None."""
        if self._read is None:
            self._read = {row.key: row.value for row in self.connection.execute(_SETTINGS)}
        return self._read.get(key)

    def put(self, key: str, value: Any) -> None:
        """Sets it."""
        statement = upsert(CONFIG).values(key=key, value=value)
        self._read = None
        self.connection.execute(
            statement.on_conflict_do_update(
                index_elements=[CONFIG.c.key], set_={"value": statement.excluded.value}
            )
        )


_COLUMN = PROFILES.c
_PROFILE_COLUMNS = (
    _COLUMN.id,
    _COLUMN.auth_user_id,
    _COLUMN.handle,
    _COLUMN.x_user_id,
    _COLUMN.timezone,
    _COLUMN.mode,
    _COLUMN.paused,
    _COLUMN.pause_reason,
    _COLUMN.app,
    _COLUMN.adoptable,
    _COLUMN.chosen,
)
_NAMES = tuple(column.name for column in _PROFILE_COLUMNS)
# What every tick asks is built once: building a statement takes longer than its answer.
_PROFILES = select(*_PROFILE_COLUMNS).order_by(PROFILES.c.created_at, PROFILES.c.id)
_PROFILES_WITH_KEYS = _PROFILES.add_columns(CREDENTIALS.c.encrypted_keys).outerjoin_from(
    PROFILES, CREDENTIALS, CREDENTIALS.c.profile_id == PROFILES.c.id
)
_SOME_WITH_KEYS = _PROFILES_WITH_KEYS.where(PROFILES.c.id == any_(bindparam("only", type_=ARRAY(Uuid))))
# The function's own word for a field that it refuses.
_INVALID = "PT422"
_SIGN_IN = text("SELECT set_config('request.jwt.claims', :claims, true)")
_FINALIZE = select(func.finalize_onboarding(bindparam("payload", type_=JSONB)))
_SETTINGS = select(CONFIG.c.key, CONFIG.c.value)


def _profile(row: RowMapping) -> Profile:
    return Profile(**row)

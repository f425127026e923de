"""Profiles' keys, which arrive encrypted and leave encrypted."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.postgresql import insert as upsert

from bot.core.model import ProfileId
from bot.ports import Credentials
from bot.store.rows.access import CREDENTIALS


@dataclass(frozen=True)
class CredentialTable(Credentials):
    """`credentials`."""

    connection: Connection

    def put(self, profile_id: ProfileId, encrypted_keys: str) -> None:
        """Keeps a profile's keys in place of those it had."""
        statement = upsert(CREDENTIALS).values(profile_id=profile_id, encrypted_keys=encrypted_keys)
        self.connection.execute(
            statement.on_conflict_do_update(
                index_elements=[CREDENTIALS.c.profile_id],
                set_={"encrypted_keys": statement.excluded.encrypted_keys},
            )
        )

    def remove(self, profile_id: ProfileId) -> bool:
        """Deletes a profile's keys; False when there are none."""
        statement = delete(CREDENTIALS).where(CREDENTIALS.c.profile_id == profile_id)
        return self.connection.execute(statement).rowcount == 1

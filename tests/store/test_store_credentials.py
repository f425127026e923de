"""Profiles' own keys: put, replaced, removed, and listed beside the profiles."""

from __future__ import annotations

from sqlalchemy import text

from bot.core.model import Profile
from bot.store.manager import DatabaseManager


def test_a_profile_comes_with_the_keys_it_was_given_last(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        assert tx.profiles.with_keys() == [(profile, None), (neighbour, None)]
        tx.credentials.put(neighbour.id, "first")
        tx.credentials.put(neighbour.id, "second")
        assert tx.profiles.with_keys() == [(profile, None), (neighbour, "second")]


def test_removed_keys_are_gone_and_the_profile_stays(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        for one in (profile, neighbour):
            tx.credentials.put(one.id, "keys")
        assert tx.credentials.remove(profile.id)
        assert not tx.credentials.remove(profile.id)
        assert tx.profiles.with_keys() == [(profile, None), (neighbour, "keys")]


def test_a_deleted_profile_takes_its_keys_along(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.credentials.put(profile.id, "keys")
        tx.connection.execute(text("DELETE FROM profiles"))
        assert tx.connection.scalar(text("SELECT count(*) FROM credentials")) == 0

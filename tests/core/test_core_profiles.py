"""Which profile is meant."""

from __future__ import annotations

from uuid import UUID

import pytest

from bot.core.errors import SettingError
from bot.core.model import Profile, ProfileId
from bot.core.profiles import choose, own_profiles, require_owner
from bot.core.states import Mode


def called(handle: str, x_user_id: str | None = None) -> Profile:
    return Profile(
        id=ProfileId(UUID(int=len(handle))),
        auth_user_id=UUID(int=0),
        handle=handle,
        x_user_id=x_user_id,
        timezone="UTC",
        mode=Mode.AUTO,
        paused=False,
        pause_reason=None,
    )


ONE, OTHER, NEW = called("one", "1"), called("@Other", "2"), called("newcomer")


@pytest.mark.parametrize(
    ("handle", "found"), [("one", ONE), ("@ONE", ONE), ("other", OTHER), ("@other", OTHER), (None, ONE)]
)
def test_a_profile_is_found_by_its_handle_and_without_one_it_is_the_first(
    handle: str | None, found: Profile
) -> None:
    assert choose([ONE, OTHER], handle=handle) is found


@pytest.mark.parametrize(
    ("profiles", "known"), [([ONE, OTHER], "profiles: @one, @Other"), ([], "profiles: none yet")]
)
def test_an_unknown_handle_is_told_with_those_that_there_are(profiles: list[Profile], known: str) -> None:
    with pytest.raises(SettingError, match="no profile is called @nobody") as told:
        choose(profiles, handle="@nobody")
    assert told.value.fix == known


def test_keys_choose_their_own_account_before_one_that_nobody_knows() -> None:
    assert choose([NEW, ONE, OTHER], handle=None, x_user_id="2") is OTHER
    assert choose([ONE, NEW], handle=None, x_user_id="2") is NEW
    assert choose([ONE], handle=None, x_user_id="2") is None
    assert choose([], handle=None) is None


def test_a_profile_with_saved_keys_is_the_environments_own_only_if_it_is_the_same_account() -> None:
    found = [(ONE, "saved"), (OTHER, "saved"), (NEW, None)]
    assert own_profiles(found, "2") == [OTHER, NEW]
    assert own_profiles(found, None) == [NEW]


def test_no_profile_acts_with_another_accounts_keys() -> None:
    for profile, owner in ((ONE, "1"), (ONE, None), (NEW, "1")):
        require_owner(profile, owner)
    with pytest.raises(SettingError, match="@one is another account"):
        require_owner(ONE, "2")

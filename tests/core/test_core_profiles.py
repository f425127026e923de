"""Which profile is meant."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from bot.core.errors import SettingError
from bot.core.model import Profile, ProfileId
from bot.core.profiles import choose, only_one, own_profiles, require_owner
from bot.core.states import Mode


def account(number: int, handle: str, x_user_id: str | None) -> Profile:
    return Profile(
        id=ProfileId(UUID(int=number)),
        auth_user_id=UUID(int=number),
        handle=handle,
        x_user_id=x_user_id,
        timezone="UTC",
        mode=Mode.AUTO,
        paused=False,
        pause_reason=None,
    )


ONE, TWO, UNBOUND = account(1, "one", "11"), account(2, "@Two", "22"), account(3, "three", None)
ALL = (ONE, TWO, UNBOUND)


def test_what_a_signed_in_person_set_up_is_not_the_environments_until_it_is_taken_over() -> None:
    """Whoever may sign in would get the environment's account by that."""
    theirs = replace(UNBOUND, adoptable=False)
    with pytest.raises(SettingError, match="was set up by a person who signed in") as caught:
        require_owner(theirs, None)
    assert f"init --user {theirs.auth_user_id}" in caught.value.fix
    assert own_profiles([(theirs, None), (ONE, None)], None) == [ONE]
    assert own_profiles([(theirs, None), (UNBOUND, None)], "11") == [UNBOUND]
    known = replace(theirs, x_user_id="11")
    require_owner(known, "11")
    assert own_profiles([(known, None)], "11") == [known]


@pytest.mark.parametrize(("handle", "found"), [("one", ONE), ("@ONE", ONE), ("two", TWO), ("@Two", TWO)])
def test_a_profile_is_chosen_by_its_handle_with_or_without_the_sign(handle: str, found: Profile) -> None:
    assert choose(ALL, handle=handle) == found


def test_an_account_is_meant_before_what_a_person_calls_the_same() -> None:
    theirs = replace(UNBOUND, handle="One", adoptable=False)
    assert choose([theirs, ONE], handle="one") == ONE
    assert choose([theirs, replace(UNBOUND, handle="one")], handle="one").adoptable  # type: ignore[union-attr]
    assert choose([theirs], handle="one") == theirs


def test_a_handle_that_no_profile_has_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SettingError, match="no profile is called @nobody") as caught:
        choose(ALL, handle="@Nobody")
    assert caught.value.fix == "profiles: @one, @Two, @three"
    with pytest.raises(SettingError) as caught:
        choose((), handle="nobody")
    assert caught.value.fix == "profiles: none yet"


def test_without_a_handle_the_keys_decide_and_then_age() -> None:
    assert choose(ALL, handle=None) == ONE
    assert choose(ALL, handle=None, x_user_id="22") == TWO
    assert choose((UNBOUND, TWO), handle=None, x_user_id="22") == TWO
    assert choose(ALL, handle=None, x_user_id="99") == UNBOUND
    assert choose((ONE, TWO), handle=None, x_user_id="99") is None
    assert choose((), handle=None) is None


def test_where_none_is_named_there_may_be_one() -> None:
    assert only_one([]) is None
    assert only_one([TWO]) == TWO
    with pytest.raises(SettingError, match="several accounts have saved keys: @one, @Two") as caught:
        only_one([ONE, TWO])
    assert caught.value.fix == "say which: --profile HANDLE"


def test_saved_keys_of_another_account_make_no_profile_the_environments_own() -> None:
    found = [(ONE, "saved"), (TWO, None), (UNBOUND, None)]
    assert own_profiles(found, None) == [TWO, UNBOUND]
    assert own_profiles(found, "22") == [TWO, UNBOUND]
    # Its own keys may be saved as well.
    assert own_profiles(found, "11") == [ONE, TWO, UNBOUND]
    assert own_profiles([(UNBOUND, "saved")], None) == []


def test_no_profile_acts_with_another_accounts_keys() -> None:
    for profile, owner in ((ONE, "11"), (ONE, None), (UNBOUND, "11")):
        require_owner(profile, owner)
    with pytest.raises(SettingError, match="@one is another account"):
        require_owner(ONE, "22")

"""Whose keys the environment holds: asked once, paid for, remembered, never mixed up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bot.core.errors import Fatal, Retryable, SettingError
from bot.core.model import Account, Profile
from bot.core.spending.limits import Limits
from bot.core.states import Mode
from bot.engine.identifying import OwnAccount, identify
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import World


def named(world: World, **wanted: Any) -> Profile:
    asked = {name: wanted.pop(name) for name in ("handle", "keep") if name in wanted}
    own = OwnAccount(x=world.x, **{"timezone": "UTC", "mode": "auto", **wanted})
    return identify(world.engine.services, own, **asked)


def test_the_first_start_asks_x_once_pays_for_it_and_remembers(world: World) -> None:
    world.change("DELETE FROM profiles")
    made = named(world, timezone="Europe/Berlin", mode="review")
    assert (made.handle, made.x_user_id) == ("tester", "1")
    assert (made.timezone, made.mode) == ("Europe/Berlin", Mode.REVIEW)
    assert world.profile == made
    assert world.rows("SELECT state, units, cost_usd, endpoint, profile_id FROM api_calls") == [
        ("settled", 1, Decimal("0.010"), "GET /2/users/me", made.id)
    ]
    assert named(world).id == made.id
    assert world.rows("SELECT count(*) FROM api_calls") == [(1,)]
    assert "account_identified" in [event for event, _facts in world.log.events]


def test_what_a_person_chose_holds_again_once_the_environment_says_nothing(world: World) -> None:
    """A worker that ran with BOT_MODE=auto once must not leave a profile posting unapproved for good."""
    world.change('UPDATE profiles SET chosen = \'{"mode": "review", "timezone": "Asia/Tokyo"}\'')
    said = named(world, timezone="Europe/Berlin", mode="auto", keep=True)
    assert (said.timezone, said.mode) == ("Europe/Berlin", Mode.AUTO)

    again = named(world, keep=True, said=frozenset())
    assert (again.timezone, again.mode) == ("Asia/Tokyo", Mode.REVIEW)
    assert world.rows("SELECT mode::text, timezone FROM profiles") == [("review", "Asia/Tokyo")]


def test_a_dry_run_needs_no_x_and_its_profile_is_completed_later(world: World) -> None:
    world.change("DELETE FROM profiles")
    made = named(world, mode="dry-run", needs_x=False)
    assert (made.handle, made.x_user_id, made.mode) == ("dry-run", None, Mode.DRY_RUN)
    assert named(world, needs_x=False).id == made.id
    assert world.rows("SELECT count(*) FROM api_calls") == [(0,)]
    bound = named(world)
    assert (bound.id, bound.handle, bound.x_user_id) == (made.id, "tester", "1")
    assert "handle_differs" not in [event for event, _facts in world.log.events]


def test_a_profile_with_a_name_keeps_it_and_a_difference_is_told(world: World) -> None:
    world.change("UPDATE profiles SET x_user_id = NULL, handle = 'ours'")
    bound = named(world)
    assert (bound.handle, bound.x_user_id) == ("ours", "1")
    assert [facts for event, facts in world.log.events if event == "handle_differs"] == [
        {"profile": "ours", "x": "tester"}
    ]


def test_an_account_that_a_profile_has_already_is_not_made_twice(world: World) -> None:
    known = world.profile
    assert named(world, token_user_id="1").id == known.id
    # A token that tells another account, whose answer is the known one after all.
    found = named(world, token_user_id="77")
    assert found.id == known.id
    assert world.rows("SELECT count(*) FROM profiles") == [(1,)]


def test_an_account_with_saved_keys_is_not_posted_for_with_the_environments(world: World) -> None:
    """Where the token doesn't tell whose it is, X is asked, and age decides nothing."""
    world.change("UPDATE profiles SET x_user_id = '2', handle = 'another'")
    world.change("INSERT INTO credentials (profile_id, encrypted_keys) SELECT id, 'saved' FROM profiles")
    made = named(world)
    assert (made.handle, made.x_user_id) == ("tester", "1")
    assert world.rows("SELECT count(*) FROM profiles") == [(2,)]


def test_a_handle_with_another_accounts_keys_is_refused(world: World) -> None:
    with pytest.raises(SettingError, match="another account"):
        named(world, handle="tester", token_user_id="77")
    assert named(world, handle="tester", token_user_id="1") == world.profile


def test_a_command_goes_by_its_own_environment_and_leaves_the_row_alone(world: World) -> None:
    before = world.profile
    mine = named(world, timezone="Asia/Tokyo", mode="review")
    assert mine == replace(before, timezone="Asia/Tokyo", mode=Mode.REVIEW)
    assert world.profile == before


@pytest.mark.parametrize(("zone", "mode"), [("Asia/Tokyo", "auto"), ("UTC", "review"), ("UTC", "auto")])
def test_the_worker_writes_its_environment_down(world: World, zone: str, mode: str) -> None:
    kept = named(world, timezone=zone, mode=mode, keep=True)
    assert (kept.timezone, kept.mode.value) == (zone, mode)
    assert world.profile == kept


def test_x_is_not_asked_where_no_limit_allows_it(world: World) -> None:
    world.change("DELETE FROM profiles")
    world.engine = with_caps(world, Limits(budget_usd=Decimal("0.009")))
    with pytest.raises(Retryable, match="X can't be asked whose keys these are: budget_usd") as caught:
        named(world)
    assert (caught.value.code, caught.value.until) == ("budget_usd", None)
    assert world.rows("SELECT count(*) FROM api_calls") == [(0,)]


@pytest.mark.parametrize(("code", "state"), [("keys_invalid", "released"), ("no_answer", "unknown")])
def test_an_answer_that_fails_is_paid_for_only_if_x_may_have_served_it(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str, state: str
) -> None:
    world.change("DELETE FROM profiles")

    def fails() -> Account:
        raise Fatal("401", code=code)

    monkeypatch.setattr(world.x, "me", fails)
    with pytest.raises(Fatal):
        named(world)
    assert world.rows("SELECT state FROM api_calls") == [(state,)]
    assert world.rows("SELECT count(*) FROM profiles") == [(0,)]

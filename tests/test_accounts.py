"""Several accounts in one process: each profile acts with its own keys, and with no other's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, event, text

from bot.bootstrap import Bot, open_bot
from bot.core.errors import Fatal, SettingError
from bot.core.model import Profile
from bot.core.posting.post import Post
from bot.core.states import Mode
from bot.encryption import Cipher, new_secret_key
from bot.held_keys import KeySource
from bot.keys import ProfileWish, remove_keys, rotate_keys, save_keys, try_keys
from bot.redaction import HIDDEN, Redaction
from bot.sandbox import Sandbox, SandboxControl
from bot.settings import Settings
from bot.x.keyless import KeylessX
from bot.x.keys import KEY_NAMES, app_id

SECRET_KEY = new_secret_key()
OPTIONS = ProfileWish()
Open = Callable[..., Bot]


@pytest.fixture
def opened(database_url: URL, local_x: Sandbox, tmp_path: Path) -> Iterator[Open]:
    """Opens the bot with the local X's first account in the environment, or with what is given."""
    usual: dict[str, Any] = {
        "database_url": database_url.render_as_string(hide_password=False),
        "bot_data_dir": tmp_path,
        "bot_secret_key": SECRET_KEY,
        "x_api_base_url": local_x.base_url,
        **{f"x_{name}": key for name, key in vars(local_x.keys).items()},
    }
    with ExitStack() as stack:

        def open_with(**given: Any) -> Bot:
            values = {name: value for name, value in (usual | given).items() if value is not None}
            return stack.enter_context(open_bot(Settings(_env_file=None, **values)))

        yield open_with


NO_KEYS = dict.fromkeys(f"x_{name}" for name in KEY_NAMES)


def keys_of(local_x: Sandbox, username: str) -> dict[str, str]:
    """Keys of one more account of the same app."""
    account = local_x.add_account(username)
    tokens = {"access_token": account.access_token, "access_token_secret": account.access_token_secret}
    return vars(local_x.keys) | tokens


def save(bot: Bot, local_x: Sandbox, username: str) -> Profile:
    return save_keys(bot, keys_of(local_x, username), OPTIONS).profile


def run_by(bot: Bot) -> list[str]:
    """Handles of the profiles that a worker runs; whatever changed in the tables is known after it."""
    with bot.manager.transaction() as tx:
        return [profile.handle for profile in bot.accounts.profiles(tx)]


def test_every_profile_posts_as_itself(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    own = bot.identify()
    ada, bob = save(bot, local_x, "ada"), save(bot, local_x, "bob")
    for profile in (own, ada, bob):
        bot.accounts.context(profile).x.create_post(Post(text=f"I am {profile.handle}"))

    assert run_by(bot) == [own.handle, "ada", "bob"]
    assert {(post.account_id, post.text) for post in SandboxControl(local_x.base_url).posts()} == {
        (profile.x_user_id, f"I am {profile.handle}") for profile in (own, ada, bob)
    }


def test_profiles_have_clients_and_chance_of_their_own_and_share_the_rest(
    opened: Open, local_x: Sandbox
) -> None:
    bot = opened()
    own, ada = (bot.accounts.context(one) for one in (bot.identify(), save(bot, local_x, "ada")))

    assert own.x is not ada.x
    assert own.rng is not ada.rng
    assert own.writer is ada.writer
    assert own.sources is ada.sources


def test_a_client_is_kept_until_other_keys_are_seen(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    ada, bob = save(bot, local_x, "ada"), save(bot, local_x, "bob")
    kept = {one.handle: bot.accounts.context(one).x for one in (ada, bob)}
    run_by(bot)
    assert bot.accounts.context(ada).x is kept["ada"]

    with bot.manager.transaction() as tx:
        tx.credentials.put(ada.id, bot.accounts.cipher.encrypt(vars(local_x.keys) | {"api_key": "other"}))
    run_by(bot)

    assert bot.accounts.context(ada).x is not kept["ada"]
    assert bot.accounts.context(bob).x is kept["bob"]


def test_threads_that_ask_at_once_get_one_client_a_profile(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    profiles = [bot.identify(), save(bot, local_x, "ada"), save(bot, local_x, "bob")]
    fresh = opened()
    with ThreadPoolExecutor(16) as threads:
        contexts = list(threads.map(fresh.accounts.context, profiles * 20))

    for profile in profiles:
        assert len({id(one.x) for one in contexts if one.profile == profile}) == 1
    assert len({id(one.sources) for one in contexts}) == 1


def test_a_context_of_known_keys_asks_the_database_nothing(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    ada = save(bot, local_x, "ada")
    run_by(bot)
    asked: list[object] = []
    event.listen(bot.manager.engine, "begin", asked.append)

    bot.accounts.context(ada)

    assert asked == []


def test_saved_keys_of_the_environments_own_account_leave_it_the_environments(
    opened: Open, local_x: Sandbox
) -> None:
    bot = opened()
    saved = save_keys(bot, vars(local_x.keys), OPTIONS).profile

    with bot.manager.transaction() as tx:
        ((profile, held),) = bot.accounts.held_keys(tx)
    assert (profile, held.source) == (saved, KeySource.ENVIRONMENT)
    assert bot.accounts.context(saved).x is bot.accounts.x
    assert bot.identify().id == saved.id


def test_without_keys_in_the_environment_the_saved_ones_run_alone(opened: Open, local_x: Sandbox) -> None:
    opened().identify()
    ada = save(opened(), local_x, "ada")
    bare = opened(**NO_KEYS)

    assert run_by(bare) == ["ada"]
    assert bare.identify() == ada
    bare.require_keys()


def test_a_profile_without_keys_is_not_run_and_posts_with_nobodys(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    own = bot.identify()
    ada = save(bot, local_x, "ada")
    remove_keys(bot, "ada")

    assert run_by(bot) == [own.handle]
    with pytest.raises(Fatal, match="there are no keys for @ada") as caught:
        bot.accounts.context(ada).x.create_post(Post(text="As whom?"))
    assert "accounts add" in caught.value.fix
    assert SandboxControl(local_x.base_url).posts() == ()


def test_keys_that_can_not_be_read_harm_no_other_profile(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    own, ada, bob = bot.identify(), save(bot, local_x, "ada"), save(bot, local_x, "bob")
    with bot.manager.transaction() as tx:
        tx.credentials.put(ada.id, Cipher((new_secret_key(),)).encrypt(vars(local_x.keys)))
    assert run_by(bot) == [own.handle, "ada", "bob"]

    contexts = {one.handle: bot.accounts.context(one) for one in (own, ada, bob)}
    with pytest.raises(Fatal, match="encrypted by a key that BOT_SECRET_KEY doesn't list"):
        contexts["ada"].x.create_post(Post(text="Not sent"))
    for other in (own, bob):
        contexts[other.handle].x.create_post(Post(text="Sent"))

    assert {post.account_id for post in SandboxControl(local_x.base_url).posts()} == {
        own.x_user_id,
        bob.x_user_id,
    }


def test_without_a_secret_key_the_environments_account_goes_on(opened: Open, local_x: Sandbox) -> None:
    own, ada = opened().identify(), save(opened(), local_x, "ada")
    keyless = opened(bot_secret_key=None)

    with pytest.raises(Fatal, match="BOT_SECRET_KEY is not set"):
        keyless.accounts.context(ada).x.me()
    assert keyless.accounts.context(own).x.me().x_user_id == own.x_user_id


def test_keys_that_were_read_from_rows_are_hidden_wherever_they_would_be_shown(
    opened: Open, local_x: Sandbox
) -> None:
    bot = opened()
    ada = save(bot, local_x, "ada")
    other = f"{new_secret_key()[:30]}-never-typed"
    assert other in Redaction(())(f"X says: {other}")
    with bot.manager.transaction() as tx:
        keys = vars(local_x.keys) | {"access_token": f"{ada.x_user_id}-x", "api_secret": other}
        tx.credentials.put(ada.id, bot.accounts.cipher.encrypt(keys))

    fresh = opened()
    fresh.accounts.context(ada)

    assert Redaction(())(f"X says: {other}") == f"X says: {HIDDEN}"


def keys_that_do_not_tell(local_x: Sandbox) -> dict[str, str]:
    """Keys of an account whose access token doesn't begin with its id."""
    tokens = {"access_token": "odd-access-token", "access_token_secret": "odd-secret-not-a-secret"}
    SandboxControl(local_x.base_url).add_account("odd", **tokens)
    return vars(local_x.keys) | tokens


def test_a_profile_with_saved_keys_is_not_taken_for_one_of_an_environment_that_does_not_tell(
    opened: Open, local_x: Sandbox
) -> None:
    ada = save(opened(), local_x, "ada")
    odd = opened(**{f"x_{name}": key for name, key in keys_that_do_not_tell(local_x).items()})

    assert odd.accounts.owner is None
    assert odd.accounts.context(ada).x.me().x_user_id == ada.x_user_id


def test_keys_that_x_says_are_another_accounts_fail_their_trial(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    ada = save(bot, local_x, "ada")
    with bot.manager.transaction() as tx:
        tx.credentials.put(ada.id, bot.accounts.cipher.encrypt(keys_that_do_not_tell(local_x)))

    ((accepted, detail),) = [(one.accepted, one.detail) for one in try_keys(bot)]
    assert (accepted, "X says that they are @odd's" in detail) == (False, True)


def test_one_accounts_keys_in_anothers_row_post_nothing(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    ada = save(bot, local_x, "ada")
    save(bot, local_x, "bob")
    with bot.manager.transaction() as tx:
        tx.connection.execute(
            text(
                "UPDATE credentials SET encrypted_keys = (SELECT encrypted_keys FROM credentials "
                "JOIN profiles ON id = profile_id WHERE handle = 'bob')"
            )
        )
    run_by(bot)

    with pytest.raises(Fatal, match="the keys saved for @ada are another account's"):
        bot.accounts.context(ada).x.create_post(Post(text="As whom?"))


def test_every_call_of_an_account_without_keys_is_refused_before_x_is_asked() -> None:
    keyless = KeylessX("there are none", fix="add some")
    for call in (
        keyless.me,
        lambda: keyless.create_post(Post(text="text")),
        lambda: keyless.lookup(["1"]),
        lambda: keyless.timeline("1"),
    ):
        with pytest.raises(Fatal, match="there are none") as caught:
            call()
        assert (caught.value.code, caught.value.fix) == ("keys_missing", "add some")


def test_a_dry_run_is_dry_for_every_account(opened: Open, local_x: Sandbox) -> None:
    save_keys(opened(), keys_of(local_x, "ada"), ProfileWish(mode="auto"))
    dry = opened(bot_mode="dry-run")

    with dry.manager.transaction() as tx:
        assert {one.mode for one in dry.accounts.profiles(tx)} == {Mode.DRY_RUN}
    assert dry.identify("ada").mode is Mode.DRY_RUN
    assert opened().identify("ada").mode is Mode.AUTO


def test_a_handle_means_the_profile_with_its_own_mode_and_zone(opened: Open, local_x: Sandbox) -> None:
    bot = opened(bot_timezone="Europe/Berlin")
    own = bot.identify()
    wish = ProfileWish(mode="review", timezone="Asia/Tokyo", posts_per_day=2)
    ada = save_keys(bot, keys_of(local_x, "ada"), wish).profile

    assert bot.identify("@ADA") == ada
    assert opened(bot_timezone="Africa/Lagos").identify(own.handle).timezone == "Africa/Lagos"
    assert (ada.mode, ada.timezone) == (Mode.REVIEW, "Asia/Tokyo")
    assert bot.identify() == own
    with pytest.raises(SettingError, match="no profile is called @eve"):
        bot.identify("eve")


def test_a_saved_account_gets_the_environments_zone_mode_and_plan_unless_told(
    opened: Open, local_x: Sandbox
) -> None:
    bot = opened(bot_timezone="Europe/Berlin", bot_mode="review", bot_posts_per_day=7)

    saved = save_keys(bot, keys_of(local_x, "ada"), OPTIONS)

    assert (saved.profile.timezone, saved.profile.mode, saved.replaced) == (
        "Europe/Berlin",
        Mode.REVIEW,
        False,
    )
    assert saved.plan.posts_per_day == 7


def test_saving_again_replaces_the_keys_and_only_what_is_told(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    keys = keys_of(local_x, "ada")
    first = save_keys(bot, keys, ProfileWish(timezone="Asia/Tokyo", mode="review", posts_per_day=2))

    again = save_keys(opened(bot_posts_per_day=9), keys, OPTIONS)
    assert (again.profile, again.plan, again.replaced) == (first.profile, first.plan, True)

    told = save_keys(bot, keys, ProfileWish(posts_per_day=5))
    assert (told.profile, told.plan.posts_per_day) == (first.profile, 5)


def test_keys_that_x_refuses_are_not_saved(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    with pytest.raises(Fatal):
        save_keys(bot, vars(local_x.keys) | {"api_secret": "wrong"}, OPTIONS)

    with bot.manager.transaction() as tx:
        assert tx.profiles.with_keys() == []
        # The refused question is booked, and free.
        assert tx.connection.execute(text("SELECT state::text FROM api_calls")).all() == [("released",)]


def test_without_a_secret_key_x_is_not_even_asked(opened: Open, local_x: Sandbox) -> None:
    with pytest.raises(SettingError, match="BOT_SECRET_KEY is not set"):
        save_keys(opened(bot_secret_key=None), vars(local_x.keys), OPTIONS)

    assert local_x.calls == {}


def test_profiles_of_an_app_are_known_by_a_fingerprint_before_x_is_called(
    opened: Open, local_x: Sandbox
) -> None:
    bot = opened()
    own, ada, bob = bot.identify(), save(bot, local_x, "ada"), save(bot, local_x, "bob")
    with bot.manager.transaction() as tx:
        keys = keys_of(local_x, "eve") | {
            "api_key": "another app's key",
            "access_token": f"{bob.x_user_id}-t",
        }
        tx.credentials.put(bob.id, bot.accounts.cipher.encrypt(keys))
        # As rows were before apps were known.
        tx.connection.execute(text("UPDATE profiles SET app = NULL"))
    run_by(bot)
    for profile in (own, ada, bob):
        bot.accounts.context(profile)

    with bot.manager.transaction() as tx:
        apps = {one.handle: one.app for one in tx.profiles.all()}
        kept = tx.connection.scalar(text("SELECT string_agg(profiles::text, '') FROM profiles"))
    assert apps[own.handle] == apps["ada"] == app_id(local_x.keys.api_key)
    assert apps["bob"] == app_id("another app's key") != apps["ada"]
    assert local_x.keys.api_key not in str(kept)
    assert app_id("") is None


def test_rows_hold_no_key_in_the_clear_and_why_tells_who_did_what(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    keys = keys_of(local_x, "ada")
    save_keys(bot, keys, OPTIONS)
    rotate_keys(bot)
    remove_keys(bot, "ada")
    save_keys(bot, keys, OPTIONS)

    with bot.manager.transaction() as tx:
        kept = tx.connection.scalar(text("SELECT string_agg(credentials::text, '') FROM credentials"))
        noted = tx.connection.scalars(text("SELECT verdict FROM decisions ORDER BY at, last_at")).all()
        paid = tx.connection.execute(text("SELECT state::text, profile_id IS NULL FROM api_calls")).all()
    assert kept
    assert not [name for name, key in keys.items() if key in kept]
    assert noted == ["keys_saved", "keys_saved", "keys_removed", "keys_saved"]
    assert paid == [("settled", False)] * 2


def test_each_accounts_keys_are_tried_whatever_becomes_of_the_others(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    own, ada, bob, eve = (
        bot.identify(),
        *(save(bot, local_x, one) for one in ("ada", "bob", "eve")),
    )
    with bot.manager.transaction() as tx:
        tx.credentials.put(ada.id, Cipher((new_secret_key(),)).encrypt({}))
        refused = vars(local_x.keys) | {"access_token": f"{bob.x_user_id}-wrong"}
        tx.credentials.put(bob.id, bot.accounts.cipher.encrypt(refused))

    found = {one.profile.handle: one for one in try_keys(bot)}

    assert {handle: one.accepted for handle, one in found.items()} == {
        own.handle: True,
        "ada": False,
        "bob": False,
        "eve": True,
    }
    assert "BOT_SECRET_KEY" in found["ada"].detail
    assert [one.profile.id for one in try_keys(bot, "eve")] == [eve.id]


def test_a_profile_without_keys_fails_its_trial_only_when_it_is_named(opened: Open, local_x: Sandbox) -> None:
    bot = opened()
    save(bot, local_x, "ada")
    remove_keys(bot, "ada")

    assert [one.accepted for one in try_keys(bot, "ada")] == [False]
    assert list(try_keys(bot)) == []


def test_rotated_keys_need_the_new_secret_key_alone(opened: Open, local_x: Sandbox) -> None:
    save(opened(), local_x, "ada")
    lost = save(opened(bot_secret_key=new_secret_key()), local_x, "bob")
    new = new_secret_key()

    done = rotate_keys(opened(bot_secret_key=f"{new},{SECRET_KEY}"))

    assert (done.rotated, done.unreadable) == (1, [lost])
    assert [one.accepted for one in try_keys(opened(bot_secret_key=new), "ada")] == [True]
    assert [one.accepted for one in try_keys(opened(), "ada")] == [False]

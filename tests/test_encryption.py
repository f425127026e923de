"""Keys at rest: any come back, none are readable, and a secret key can be replaced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import Fatal, SettingError
from bot.encryption import Cipher, is_secret_key, new_secret_key
from bot.x.keys import KEY_NAMES

OLD, NEW, OTHER = (new_secret_key() for _ in range(3))
KEYS = {name: f"the-{name}-of-ada" for name in KEY_NAMES}
NO_SURROGATES = st.text(st.characters(exclude_categories=["Cs"]))


@given(keys=st.fixed_dictionaries(dict.fromkeys(KEY_NAMES, NO_SURROGATES)))
def test_any_four_keys_come_back_and_are_not_readable_in_between(keys: dict[str, str]) -> None:
    encrypted = Cipher((NEW,)).encrypt(keys)

    assert Cipher((NEW,)).decrypt(encrypted) == keys
    assert not any(len(key) > 3 and key in encrypted for key in keys.values())


def test_a_new_key_is_one_that_the_settings_take_and_another_each_time() -> None:
    assert all(is_secret_key(key) for key in (OLD, NEW, OTHER))
    assert len({OLD, NEW, OTHER}) == 3


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    before = Cipher((OLD,)).encrypt(KEYS)
    both = Cipher((NEW, OLD))

    assert both.decrypt(before) == KEYS
    assert Cipher((NEW,)).decrypt(both.encrypt(KEYS)) == KEYS


def test_after_a_rotation_the_old_key_may_go() -> None:
    rotated = Cipher((NEW, OLD)).rotate(Cipher((OLD,)).encrypt(KEYS))

    assert Cipher((NEW,)).decrypt(rotated) == KEYS
    with pytest.raises(Fatal):
        Cipher((OLD,)).decrypt(rotated)


@pytest.mark.parametrize("encrypted", [Cipher((OTHER,)).encrypt(KEYS), "", "not encrypted at all", "ü"])
def test_what_no_listed_key_encrypted_is_said_in_one_line_without_a_secret(encrypted: str) -> None:
    cipher = Cipher((NEW, OLD))
    for read in (cipher.decrypt, cipher.rotate):
        with pytest.raises(Fatal, match="BOT_SECRET_KEY doesn't list") as caught:
            read(encrypted)

        assert caught.value.__cause__ is None
        assert not any(secret in caught.value.line for secret in (NEW, OLD, OTHER))
        # The limits agent closes no window for it: X was not asked.
        assert caught.value.code == "keys_missing"


def test_without_a_secret_key_nothing_is_written_or_read_and_the_error_says_how_to_make_one() -> None:
    cipher = Cipher(())
    for use in (cipher.require, lambda: cipher.encrypt(KEYS), lambda: cipher.decrypt("x")):
        with pytest.raises(SettingError, match="BOT_SECRET_KEY is not set") as caught:
            use()

        assert "python -m bot accounts new-key" in caught.value.fix

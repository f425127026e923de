"""Keys of X at rest: encrypted by `BOT_SECRET_KEY`, so that the tables alone let nobody post."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from bot.core.codes import ErrorCode
from bot.core.errors import Fatal, SettingError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

MAKE_ONE = "python -m bot accounts new-key prints one"
# 32 bytes in base64 for URLs; told by the form, so that only who encrypts loads cryptography.
_SECRET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def is_secret_key(text: str) -> bool:
    """Whether a text has the form of a Fernet key."""
    return _SECRET_KEY.fullmatch(text) is not None


def new_secret_key() -> str:
    """A fresh value for `BOT_SECRET_KEY`."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


class Cipher:
    """Encrypts by the first secret key and decrypts by any, so that listing two rotates.

    Args:
        secret_keys: Fernet keys; without one, nothing can be encrypted or read.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._secret_keys = secret_keys

    def require(self) -> None:
        """Refuses to go on without a secret key.

        Raises:
            SettingError: there is none.
        """
        if not self._secret_keys:
            raise SettingError(
                "BOT_SECRET_KEY is not set, and saved keys can't be written or read without it",
                code="secret_key_missing",
                fix=f"set it; {MAKE_ONE}",
            )

    def encrypt(self, keys: Mapping[str, str]) -> str:
        """The keys, readable only by who has the first secret key.

        Raises:
            SettingError: there is no secret key.
        """
        return self._fernet.encrypt(json.dumps(dict(keys)).encode()).decode()

    def decrypt(self, encrypted: str) -> dict[str, str]:
        """What was encrypted.

        Raises:
            Fatal: no secret key that is listed encrypted it.
            SettingError: there is no secret key.
        """
        with _readable(self._fernet) as fernet:
            keys: dict[str, str] = json.loads(fernet.decrypt(encrypted.encode()))
        return keys

    def rotate(self, encrypted: str) -> str:
        """The same keys, encrypted by the first secret key.

        Raises:
            Fatal: no secret key that is listed encrypted them.
            SettingError: there is no secret key.
        """
        with _readable(self._fernet) as fernet:
            return fernet.rotate(encrypted.encode()).decode()

    @cached_property
    def _fernet(self) -> MultiFernet:
        self.require()
        from cryptography.fernet import Fernet, MultiFernet

        return MultiFernet([Fernet(key) for key in self._secret_keys])


@contextmanager
def _readable(fernet: MultiFernet) -> Iterator[MultiFernet]:
    from cryptography.fernet import InvalidToken

    try:
        yield fernet
    except InvalidToken:
        # X is not asked, so nothing is closed until the next try.
        raise Fatal(
            "the saved keys were encrypted by a key that BOT_SECRET_KEY doesn't list",
            code=ErrorCode.KEYS_MISSING,
            fix="list that key too, after a comma, or save the keys again: python -m bot accounts add",
        ) from None

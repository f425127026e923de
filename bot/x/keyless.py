"""An account for which there are no keys that can be used: X is not even asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from bot.core.codes import ErrorCode
from bot.core.errors import Fatal
from bot.core.posting.post import Post
from bot.ports import X


class KeylessX(X):
    """Refuses every call, in place of an `XClient`.

    Args:
        why: what is wrong with the keys.
        fix: what to do about it.
    """

    def __init__(self, why: str, *, fix: str) -> None:
        self._why = why
        self._fix = fix

    def me(self) -> NoReturn:
        """Refuses."""
        raise self._refusal

    def create_post(self, post: Post) -> NoReturn:  # noqa: ARG002 - the port's signature
        """Refuses."""
        raise self._refusal

    def lookup(self, ids: Sequence[str]) -> NoReturn:  # noqa: ARG002 - the port's signature
        """Refuses."""
        raise self._refusal

    def timeline(self, x_user_id: str, *, since_id: str | None = None, limit: int = 100) -> NoReturn:  # noqa: ARG002 - the port's signature
        """Refuses."""
        raise self._refusal

    @property
    def _refusal(self) -> Fatal:
        # No window is closed for this code: the next call after the mend goes out.
        return Fatal(self._why, code=ErrorCode.KEYS_MISSING, fix=self._fix)

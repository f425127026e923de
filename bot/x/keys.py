"""The four keys of OAuth 1.0a with which an app acts for an account."""

from __future__ import annotations

KEY_NAMES = ("api_key", "api_secret", "access_token", "access_token_secret")
"""As `XClient` calls them; in the environment they are `X_API_KEY` and so on."""


def variable(name: str) -> str:
    """The key's name in the environment."""
    return f"X_{name.upper()}"


def token_user_id(access_token: str) -> str | None:
    """The id of the account that an access token starts with, where it has that form."""
    head, dash, _ = access_token.partition("-")
    return head if dash and head.isdigit() else None

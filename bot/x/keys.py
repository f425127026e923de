"""The four keys of OAuth 1.0a with which an app acts for an account."""

from __future__ import annotations

from hashlib import sha256

KEY_NAMES = ("api_key", "api_secret", "access_token", "access_token_secret")
"""As `XClient` calls them; in the environment they are `X_API_KEY` and so on."""


def variable(name: str) -> str:
    """The key's name in the environment."""
    return f"X_{name.upper()}"


def token_user_id(access_token: str) -> str | None:
    """The id of the account that an access token starts with, where it has that form."""
    head, dash, _ = access_token.partition("-")
    return head if dash and head.isdigit() else None


def app_id(api_key: str) -> str | None:
    """A fingerprint of the app that an API key is of, which does not tell the key; None without one."""
    return sha256(f"X app {api_key}".encode()).hexdigest()[:16] if api_key else None

"""What the settings don't read of the environment: proxies, and variables that nobody knows."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# Every variable of these is the bot's own; of the others only a slip of the finger is.
_OWN = ("BOT_", "X_")
_SHARED = ("OPENAI_", "LOG_", "REDIS_", "DATABASE_")
_LONGEST_NAME = 40


def proxies() -> Mapping[str, str]:
    """The proxies that the bot's HTTP clients take from the environment, by variable."""
    return {name: value for name, value in os.environ.items() if value and name.lower() in _PROXIES}  # noqa: TID251 - settings' other half


def is_proxy(address: str) -> bool:
    """Whether it is the address of an http(s) proxy."""
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port
    except ValueError:
        return False
    whole = bool(parts.hostname) and port != 0 and not re.search(r"\s", address)
    return whole and parts.scheme in {"http", "https"}


def unknown(known: Collection[str], *, file: Path) -> Mapping[str, str | None]:
    """Variables that are meant for the bot and unknown to it, each with the nearest known one.

    Args:
        known: every variable's name, in upper case.
        file: sets variables too.
    """
    from dotenv import dotenv_values

    found: dict[str, str | None] = {}
    for name in [*os.environ, *(dotenv_values(file) if file.is_file() else ())]:  # noqa: TID251 - settings' other half
        upper = name.upper()
        if upper in known or len(name) > _LONGEST_NAME or not re.fullmatch(r"[A-Z0-9_]+", upper):
            continue
        near = next(iter(get_close_matches(upper, known, n=1, cutoff=0.8)), None)
        if upper.startswith(_OWN) or (near is not None and upper.startswith(_SHARED)):
            found[name] = near
    return found

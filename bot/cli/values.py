"""What an option may say, and what is said of one that may not."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from bot.redaction import as_given

ATTESTED = ("automated_label", "owns_app")


def identity(text: str) -> str:
    """An id, or how it begins."""
    if not re.fullmatch(r"[0-9a-fA-F-]{4,36}", text):
        raise argparse.ArgumentTypeError("an id has 4 to 36 of 0-9, a-f and -, as `queue` shows it")
    return text


def moment(text: str) -> str:
    """A moment that can be read, or `now`; the profile says in which zone."""
    if text == "now":
        return text
    try:
        datetime.fromisoformat(text)
    except ValueError:
        given = as_given(text, near=("now",))
        raise argparse.ArgumentTypeError(f"{given} is no moment like '2026-12-24 18:00'") from None
    return text


def user(text: str) -> UUID:
    """A person, by the id that they sign in with."""
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give the id that the person signs in with, a UUID") from None


def zone(text: str) -> str:
    """A time zone."""
    try:
        ZoneInfo(text)
    except (KeyError, OSError, ValueError):
        given = as_given(text, near=sorted(available_timezones()))
        raise argparse.ArgumentTypeError(f"{given} is no IANA time zone like Europe/Berlin") from None
    return text


def posts(text: str) -> int:
    """How many posts a day."""
    if not text.isdecimal() or int(text) > 100:  # noqa: PLR2004 - the plan's own bound
        raise argparse.ArgumentTypeError(f"{as_given(text)} is not a whole number from 0 to 100")
    return int(text)


def pace(text: str) -> int:
    """Seconds between posts of a sandbox."""
    if not text.isdecimal() or not 15 <= int(text) <= 3600:  # noqa: PLR2004 - a plan's spacing, an hour
        raise argparse.ArgumentTypeError(f"{as_given(text)} is not a whole number of seconds from 15 to 3600")
    return int(text)


def count(text: str) -> int:
    """How many rows."""
    if not text.isdecimal() or not 1 <= int(text) <= 1000:  # noqa: PLR2004 - a page of rows
        raise argparse.ArgumentTypeError(f"{as_given(text)} is not a whole number from 1 to 1000")
    return int(text)


def handle(text: str) -> str:
    """A handle of X."""
    if not re.fullmatch(r"@?[\w-]{1,15}", text):
        raise argparse.ArgumentTypeError("a handle has up to 15 letters, digits and underscores")
    return text


def attested(text: str) -> tuple[str, ...]:
    """Names of what can be attested."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in ATTESTED]
    if unknown or not names:
        shown = ", ".join(as_given(name, near=ATTESTED) for name in unknown) or "nothing"
        raise argparse.ArgumentTypeError(f"{shown} can't be attested; known: {', '.join(ATTESTED)}")
    return names


def clock_time(text: str) -> time:
    """A time of day."""
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text):
        raise argparse.ArgumentTypeError(f"{as_given(text, near=('08:00',))} is no time like 08:00")
    hour, minute = map(int, text.split(":"))
    return time(hour, minute)


def seconds(text: str) -> timedelta:
    """A span in seconds, up to a day."""
    if not text.isdecimal() or int(text) > 86_400:  # noqa: PLR2004 - a day
        raise argparse.ArgumentTypeError(f"{as_given(text)} is not a whole number of seconds up to 86400")
    return timedelta(seconds=int(text))


def reason(text: str) -> str:
    """Why; it may not be empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("say why")
    return text.strip()

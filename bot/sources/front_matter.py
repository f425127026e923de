"""The fields before a note's text, and whether its author holds it back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Field = tuple[str, str]
"""A key in lower case without its dashes, and its value without quotes and comment."""

_MOST_CHARACTERS = 64_000
_LINE_CHARACTERS = 500
_UNFENCED_LINES = 20
_FENCES = {"---": ("---", "..."), "+++": ("+++",), "{": ("}",)}
_FIELD = re.compile(r"\s{0,20}:?[\"']?([A-Za-z][\w .-]{0,40}?)[\"']?\s{0,20}[:=]\s{0,20}(.*)")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_TAG = re.compile(r"(?:[!&]\S+\s+)+")
_YES = frozenset({"true", "yes", "on", "1", "y", "t"})
_NO = frozenset({"false", "no", "off", "0", "n", "f"})
_HOLDS = frozenset({"draft", "isdraft", "private", "hidden", "unlisted", "unpublished"})
_RELEASES = frozenset({"published", "publish", "public", "ispublished"})
_STATES = frozenset({"status", "state", "visibility", "poststatus"})
_HELD_STATES = frozenset(
    {"draft", "private", "hidden", "pending", "future", "scheduled", "unpublished", "unlisted"}
)
_DATES = frozenset({"date", "published", "publishdate", "pubdate", "publishedat", "publishon", "publishat"})
_DATE = re.compile(
    r"(\d{4})[-/](\d\d?)[-/](\d\d?)"
    r"(?:[Tt ]+(\d\d?):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?)?\s*(?:(Z|UTC|GMT)|([+-]\d\d):?(\d\d)?)?$",
    re.IGNORECASE,
)


def split_front_matter(text: str) -> tuple[list[Field], str]:
    """Returns the fields between the fences (YAML, TOML or JSON, by lines), and the text after them."""
    lines = text[:_MOST_CHARACTERS].splitlines(keepends=True)
    closings = _FENCES.get(lines[0].strip("\ufeff \t\r\n")) if lines else None
    end = len(lines[0]) if lines else 0
    for number, line in enumerate(lines[1:], start=1):
        end += len(line)
        if closings and line.rstrip() in closings:
            return list(_fields(lines[1:number])), text[end:]
    return [], text


def held_because(text: str, *, now: datetime) -> str | None:
    """Returns the field by which a note's author holds it back, or None.

    A field that stands without fences, or in fences that never close, counts as well unless it is
    a date: a note may tell of a day to come.
    """
    fields, content = split_front_matter(text)
    if not fields:
        fields = [
            (key, value)
            for key, value in _fields(list(_leading(content[:_MOST_CHARACTERS].splitlines())))
            if key not in _DATES or value.lower() in _NO
        ]
    for key, value in fields:
        if _is_held(key, value.lower(), now=now):
            return f"{key}: {value[:40]}"
    return None


def _leading(lines: Sequence[str]) -> Iterator[str]:
    """Yields the lines before the prose: fields, blanks, rules, and one title."""
    titles = 0
    for line in lines[:_UNFENCED_LINES]:
        plain = line[:_LINE_CHARACTERS].strip()
        if plain and not _FIELD.match(plain) and plain[0] not in "#=-~*+{":
            titles += 1
            if titles > 1:
                return
        yield line


def _is_held(key: str, value: str, *, now: datetime) -> bool:
    moment = _moment(value) if key in _DATES else None
    return (
        (key in _HOLDS and value in _YES)
        or (key in _RELEASES and value in _NO)
        or (key in _STATES and value in _HELD_STATES)
        or (moment is not None and moment > now)
    )


def _fields(lines: Sequence[str]) -> Iterator[Field]:
    for number, line in enumerate(lines):
        short = line[:_LINE_CHARACTERS].rstrip()
        flow = short.strip()
        for part in flow.strip("{}").split(",") if flow.startswith("{") else [short]:
            found = _FIELD.match(part)
            if not found:
                continue
            below = lines[number + 1][:_LINE_CHARACTERS] if number + 1 < len(lines) else ""
            value = _plain(found[2]) or (_plain(below) if below[:1] in {" ", "\t"} else "")
            yield re.sub(r"[ _.-]", "", found[1]).lower(), value


def _plain(value: str) -> str:
    bare = _TAG.sub("", _COMMENT.sub("", value.strip()), count=1).strip().rstrip(",").strip()
    return bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'" else bare


def _moment(value: str) -> datetime | None:
    """Returns the moment of a date, in UTC where it names no zone; None where it can't be read."""
    found = _DATE.match(value)
    try:
        if not found:
            moment = parsedate_to_datetime(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        year, month, day, hour, minute, second = (int(found[n] or 0) for n in range(1, 7))
        zone = f"{found[8]}:{found[9] or '00'}" if found[8] else "+00:00"
        clock = f"{hour:02}:{minute:02}:{second:02}"
        return datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}T{clock}{zone}")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

"""What X does to a post's text: normalise, measure, find links and tags, and show it."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    # It reads its table of emoji through pkg_resources, which warns of itself.
    warnings.simplefilter("ignore")
    from twitter_text import extract_urls_with_indices, parse_tweet

MAX_WEIGHT = 280

_MENTION = re.compile(r"(?<![A-Za-z0-9_@])@([A-Za-z0-9_]{1,15})(?![A-Za-z0-9_@])")
_CASHTAG = re.compile(r"(?:^|(?<=\s))\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?=$|[\s!-/:-@\[-`{-~])")
_INVALID = re.compile("[\ufffe\ufeff\uffff]")
_DISPLAY_LENGTH = 27


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A text as timelines show it, with the links that replaced its URLs."""

    text: str
    urls: tuple[dict[str, Any], ...]


def normalise(text: str) -> str:
    """The text as X stores it: NFC, Unix line ends, no blank ends."""
    return re.sub(r"\r\n?", "\n", unicodedata.normalize("NFC", text)).strip()


def fingerprint(text: str) -> str:
    """What two duplicates have in common: the normalised text with its whitespace collapsed."""
    return " ".join(normalise(text).split())


def weight(text: str) -> int:
    """The weighted length that X limits to 280."""
    return int(parse_tweet(text).weightedLength)


def has_invalid_characters(text: str) -> bool:
    """Whether X would refuse a character: its own three, and lone surrogates, which are no characters."""
    return bool(_INVALID.search(text)) or any("\ud800" <= character <= "\udfff" for character in text)


def urls(text: str) -> list[str]:
    """The URLs of a text, as written."""
    return [entity["url"] for entity in extract_urls_with_indices(text)]


def mentions(text: str) -> set[str]:
    """The user names that a text mentions, in lower case."""
    return {name.lower() for name in _MENTION.findall(text)}


def mention_entities(shown: str) -> list[dict[str, Any]]:
    """The mentions of a shown text, as X's entities."""
    return [
        {"start": found.start(), "end": found.end(), "username": found[1]}
        for found in _MENTION.finditer(shown)
    ]


def cashtags(text: str) -> list[str]:
    """The cashtags of a text, as written."""
    return _CASHTAG.findall(text)


def escape(text: str) -> str:
    """Escape the three characters that X escapes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def show(text: str, *, slug: Callable[[int], str], attached: Sequence[tuple[str, str]] = ()) -> Shown:
    """The text with escapes and t.co links.

    Args:
        text: The text as sent.
        slug: Gives the ten characters of the n-th link.
        attached: (expanded URL, media key) of each media whose one link X appends.
    """
    parts: list[str] = []
    found: list[dict[str, Any]] = []
    position = length = 0
    for number, entity in enumerate(extract_urls_with_indices(text)):
        start, end = entity["indices"]
        before = escape(text[position:start])
        link = f"https://t.co/{slug(number)}"
        parts += [before, link]
        found.append(_link(link, length + len(before), entity["url"]))
        length += len(before) + len(link)
        position = end
    parts.append(escape(text[position:]))
    shown = "".join(parts)
    if attached:
        link = f"https://t.co/{slug(len(found))}"
        shown = f"{shown} {link}".lstrip()
        for expanded, key in attached:
            entry = _link(link, len(shown) - len(link), expanded)
            found.append({**entry, "display_url": f"pic.x.com/{link[-10:]}", "media_key": key})
    return Shown(text=shown, urls=tuple(found))


def _link(link: str, start: int, url: str) -> dict[str, Any]:
    expanded = url if re.match(r"https?://", url, re.IGNORECASE) else f"http://{url}"
    display = re.sub(r"^https?://(www\.)?", "", expanded, flags=re.IGNORECASE)
    if len(display) > _DISPLAY_LENGTH:
        display = display[: _DISPLAY_LENGTH - 1] + "…"
    return {
        "start": start,
        "end": start + len(link),
        "url": link,
        "expanded_url": expanded,
        "display_url": display,
    }

"""What a text is to X: its links, its weighted length, and the fingerprint that finds it again."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

MAX_WEIGHTED_LENGTH = 280

_SPACE = re.compile(r"\s+")
_LINK_MARK = "\N{LINK SYMBOL}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """The weighted length of a text and whether X would take it for its length and characters."""

    weighted_length: int
    valid: bool


def normalise(text: str) -> str:
    """The text as it is sent: NFC, no outer blanks, no line of blanks only."""
    lines = [line.rstrip() for line in unicodedata.normalize("NFC", text).strip().splitlines()]
    return "\n".join(lines)


def links(text: str) -> tuple[str, ...]:
    """The addresses that X would turn into links, in order."""
    from twitter_text import extract_urls

    return tuple(extract_urls(text))


def measure(text: str) -> Measure:
    """Counts the text as X does (twitter-text, configuration 3)."""
    from twitter_text import parse_tweet

    parsed = parse_tweet(text)
    return Measure(weighted_length=int(parsed.weightedLength), valid=bool(parsed.valid))


def fingerprint(text: str, live_links: Mapping[str, str] | None = None) -> str:
    """A digest that is the same for a text we sent and for the post that X shows for it.

    X wraps every link in t.co, adds a link for media and may change blanks. So every link counts as
    one mark, media links (those that `live_links` maps to nothing) are dropped, and blanks are
    folded. That X escapes `&<>` is undone where its answers are read.
    """
    shown = unicodedata.normalize("NFC", text)
    for short, target in (live_links or {}).items():
        if not target:
            shown = shown.replace(short, "")
    folded = _SPACE.sub(" ", _mask_links(shown)).strip()
    return hashlib.sha256(folded.encode(errors="surrogatepass")).hexdigest()


def _mask_links(text: str) -> str:
    from twitter_text import extract_urls_with_indices

    kept, end = [], 0
    for found in extract_urls_with_indices(text):
        start, stop = found["indices"]
        kept += [text[end:start], _LINK_MARK]
        end = stop
    return "".join([*kept, text[end:]])

"""What a text is to X: its links, its weighted length, and the fingerprint that finds it again."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby

from bot.core.content.links import Link, find_links
from bot.lean import load_twitter_text

MAX_WEIGHTED_LENGTH = 280
# A text beyond it is too long whatever is in it, and is weighed without looking into it.
MOST_CHARACTERS = 10_000
# To compose a run of accents takes time that grows with its square; no script has runs of more than a few.
_MOST_ACCENTS = 500

_SPACE = re.compile(r"\s+")
_LINE_END = re.compile(r"\r\n?")
# Characters that take no room: a soft hyphen, a zero-width space, a word joiner, a byte order mark.
_WIDTHLESS = re.compile("[\u00ad\u200b\u2060\ufeff]")
# They join emoji, and letters of some scripts.
_JOINERS = "\u200c\u200d"
_LINK_MARK = "\N{LINK SYMBOL}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextWeight:
    """The weighted length of a text and whether X would take it for its length and characters."""

    weighted_length: int
    valid: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Weights:
    """twitter-text's configuration 3, and its expressions for emoji and for characters that X refuses."""

    light: tuple[range, ...]
    of_other: int
    of_light: int
    of_link: int
    scale: int
    emoji: re.Pattern[str]
    refused: re.Pattern[str]


def is_too_long(text: str) -> bool:
    """Whether a text is too long for X beyond any counting."""
    return len(text) > MOST_CHARACTERS or _has_accent_run(text)


def normalise(text: str) -> str:
    """The text as it is sent: NFC, no outer blanks, no line of blanks only."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return lines if is_too_long(lines) else unicodedata.normalize("NFC", lines)


def links(text: str) -> tuple[str, ...]:
    """The addresses that X would turn into links, in order; in a text that is too long, the first."""
    return tuple(link.url for link in _found(text[:MOST_CHARACTERS]))


def weigh(text: str) -> TextWeight:
    """Counts the text as X does (twitter-text, configuration 3).

    A text that is too long beyond any counting weighs its characters.
    """
    if is_too_long(text):
        return TextWeight(weighted_length=len(text), valid=False)
    composed = _LINE_END.sub("\n", unicodedata.normalize("NFC", text))
    found = {link.start: len(link.url) for link in _found(composed)}
    weights = _weights()
    places = () if composed.isascii() else weights.emoji.finditer(composed)
    emoji = {place.start(): place.end() - place.start() for place in places}
    weight, at, valid = 0, 0, True
    while at < len(composed):
        if at in found:
            weight += weights.of_link
            at += found[at] - 1
        elif at in emoji:
            weight += weights.of_other
            at += emoji[at] - 1
        else:
            code = ord(composed[at])
            weight += weights.of_light if any(code in light for light in weights.light) else weights.of_other
        valid = valid and not weights.refused.match(composed, at)
        at += 1
    weighted = weight // weights.scale
    return TextWeight(weighted_length=weighted, valid=valid and 0 < weighted <= MAX_WEIGHTED_LENGTH)


def unescape(text: str) -> str:
    """The text without X's escapes: it makes these three, and no others, in every text it returns."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def fingerprint(text: str, live_links: Mapping[str, str] | None = None) -> str:
    """A digest that is the same for a text we sent and for the post that X shows for it.

    X wraps every link in t.co, adds a link for media and may change blanks. So every link counts as
    one mark, media links (those that `live_links` maps to nothing) are dropped, and blanks are
    folded. That X escapes `&<>` is undone where its answers are read. A text that is too long was
    never sent; it is taken as it is.
    """
    shown = text if is_too_long(text) else unicodedata.normalize("NFC", text)
    for short, target in (live_links or {}).items():
        if not target:
            shown = shown.replace(short, "")
    masked = shown if is_too_long(shown) else _mask_links(shown)
    folded = _SPACE.sub(" ", masked).strip()
    return hashlib.sha256(folded.encode(errors="surrogatepass")).hexdigest()


@lru_cache(maxsize=16)  # a text is weighed, searched and fingerprinted in a row
def _found(text: str) -> tuple[Link, ...]:
    return tuple(find_links(text))


def _mask_links(text: str) -> str:
    kept, end = [], 0
    for link in _found(text):
        kept += [text[end : link.start], _LINK_MARK]
        end = link.end
    return "".join([*kept, text[end:]])


def _has_accent_run(text: str) -> bool:
    if len(text) <= _MOST_ACCENTS:
        return False
    runs = groupby(unicodedata.combining(character) > 0 for character in text)
    return any(accents and sum(1 for _ in run) > _MOST_ACCENTS for accents, run in runs)


@cache
def _weights() -> _Weights:
    load_twitter_text()
    from twitter_text.config import config
    from twitter_text.regexp.emoji import emoji
    from twitter_text.regexp.invalid_chars import invalid_chars

    numbers = config["defaults"]
    light = numbers["ranges"]
    return _Weights(
        light=tuple(range(one["start"], one["end"] + 1) for one in light),
        of_light=light[0]["weight"],
        of_other=numbers["default_weight"],
        of_link=numbers["transformed_url_length"] * numbers["scale"],
        scale=numbers["scale"],
        emoji=emoji,
        refused=invalid_chars,
    )


def one_line(text: str) -> str:
    """Returns the text in NFC on one line, without invisible and control characters."""
    shown = _WIDTHLESS.sub("", text)
    spaced = "".join(" " if _is_control(character) else character for character in shown)
    return unicodedata.normalize("NFC", " ".join(spaced.split()))


def _is_control(character: str) -> bool:
    return unicodedata.category(character).startswith("C") and character not in _JOINERS

"""What X makes of a text: its weighted length, its links, and how alike two texts are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from bot.core.content import text as x_text
from bot.core.content.text import one_line

WEIGHT_LIMIT = 280
_LOOSE_MARK = re.compile(r"\s+(?=[.,](?:\s|$))")
_EMAIL = re.compile(r"\w@\w")
_MENTION = re.compile("(?<!\\w)[@＠]+(?=\\w)")  # noqa: RUF001  # X reads the full-width sign as well
_HASHTAG = re.compile("[#＃]+(?=\\w)")  # noqa: RUF001  # same
_CASHTAG = re.compile(r"\$(?=[A-Za-z])")
_ALIKE = 0.75  # share of a text's words that makes the other a repetition


def weight(text: str) -> int:
    """Returns the weighted length: 280 is the most X takes."""
    return x_text.weigh(text).weighted_length


def is_valid(text: str) -> bool:
    """Whether X takes the text: not empty, at most 280 weighted, no forbidden characters."""
    return bool(text.strip()) and x_text.weigh(text).valid


def links(text: str) -> list[str]:
    """Returns all that X turns into a link, also bare names such as `setup.py` or `README.md`."""
    return list(x_text.links(text))


def has_link(text: str) -> bool:
    """Whether X would show a link, or the text holds an e-mail address."""
    return bool(_EMAIL.search(text)) or "://" in text or bool(links(text))


def mentions(text: str) -> list[str]:
    """Returns the @names in the text."""
    return re.findall("[@＠]\\w+", text)  # noqa: RUF001  # same


def hashtags(text: str) -> list[str]:
    """Returns the #words in the text; a bare number is none."""
    return [tag for tag in re.findall("[#＃]\\w+", text) if not tag[1:].isdigit()]  # noqa: RUF001  # same


def without_tags(text: str) -> str:
    """Returns the text on one line with @names and #words as plain words, and one cashtag at most."""
    plain = _HASHTAG.sub("", _MENTION.sub("", one_line(text)))
    plain = _LOOSE_MARK.sub("", plain)
    first = _CASHTAG.search(plain)
    return plain[: first.end()] + _CASHTAG.sub("", plain[first.end() :]) if first else plain


@lru_cache(maxsize=2048)  # every sentence of a source is compared with the same earlier texts
def words(text: str) -> tuple[str, ...]:
    """Returns the words in one case, for comparing."""
    return tuple(re.findall(r"\w+", text.casefold()))


def repeats(text: str, earlier: Iterable[str]) -> bool:
    """Whether the text, or nearly all of its words, stands in one of the earlier texts."""
    own = words(text)
    if not own:
        return True
    phrase = f" {' '.join(own)} "
    for other in earlier:
        theirs = words(other)
        if phrase in f" {' '.join(theirs)} ":
            return True
        shared = len(set(own) & set(theirs))
        if shared >= _ALIKE * len(set(own)):
            return True
    return False


def mentions_topic(text: str, topic: str) -> bool:
    """Whether every word of the topic begins a word of the text ("package" finds "packages")."""
    wanted = words(topic)
    there = set(words(text))
    return bool(wanted) and all(
        word in there or any(other.startswith(word) for other in there) or word.removesuffix("s") in there
        for word in wanted
    )

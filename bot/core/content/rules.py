"""What a text that was written from a source must keep to, beyond what X takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bot.core.content.drafts import DraftRequest, SourceItem
from bot.core.content.text import links, one_line

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_THOUSANDS = re.compile(r",(?=\d{3}(?:\D|$))")
_MENTION = re.compile("[@＠]\\w+")  # noqa: RUF001  # X reads the full-width sign as well
_HASHTAG = re.compile("[#＃]\\w+")  # noqa: RUF001  # same
_ALIKE = 0.75  # share of a text's words that makes the other a repetition


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One broken rule, named for programs and said for people."""

    rule: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenFrom:
    """What a text was written from: the item, and the request that offered it."""

    item: SourceItem
    request: DraftRequest


def broken(text: str, given: WrittenFrom) -> Iterator[Problem]:
    """The rules for texts that a writer words itself, and that this one breaks.

    Args:
        text: without the links that it may carry.
        given: what it was written from.
    """
    if not text.strip():
        yield Problem(rule="empty", message="the text is empty: say something")
        return
    if "://" in text and not links(text):
        yield Problem(rule="invented_link", message="it holds a link; write none")
    if named := _MENTION.findall(text):
        yield Problem(rule="mention", message=f"it mentions {', '.join(named)}; write no @mentions")
    if (tags := hashtags(text)) and not wants_hashtags(given.request):
        yield Problem(rule="hashtag", message=f"it holds hashtags ({', '.join(tags)}); write none")
    if invented := invented_numbers(text, given.item):
        message = f"the item does not hold the number(s) {', '.join(invented)}"
        yield Problem(rule="invented_number", message=message)
    if repeats(text, given.request.avoid):
        message = "it repeats an earlier post; choose another fact or item"
        yield Problem(rule="repetition", message=message)


def wants_hashtags(request: DraftRequest) -> bool:
    """Whether the persona asks for hashtags."""
    return "hashtag" in (request.persona or "").casefold()


def hashtags(text: str) -> Sequence[str]:
    """Returns the #words in the text; a bare number is none."""
    return [tag for tag in _HASHTAG.findall(text) if not tag[1:].isdigit()]


def invented_numbers(text: str, item: SourceItem) -> Sequence[str]:
    """Returns the numbers of the text that the item's title and text don't hold."""
    known = {_plain(number) for number in _NUMBER.findall(one_line(f"{item.source.title} {item.text}"))}
    return [number for number in _NUMBER.findall(text) if _plain(number) not in known]


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


def _plain(number: str) -> str:
    """Drops thousands separators, so that 12,000 is 12000."""
    return _THOUSANDS.sub("", number)

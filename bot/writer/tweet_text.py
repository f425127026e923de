"""What of a source's text can stand in a post: its links, names and tags, and its topic."""

from __future__ import annotations

import re

from bot.core.content.drafts import DraftRequest, SourceItem
from bot.core.content.rules import words
from bot.core.content.text import links, one_line

_LOOSE_MARK = re.compile(r"\s+(?=[.,](?:\s|$))")
_EMAIL = re.compile(r"\w@\w")
_MENTION = re.compile("(?<!\\w)[@＠]+(?=\\w)")  # noqa: RUF001  # X reads the full-width sign as well
_HASHTAG = re.compile("[#＃]+(?=\\w)")  # noqa: RUF001  # same
_CASHTAG = re.compile(r"\$(?=[A-Za-z])")


def own_link(item: SourceItem, request: DraftRequest) -> tuple[str, ...]:
    """The item's address, if the post is to carry it and X makes one link of it."""
    url = item.source.url if request.include_link else None
    return (url,) if url and links(url) == (url,) else ()


def has_link(text: str) -> bool:
    """Whether X would show a link, or the text holds an e-mail address."""
    return bool(_EMAIL.search(text)) or "://" in text or bool(links(text))


def without_tags(text: str) -> str:
    """Returns the text on one line with @names and #words as plain words, and one cashtag at most."""
    plain = _HASHTAG.sub("", _MENTION.sub("", one_line(text)))
    plain = _LOOSE_MARK.sub("", plain)
    first = _CASHTAG.search(plain)
    return plain[: first.end()] + _CASHTAG.sub("", plain[first.end() :]) if first else plain


def mentions_topic(text: str, topic: str) -> bool:
    """Whether every word of the topic begins a word of the text ("package" finds "packages")."""
    wanted = words(topic)
    there = set(words(text))
    return bool(wanted) and all(
        word in there or any(other.startswith(word) for other in there) or word.removesuffix("s") in there
        for word in wanted
    )

"""Sections of Markdown, reStructuredText and plain notes, as prose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from bot.core.content.text import one_line
from bot.core.model import PATH_MARK
from bot.sources.entry import Entry, Unreadable
from bot.sources.front_matter import split_front_matter
from bot.sources.prose import from_html
from bot.sources.restructured import looks_restructured, restructured_parts

if TYPE_CHECKING:
    from markdown_it.token import Token

Part = tuple[int, str]
"""A heading with its level from 1, or a block of prose with level 0."""

_LEAST_PROSE = 80  # characters that make a section worth an item
_LIST_WORDS = 5
_SHORTCODE = re.compile(r"(?<!\S):[a-z0-9_+-]+:(?!\S)")
_HEADING = re.compile(r"<h([1-6])(?:\s[^<>]*)?>", re.IGNORECASE)
_ALERT = re.compile(r"^\[!\w+\]\s*")


def read_notes(text: str, *, name: str, url: str | None = None) -> list[Entry]:
    """Returns the sections with enough prose; a short note is one entry.

    Args:
        text: the note, in whatever markup.
        name: what to call a note without headings.
        url: the note's public address, if it has one.

    Raises:
        Unreadable: there is no prose in it.
    """
    fields, content = split_front_matter(text)
    title = dict(reversed(fields)).get("title", "")
    parts = restructured_parts(content) if looks_restructured(content) else markdown_parts(content)
    sections = list(_sections(parts, root=one_line(title)))
    prose = [section for section in sections if _prose_length(section[1]) >= _LEAST_PROSE]
    if not prose and sections:
        prose = [(sections[0][0], "\n\n".join(section for _, section in sections))]
    if not prose:
        raise Unreadable("there is no prose in it (code, tables and links aside); give a text with sentences")
    return list(_entries(prose, name=name, url=url))


def _prose_length(text: str) -> int:
    """Counts the characters of blocks that read like sentences: lists of names and addresses are none."""
    return sum(
        len(block) for block in text.split("\n\n") if len(block.split()) > _LIST_WORDS or not block.isascii()
    )


def markdown_parts(text: str) -> Iterator[Part]:
    """Yields the headings and the prose of Markdown, without code, tables, images and link targets."""
    from markdown_it import MarkdownIt

    level, table = 0, 0
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type in {"table_open", "table_close"}:
            table += token.nesting
        elif token.type == "heading_open":
            level = int(token.tag[1])
        elif token.type == "heading_close":
            level = 0
        elif token.type == "inline" and not table:
            words = _inline(token.children or ())
            if words:
                yield level, words
        elif token.type == "html_block":
            yield from _html_parts(token.content)


def _html_parts(markup: str) -> Iterator[Part]:
    heading = _HEADING.search(markup)
    closing = heading and re.compile(f"</h{heading[1]}", re.IGNORECASE).search(markup, heading.end())
    if heading and closing:
        words = one_line(from_html(markup[heading.end() : closing.start()]))
        if words:
            yield int(heading[1]), words
            markup = markup[closing.start() :]
    for block in from_html(markup).split("\n\n"):
        if block:
            yield 0, block


def _inline(tokens: Sequence[Token]) -> str:
    """Returns the words; a line of nothing but links is navigation and gives none."""
    words: list[str] = []
    own: list[str] = []
    linked = autolink = 0
    for token in tokens:
        if token.type in {"link_open", "link_close"}:
            linked += token.nesting
            autolink += token.nesting if token.markup == "autolink" else 0
        elif token.type in {"softbreak", "hardbreak"}:
            words.append(" ")
        elif token.type in {"text", "code_inline"} and not autolink:
            words.append(token.content)
            if not linked:
                own.append(token.content)
    if any(token.type == "link_open" for token in tokens) and not re.search(r"\w", "".join(own)):
        return ""
    return one_line(_SHORTCODE.sub("", _ALERT.sub("", "".join(words))))


def _sections(parts: Iterable[Part], *, root: str) -> Iterator[tuple[str, str]]:
    """Yields each section's heading path and prose."""
    path: list[tuple[int, str]] = [(0, root)] if root else []
    prose: list[str] = []
    for level, words in parts:
        if not level:
            prose.append(words)
            continue
        if prose:
            yield PATH_MARK.join(heading for _, heading in path), "\n\n".join(prose)
        prose = []
        path = [*(above for above in path if above[0] < level), (level, words)]
    if prose:
        yield PATH_MARK.join(heading for _, heading in path), "\n\n".join(prose)


def _entries(sections: Iterable[tuple[str, str]], *, name: str, url: str | None) -> Iterator[Entry]:
    seen: Counter[str] = Counter()
    for path, text in sections:
        seen[path] += 1
        key = path if seen[path] == 1 else f"{path}#{seen[path]}"
        yield Entry(kind="note", key=key, title=path or name, text=text, url=url)

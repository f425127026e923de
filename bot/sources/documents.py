"""The entries of a document of any kind, bounded: what a source gave, read."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from bot.sources.entry import Entry, Held, Unreadable
from bot.sources.feeds import read_feed
from bot.sources.fetch import Body, public
from bot.sources.front_matter import held_because
from bot.sources.notes import read_notes
from bot.sources.pages import decode, read_page

MOST_ENTRIES = 100
MOST_CHARACTERS = 50_000  # of one entry: more than a post is ever written from
_TITLE_CHARACTERS = 300
_NOTE_CHARACTERS = 100_000
_HEAD_CHARACTERS = 4096
_FEED = re.compile(r"<(?:\w{1,40}:)?(?:rss|feed|RDF)[\s>]")
_HTML = re.compile(r"<(?:!doctype\s{1,40}html|html|head|body)[\s>]", re.IGNORECASE)
_NAMED_TEXT = frozenset({".txt", ".text", ".md", ".markdown", ".mdown", ".rst"})
_WANTED = "give a feed, a web page, or a Markdown or text file"


def read_body(body: Body, *, name: str, now: datetime, suffix: str = "") -> list[Entry]:
    """Returns the first entries of a feed, a page or a note, told apart by the content.

    Args:
        body: the document.
        name: what to call a note without headings.
        now: the moment after which a note's date holds it back.
        suffix: the file name's end, which tells a note that quotes HTML from a page.

    Raises:
        Unreadable: it is empty, not text, or has nothing readable in it.
        Held: it is a note that its author holds back.
    """
    return [
        replace(entry, title=entry.title[:_TITLE_CHARACTERS], text=_cut(entry.text, MOST_CHARACTERS))
        for entry in _entries(body, name=name, now=now, suffix=suffix)[:MOST_ENTRIES]
    ]


def _entries(body: Body, *, name: str, now: datetime, suffix: str) -> list[Entry]:
    if not body.content.strip():
        raise Unreadable(f"it is empty; {_WANTED}")
    text = decode(body)
    if "\0" in text or text.startswith("%PDF-"):
        raise Unreadable(f"it is not text; {_WANTED}")
    head = text[:_HEAD_CHARACTERS].lstrip("\ufeff \t\r\n")
    if suffix not in _NAMED_TEXT:
        if head.startswith("<") and _FEED.search(head):
            return read_feed(text, url=body.url, most=MOST_ENTRIES)
        if _HTML.search(head) or "html" in body.content_type:
            return read_page(text, url=body.url)
        if head.startswith("<?xml"):
            return read_feed(text, url=body.url, most=MOST_ENTRIES)
    if head[:1] in {"{", "["} and "json" in body.content_type:
        raise Unreadable(f"it is JSON; {_WANTED}")
    held = held_because(text, now=now)
    if held:
        raise Held(f"its author holds it back ({held}); it is written from once that is gone or past")
    return read_notes(_cut(text, _NOTE_CHARACTERS), name=name, url=public(body.url))


def _cut(text: str, most: int) -> str:
    """Returns the text's beginning, whole blocks or lines of it where there are some."""
    if len(text) <= most:
        return text
    end = max(text.rfind("\n\n", 0, most), text.rfind("\n", most - most // 10, most), 0)
    return text[: end or most]

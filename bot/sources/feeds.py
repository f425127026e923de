"""Entries of RSS and Atom feeds."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice
from typing import Any

from bot.core.content.text import one_line
from bot.sources.entry import Entry, Unreadable
from bot.sources.fetch import public
from bot.sources.prose import from_html

_HEAD_CHARACTERS = 4096
_ENTRY_END = re.compile(r"</(?:\w{1,40}:)?(?:item|entry)\s{0,20}>", re.IGNORECASE)
_OPEN = re.compile(r"<((?:\w{1,40}:)?(?:rss|feed|RDF|channel))[\s>]")
_LEAST_TEXT = 20  # characters; less says nothing that the title does not


def read_feed(text: str, *, url: str | None, most: int) -> list[Entry]:
    """Returns the feed's first entries in its own order.

    Args:
        text: the feed, decoded; what it says of its own encoding is ignored.
        url: where it came from, against which its links are resolved.
        most: how many entries are looked at.

    Raises:
        Unreadable: it is no feed, or one without a readable entry.
    """
    import feedparser

    headers = {"content-location": url or "", "content-type": "application/xml; charset=utf-8"}
    # The words are taken out of their markup here, so nothing in it needs to be made safe.
    feed: Mapping[str, Any] = feedparser.parse(
        BytesIO(_first_entries(text, most).encode(errors="replace")),
        response_headers=headers,
        sanitize_html=False,
        resolve_relative_uris=False,
    )
    raw = feed.get("entries") or []
    entries = [entry for entry in (_entry(fields) for fields in raw) if entry]
    if entries:
        return entries
    if raw:
        raise Unreadable("its entries hold no text; give a feed with summaries or full text")
    if feed.get("version"):
        raise Unreadable("the feed has no entries; give one that has, or wait for its first")
    raise Unreadable("it is XML but no feed; give an RSS or Atom address, a web page or a text file")


def _first_entries(text: str, most: int) -> str:
    """Returns the feed up to so many entries, closed again."""
    ends = list(islice(_ENTRY_END.finditer(text), most))
    if len(ends) < most:
        return text
    closings = _OPEN.findall(text[:_HEAD_CHARACTERS])
    return text[: ends[-1].end()] + "".join(f"</{name}>" for name in reversed(closings))


def _entry(fields: Mapping[str, Any]) -> Entry | None:
    title = one_line(from_html(str(fields.get("title") or "")))
    link = str(fields.get("link") or "").strip()
    bodies = [str(part.get("value") or "") for part in fields.get("content") or []]
    bodies.append(str(fields.get("summary") or ""))
    text = max((from_html(markup) for markup in bodies), key=len)
    if len(text) < _LEAST_TEXT:
        text = "\n\n".join(part for part in (title, text) if part)
    if not text:
        return None
    key = str(fields.get("id") or link or title or text)
    return Entry(kind="feed", key=key, title=title, text=text, url=public(link), published_at=_moment(fields))


def _moment(fields: Mapping[str, Any]) -> datetime | None:
    # Plain look-ups: feedparser's own warn when they take one date for the other.
    plain = dict(fields.items())
    parsed = plain.get("published_parsed") or plain.get("updated_parsed")
    if not parsed:
        return None
    try:
        return datetime.fromtimestamp(timegm(parsed), UTC)
    except (ValueError, TypeError, OverflowError, OSError):  # a date that no calendar has
        return None

"""The main text of a web page."""

from __future__ import annotations

import codecs
import re
from html import unescape

from bot.writer.entry import Entry
from bot.writer.fetch import BODY_BYTES, Body, Unreadable, public
from bot.writer.prose import blocks, from_html, html_title, one_line

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_HEAD_BYTES = 2048
_LEAST_TEXT = 40  # characters
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(body: Body) -> str:
    """Returns the body's text: by its byte order mark, its declared charset, UTF-8, or Windows-1252."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.content.startswith(mark):
            return body.content.decode(encoding, errors="replace")
    declared = _CHARSET.search(body.content_type.encode()) or _CHARSET.search(body.content[:_HEAD_BYTES])
    names = [declared.group(1).decode()] if declared else []
    for name in (*names, "utf-8"):
        try:
            return body.content.decode(
                "cp1252" if name.lower() in {"iso-8859-1", "latin-1", "latin1"} else name
            )
        except (LookupError, UnicodeDecodeError):
            continue
    if len(body.content) >= BODY_BYTES:  # cut at its limit, maybe inside a letter
        return body.content.decode(errors="replace")
    return body.content.decode("cp1252", errors="replace")


def read_page(body: Body) -> list[Entry]:
    """Returns the page as its one entry.

    Raises:
        Unreadable: the page has no main text.
    """
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    markup = decode(body)
    found = bare_extraction(markup, include_comments=False, include_tables=False, fast=True)
    # Trafilatura gives a block a line; the rest of the room parts blocks by an empty line.
    main = (found.text or "") if isinstance(found, Document) else ""
    text = blocks(unescape(main).replace("\n", "\n\n"))
    if len(text) < _LEAST_TEXT:
        text = from_html(markup)
    if len(text) < _LEAST_TEXT:
        raise Unreadable(
            "the page has no readable text without scripts; give an article, a feed or a text file"
        )
    heading = re.search(r"<h1[^>]*>(.*?)</h1", markup, re.IGNORECASE | re.DOTALL)
    title = html_title(markup) or (one_line(from_html(heading.group(1))) if heading else "")
    return [Entry(kind="page", key="", title=_own_title(title), text=text, url=public(body.url))]


def _own_title(title: str) -> str:
    """Returns the page title without the name of the site that follows it."""
    first = re.split(r"\s+[|·•»–—]\s+", title)[0]  # noqa: RUF001  # the dashes that titles use
    return first if len(first.split()) > 1 else title

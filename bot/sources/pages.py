"""The main text of a web page."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from html import unescape

from bot.core.content.text import one_line
from bot.sources.entry import Entry, Unreadable
from bot.sources.fetch import BODY_BYTES, Body, public
from bot.sources.prose import blocks, element, from_html, html_title, without_unread

_CHARSET = re.compile(
    rb"(?:charset|^\s*<\?xml[^>]{0,200}?encoding)\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE
)
# Encodings of text; Python has others that unpack, run or refuse what they are given.
_CHARSETS = re.compile(
    r"ascii|utf-(?:8|16|32)(?:-[lb]e|-sig)?|cp\d{3,4}|iso8859-\d{1,2}|koi8-[rtu]|kz1048|ptcp154|tis-620|mac-\w+|"
    r"hp-roman8|big5(?:hkscs)?|gb2312|gbk|gb18030|hz|euc_\w+|shift_jis\w*|iso2022_\w+|johab"
)
_HEAD_BYTES = 2048
_LEAST_TEXT = 40  # characters
_MARKUP_CHARACTERS = 250_000  # without scripts; an article is never longer
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
    if body.content.startswith((b"<\0", b"\0<")):
        return body.content.decode("utf-16-le" if body.content[1] == 0 else "utf-16-be", errors="replace")
    declared = _CHARSET.search(body.content_type.encode(errors="replace")) or _CHARSET.search(
        body.content[:_HEAD_BYTES]
    )
    for name in (*([declared[1].decode()] if declared else []), "utf-8"):
        known = _known(name)
        if known:
            with suppress(UnicodeError):
                return body.content.decode(known)
    if len(body.content) >= BODY_BYTES:  # cut at its limit, maybe inside a letter
        return body.content.decode(errors="replace")
    return body.content.decode("cp1252", errors="replace")


def _known(name: str) -> str | None:
    """Returns Python's name of an encoding of text, or None."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    if found == "iso8859-1":  # as browsers read it
        return "cp1252"
    return found if _CHARSETS.fullmatch(found) else None


def read_page(markup: str, *, url: str | None) -> list[Entry]:
    """Returns the page as its one entry.

    Raises:
        Unreadable: the page has no main text.
    """
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    shown = without_unread(markup)[:_MARKUP_CHARACTERS]
    found = bare_extraction(shown, include_comments=False, include_tables=False, fast=True)
    # Trafilatura gives a block a line; the rest of the room parts blocks by an empty line.
    main = (found.text or "") if isinstance(found, Document) else ""
    text = blocks(unescape(main).replace("\n", "\n\n"))
    if len(text) < _LEAST_TEXT:
        text = from_html(shown)
    if len(text) < _LEAST_TEXT:
        raise Unreadable(
            "the page has no readable text without scripts; give an article, a feed or a text file"
        )
    title = html_title(shown) or one_line(from_html(element(shown, "h1") or ""))
    return [Entry(kind="page", key="", title=_own_title(title), text=text, url=public(url))]


def _own_title(title: str) -> str:
    """Returns the page title without the name of the site that follows it."""
    first = re.split(r"\s+[|·•»–—]\s+", title)[0]  # noqa: RUF001  # the dashes that titles use
    return first if len(first.split()) > 1 else title

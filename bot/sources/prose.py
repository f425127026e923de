"""Plain prose out of untrusted text: one Unicode form, no markup, blocks kept apart."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

from bot.core.content.text import one_line

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_HIDDEN = re.compile(r"<!--|<(?:script|style|svg|template|noscript)\b", re.IGNORECASE)
_HIDDEN_ENDS = {
    "<!--": re.compile("-->"),
    **{
        f"<{name}": re.compile(f"</{name}\\b[^<>]*>", re.IGNORECASE)
        for name in ("script", "style", "svg", "template", "noscript")
    },
}
_UNREAD = frozenset(
    {"script", "style", "pre", "table", "noscript", "svg", "template", "iframe", "figure", "title"}
)
_BLOCKS = re.compile(
    "address|article|aside|blockquote|dd|div|dl|dt|fieldset|figcaption|footer|form|h[1-6]|header|hr|li|main|nav|"
    "ol|option|p|section|select|ul"
)


def blocks(text: str) -> str:
    """Returns the text as blocks of one line each, an empty line between them.

    An empty line in the text parts its blocks; a single line break is a space.
    """
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = (one_line(block) for block in re.split(r"\n[ \t\f\v]*\n", unified))
    return "\n\n".join(line for line in lines if line)


def from_html(markup: str) -> str:
    """Returns the words of an HTML fragment as blocks, without code, tables and scripts."""
    reader = _HtmlReader()
    reader.feed(markup)
    reader.close()
    text = "".join(reader.parts)
    if _TAG.search(text):  # markup that was escaped twice
        again = _HtmlReader()
        again.feed(text)
        again.close()
        text = "".join(again.parts)
    return blocks(unescape(text))


def html_title(markup: str) -> str:
    """Returns the page's own title on one line, or nothing."""
    return one_line(unescape(element(markup, "title") or ""))


def element(markup: str, name: str) -> str | None:
    """Returns the markup inside the first element of that name, or None."""
    opening = re.search(rf"<{name}(?:\s[^<>]*)?>", markup, re.IGNORECASE)
    closing = opening and re.compile(f"</{name}", re.IGNORECASE).search(markup, opening.end())
    return markup[opening.end() : closing.start()] if opening and closing else None


def without_unread(markup: str) -> str:
    """Returns the markup without scripts, styles, drawings and comments; one without end takes the rest."""
    kept: list[str] = []
    end = 0
    for opening in _HIDDEN.finditer(markup):
        if opening.start() < end:
            continue
        kept.append(markup[end : opening.start()])
        closing = _HIDDEN_ENDS[opening[0].lower()].search(markup, opening.end())
        end = closing.end() if closing else len(markup)
    return "".join([*kept, markup[end:]])


class _HtmlReader(HTMLParser):
    """Collects the words between tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unread: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # HTMLParser's
        if tag in _UNREAD:
            self._unread.append(tag)
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unread:
            while self._unread and self._unread.pop() != tag:
                pass
        if tag != "br":
            self._part(tag)

    def handle_data(self, data: str) -> None:
        if not self._unread:
            # A line break inside a paragraph is a space; only tags part blocks.
            self.parts.append(data.replace("\n", " ").replace("\r", " "))

    def _part(self, tag: str) -> None:
        if _BLOCKS.fullmatch(tag):
            self.parts.append("\n\n")
        elif tag == "br":
            self.parts.append("\n")

"""The headings and the prose of reStructuredText, as far as notes and READMEs use it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.core.content.text import one_line

_ADORNMENT = re.compile(r"^([!-/:-@\[-`{-~])\1{2,}\s*$")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)]|#\.|\(\w\))\s+")
_FIELD = re.compile(r"^:[\w -]+:(?:\s|$)")
_TABLE = re.compile(r"^\s*(?:\+[-=+]+\+|=+(?: +=+)+)\s*$")
_SIGNS = re.compile(r"^\.\. |::\s*$|``|`_(?:\W|$)|:\w+:`", re.MULTILINE)
_MARKDOWN_SIGNS = re.compile(r"^#{1,6} |^```|\]\(", re.MULTILINE)
_FEWEST_SIGNS = 2
_INLINE = (
    (re.compile(r"\|[^|\s][^|]{0,300}\|_{0,2}"), ""),
    (re.compile(r"\[[\w#*.-]+\]_"), ""),
    (re.compile(r":[\w:.-]{1,80}:`~?([^`<]{1,300}?)\s{0,9}(?:<[^>`]{0,300}>)?`"), r"\1"),
    (re.compile(r"``(.{1,300}?)``"), r"\1"),
    (re.compile(r"`<[^>`]{0,300}>`_{0,2}"), ""),
    (re.compile(r"`([^`<]{1,300}?)\s{0,9}(?:<[^>`]{0,300}>)?`_{0,2}"), r"\1"),
    (re.compile(r"\*\*(\S.{0,300}?)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*(\S[^*]{0,300})\*(?![\w*])"), r"\1"),
    (re.compile(r"\b([A-Za-z]\w*[A-Za-z0-9])_(?=[\s.,;:)]|$)"), r"\1"),
    (re.compile(r"::$"), ":"),
)


def looks_restructured(text: str) -> bool:
    """Whether the text is reStructuredText rather than Markdown, by the signs in it."""
    signs = len(_SIGNS.findall(text))
    return signs >= _FEWEST_SIGNS and signs > len(_MARKDOWN_SIGNS.findall(text))


def restructured_parts(text: str) -> Iterator[tuple[int, str]]:
    """Yields headings with their level from 1, and blocks of prose with level 0.

    Directives, comments, literal blocks, tables and field lists are left out.
    """
    return _Reader(text).parts()


class _Reader:
    """Walks the lines once."""

    def __init__(self, text: str) -> None:
        self._lines = text.expandtabs(4).splitlines()
        self._at = 0
        self._styles: list[str] = []

    def parts(self) -> Iterator[tuple[int, str]]:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            heading = self._heading()
            if heading:
                yield heading
            elif not line.strip() or _ADORNMENT.match(line):
                self._at += 1
            elif line.startswith(".. ") or line.strip() in {"..", "::"} or _FIELD.match(line):
                self._skip_with_indented()
            elif _TABLE.match(line) or line.lstrip().startswith((">>>", "|")):
                self._skip_block()
            else:
                words = self._paragraph()
                if words:
                    yield 0, words

    def _line(self, offset: int) -> str:
        at = self._at + offset
        return self._lines[at] if at < len(self._lines) else ""

    def _heading(self) -> tuple[int, str] | None:
        over, below = _ADORNMENT.match(self._line(0)), _ADORNMENT.match(self._line(2))
        if over and below and self._line(1).strip() and over.group(1) == below.group(1):
            title, style, length = self._line(1), over.group(1) * 2, 3
        else:
            under = _ADORNMENT.match(self._line(1))
            title = self._line(0)
            if not under or not title.strip() or title.startswith(" ") or _ADORNMENT.match(title):
                return None
            style, length = under.group(1), 2
        self._at += length
        if style not in self._styles:
            self._styles.append(style)
        words = _words(title)
        return (self._styles.index(style) + 1, words) if words else None

    def _skip_with_indented(self) -> None:
        self._at += 1
        while self._at < len(self._lines) and (not self._line(0).strip() or self._line(0).startswith(" ")):
            self._at += 1

    def _skip_block(self) -> None:
        while self._at < len(self._lines) and self._line(0).strip():
            self._at += 1

    def _paragraph(self) -> str:
        gathered = [_BULLET.sub("", self._line(0))]
        self._at += 1
        while (
            self._line(0).strip() and not _BULLET.match(self._line(0)) and not _ADORNMENT.match(self._line(1))
        ):
            gathered.append(self._line(0))
            self._at += 1
        if gathered[-1].rstrip().endswith("::"):
            self._skip_literal()
        return _words(" ".join(gathered))

    def _skip_literal(self) -> None:
        self._at -= 1
        self._skip_with_indented()


def _words(text: str) -> str:
    words = one_line(text)
    for pattern, replacement in _INLINE:
        words = pattern.sub(replacement, words)
    return one_line(words)

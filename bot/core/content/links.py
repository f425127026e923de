"""The links that X would make of a text, in time that grows with its length alone.

twitter-text looks for them with one expression whose time grows with the square of the text: "a."
a thousand times takes it a quarter of a minute. Here its own character classes, endings and paths
are walked once: each label of a domain is judged once, each top-level domain looked up once.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from bot.lean import load_twitter_text

_PROTOCOL = re.compile(r"https?://", re.IGNORECASE)
_NO_LABEL_EDGE = frozenset("_-")
_LONGEST_SHORT_NAME = 40  # of a t.co address


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """An address in a text: as X reads it, and where it stands."""

    url: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Grammar:
    """twitter-text's expressions, each for one small thing.

    `openings` are the first two letters of every top-level domain in ASCII, `first` is the first
    letter of any. `path_part` goes to the last character that may end a path.
    """

    before: re.Pattern[str]
    domain_run: re.Pattern[str]
    ascii_run: re.Pattern[str]
    first: re.Pattern[str]
    openings: frozenset[str]
    top_level: re.Pattern[str]
    port: re.Pattern[str]
    path: re.Pattern[str]
    path_part: re.Pattern[str]
    parentheses: re.Pattern[str]
    query: re.Pattern[str]


@cache
def _grammar() -> _Grammar:
    load_twitter_text()
    from twitter_text.regexp.invalid_domain_chars import invalid_domain_chars
    from twitter_text.regexp.latin_accent_chars import latin_accent_chars
    from twitter_text.regexp.valid_general_url_path_chars import valid_general_url_path_chars
    from twitter_text.regexp.valid_url_balanced_parens import valid_url_balanced_parens
    from twitter_text.regexp.valid_url_path_ending_chars import valid_url_path_ending_chars
    from twitter_text.regexp.valid_url_preceding_chars import valid_url_preceding_chars
    from twitter_text.regexp.valid_url_query_chars import valid_url_query_chars
    from twitter_text.regexp.valid_url_query_ending_chars import valid_url_query_ending_chars

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(pattern, re.IGNORECASE)

    names = _top_level_names()
    path, ending = valid_general_url_path_chars.pattern, valid_url_path_ending_chars.pattern.split("|")[0]
    return _Grammar(
        before=compiled(valid_url_preceding_chars.pattern),
        domain_run=compiled(rf"(?:[^{invalid_domain_chars.pattern}]|[._-])+"),
        ascii_run=compiled(rf"[.\-a-z0-9{latin_accent_chars.pattern}]+"),
        first=compiled(f"[{''.join({name[0] for name in names})}]"),
        openings=frozenset(name[:2] for name in (*names, "xn--") if name.isascii()),
        top_level=compiled(_any_of(names) + r"(?=[^0-9a-zA-Z@+-]|$)|xn--[\-0-9a-z]+"),
        port=re.compile(":[0-9]+"),
        path=compiled(f"{path}+"),
        path_part=compiled(f"{path}*{ending}"),
        parentheses=compiled(valid_url_balanced_parens.pattern),
        query=compiled(rf"\?{valid_url_query_chars.pattern}*{valid_url_query_ending_chars.pattern}"),
    )


def _top_level_names() -> list[str]:
    from twitter_text.regexp.valid_cctld import valid_cctld
    from twitter_text.regexp.valid_gtld import valid_gtld

    lists = (re.sub(r"\(\?:|\)\(\?=.*", "", names.pattern) for names in (valid_gtld, valid_cctld))
    return [name for names in lists for name in names.split("|")]


def _any_of(names: Sequence[str]) -> str:
    """Returns an expression for the names, parted by their first letter; the first that fits counts."""
    rests: dict[str, list[str]] = {}
    for name in names:
        rests.setdefault(name[0], []).append(re.escape(name[1:]))
    groups = (f"{first}(?:{'|'.join(rest)})" for first, rest in rests.items())
    return f"(?:{'|'.join(groups)})"


def find_links(text: str) -> list[Link]:
    """Returns what twitter-text's `extract_urls_with_indices` returns, in order."""
    if "." not in text:
        return []
    found: list[Link] = []
    done = 0
    earlier: _Run | None = None
    for stretch in _grammar().domain_run.finditer(text):
        run = _Run(text, *stretch.span())
        while run.has_domain:
            start, domain_start, domain_end = _next_domain(text, run, earlier, done)
            if not domain_end:
                break
            path, done = _path_and_end(text, domain_end)
            found += _read(text, start, domain_start, domain_end, done, path=path)
        earlier = run
    return found


def _next_domain(text: str, run: _Run, earlier: _Run | None, done: int) -> tuple[int, int, int]:
    """Returns where the next link of the run starts, and its domain's two ends; ends of 0 for none.

    A link needs a character before it that belongs to none, unless it opens the text.
    """
    least = done + 1 if done else 0
    if earlier is not None:
        for start in (earlier.end - len("https"), earlier.end - len("http")):
            protocol = _PROTOCOL.match(text, start) if start >= max(earlier.start, least) else None
            if protocol and protocol.end() == run.start and _may_start(text, start):
                end = run.domain_end(run.start)
                if end:
                    return start, run.start, end
    places: Sequence[int] = range(max(run.start, least), run.end)
    if run.start == 0 and not done:  # the first character is first taken for one before a link
        places = [1, 0, *places[2:]]
    for start in places:
        end = run.domain_end(start)
        if end and _may_start(text, start):
            return start, start, end
    return 0, 0, 0


def _path_and_end(text: str, at: int) -> tuple[str, int]:
    """Returns the path that follows a domain, and where the whole link ends with its query."""
    grammar = _grammar()
    port = grammar.port.match(text, at)
    begin = port.end() if port else at
    end = _path_end(text, begin) if text.startswith("/", begin) else begin
    query = grammar.query.match(text, end)
    return text[begin:end], query.end() if query else end


def _path_end(text: str, begin: int) -> int:
    """Returns where a path ends: after the last ending character of its run, and any parentheses there."""
    grammar = _grammar()
    at = end = begin + 1
    while True:
        part = grammar.path.match(text, at)
        if part:
            last = grammar.path_part.match(text, at, part.end())
            end = last.end() if last else end
            at = part.end()
        pair = grammar.parentheses.match(text, at)
        if not pair:
            return end
        end = pair.end() if at == end else end
        at = pair.end()


def _read(
    text: str, start: int, domain_start: int, domain_end: int, end: int, *, path: str
) -> Iterator[Link]:
    """Yields the links of one match, as twitter-text's `extract_urls_with_indices` reads it."""
    from twitter_text.extract_urls import default_protocol, is_valid_url
    from twitter_text.regexp.valid_tco_url import valid_tco_url

    url, domain = text[start:end], text[domain_start:domain_end]
    protocol = text[start:domain_start]
    if protocol:
        short = valid_tco_url.search(url)
        if is_valid_url(url, protocol, domain) and not (short and len(short[1]) > _LONGEST_SHORT_NAME):
            url = short[0] if short else url
            yield Link(url=url, start=start, end=start + len(url))
        return
    places = [] if text[start - 1 : start] in set("-_./") else list(_ascii_domains(domain))
    if not is_valid_url(url, default_protocol, domain):
        return
    for number, (first, last) in enumerate(places, start=1):
        name = domain[first:last]
        if path and number == len(places):
            yield Link(url=url.replace(domain, name), start=start + first, end=end)
        else:
            yield Link(url=name, start=start + first, end=start + last)


class _Run:
    """A stretch of the characters that a domain may have."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.start, self.end = start, end
        self._text = text
        self._dots = [at for at in range(start, end) if text[at] == "."] if "." in text[start:end] else []
        self._tops = [_top_level_end(text, dot + 1) for dot in self._dots]
        edges = [start - 1, *self._dots]
        self._underscores = [text.rfind("_", before + 1, dot) for before, dot in pairwise(edges)]
        self._whole = [0] * (len(self._dots) + 1)
        self.has_domain = any(self._tops)
        if self.has_domain:
            for label in reversed(range(len(self._dots))):
                self._whole[label] = self._end(edges[label] + 1, label)

    def domain_end(self, start: int) -> int:
        """Returns where the longest domain ends that starts there, or 0."""
        label = bisect_left(self._dots, start)
        return self._end(start, label) if label < len(self._dots) else 0

    def _end(self, start: int, label: int) -> int:
        dot = self._dots[label]
        if start == dot or self._text[start] in _NO_LABEL_EDGE or self._text[dot - 1] in _NO_LABEL_EDGE:
            return 0
        if self._whole[label + 1]:
            return self._whole[label + 1]
        return self._tops[label] if self._underscores[label] < start else 0


def _may_start(text: str, start: int) -> bool:
    if start == 0:
        return True
    found = _grammar().before.match(text, start - 1)
    return bool(found and found.end() == start)


def _top_level_end(text: str, start: int) -> int:
    """Returns where the top-level domain ends that starts there, or 0."""
    opening = text[start : start + 2]
    grammar = _grammar()
    if opening.isascii():  # most dots end a sentence or part a number
        if opening.lower() not in grammar.openings:
            return 0
    elif not grammar.first.match(opening):
        return 0
    found = grammar.top_level.match(text, start)
    return found.end() if found else 0


def _ascii_domains(domain: str) -> Iterator[tuple[int, int]]:
    """Yields the two ends of each domain in ASCII and Latin letters, as `valid_ascii_domain` finds them."""
    done = 0
    for stretch in _grammar().ascii_run.finditer(domain):
        edges = [stretch.start() - 1, *(at for at in range(*stretch.span()) if domain[at] == ".")]
        ends = [_top_level_end(domain, dot + 1) for dot in edges[1:]]
        for label in reversed(range(len(ends) - 1)):
            ends[label] = ends[label + 1] or ends[label]
        for (before, dot), end in zip(pairwise(edges), ends, strict=True):
            start = max(done, before + 1)
            if start < dot and end:
                yield start, end
                done = end

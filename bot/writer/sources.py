"""Readable items of the operator's sources: feeds, web pages, notes, files and folders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from bot.core.drafts import Source, SourceItem, SourceReading
from bot.core.errors import SourceUnreadable
from bot.writer.entry import Entry
from bot.writer.feeds import read_feed
from bot.writer.fetch import Body, Cache, Unreadable, fetch, is_url, public, read_file, shown
from bot.writer.notes import read_notes
from bot.writer.pages import decode, read_page

__all__ = ["Cache", "SourceReader"]

_HEAD_BYTES = 4096
_AT_ONCE = 8
_FEED = re.compile(r"<(?:\w+:)?(?:rss|feed|RDF)[\s>]")
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_TEXT_SUFFIXES = frozenset(
    ".txt .text .md .markdown .mdown .rst .html .htm .xhtml .xml .rss .atom .rdf".split()  # noqa: SIM905
)
_NAMED_TEXT = frozenset({"", ".txt", ".text", ".md", ".markdown", ".mdown", ".rst"})
_WANTED = "give a feed, a web page, or a Markdown or text file"


class SourceReader:
    """Reads every location the operator named, several at once.

    A location is an http(s) URL of a feed, a page or a text; a `file://` URL; or the path of a
    file or folder. At most `max_items` items come from each, `fetch_timeout` is in seconds.
    """

    def __init__(
        self,
        locations: Sequence[str],
        *,
        fetch_timeout: float = 10,
        cache: Cache | None = None,
        max_items: int = 50,
    ) -> None:
        named = (location.strip() for location in locations)
        self._locations = tuple(dict.fromkeys(location for location in named if location))
        self._timeout = fetch_timeout
        self._cache = cache
        self._max_items = max_items

    def read(self) -> SourceReading:
        """Returns all items in the order of the locations, and a line for each location without any.

        Raises:
            SourceUnreadable: no location is configured, or none gave an item.
        """
        if not self._locations:
            raise SourceUnreadable(
                "no source is configured",
                fix="set BOT_SOURCES to feeds, web pages, files or folders to write from",
            )
        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(self._locations))) as pool:
            readings = list(pool.map(self._read, self._locations))
        items = {item.source.id: item for reading in readings for item in reading.items}
        problems = tuple(problem for reading in readings for problem in reading.problems)
        if not items:
            raise SourceUnreadable("no source could be read: " + " | ".join(problems))
        return SourceReading(items=tuple(items.values()), problems=problems)

    def _read(self, location: str) -> SourceReading:
        try:
            path = None if is_url(location) else _path(location)
            if path and path.is_dir():
                return self._read_folder(location, path)
            entries = self._entries(location, path)
        except Unreadable as error:
            return SourceReading(items=(), problems=(f"{shown(location)}: {error}",))
        return SourceReading(items=tuple(_items(entries[: self._max_items], shown(location))))

    def _entries(self, location: str, path: Path | None) -> list[Entry]:
        if path:
            return read_body(read_file(path), name=path.stem, suffix=path.suffix.lower())
        body = fetch(location, timeout=self._timeout, cache=self._cache)
        return read_body(body, name=_name(location))

    def _read_folder(self, location: str, folder: Path) -> SourceReading:
        items: list[SourceItem] = []
        problems: list[str] = []
        for path in _text_files(folder):
            if len(items) >= self._max_items:
                break
            file = f"{location.rstrip('/')}/{path.relative_to(folder).as_posix()}"
            try:
                entries = read_body(read_file(path), name=path.stem, suffix=path.suffix.lower())
            except Unreadable as error:
                problems.append(f"{file}: {error}")
            else:
                items.extend(_items(entries, file))
        if not items and not problems:
            problems.append(f"{location}: the folder has no text files; add Markdown or text notes to it")
        return SourceReading(items=tuple(items[: self._max_items]), problems=tuple(problems))


def read_body(body: Body, *, name: str, suffix: str = "") -> list[Entry]:
    """Returns the entries of a feed, a page or a note, told apart by the content.

    Args:
        body: the document.
        name: what to call a note without headings.
        suffix: the file name's end, which tells a note that quotes HTML from a page.

    Raises:
        Unreadable: it is empty, not text, or has nothing readable in it.
    """
    if not body.content.strip():
        raise Unreadable(f"it is empty; {_WANTED}")
    text = decode(body)
    if "\0" in text or text.startswith("%PDF-"):
        raise Unreadable(f"it is not text; {_WANTED}")
    head = text[:_HEAD_BYTES].lstrip("\ufeff \t\r\n")
    if suffix not in _NAMED_TEXT or not suffix:
        if head.startswith("<") and _FEED.search(head):
            return read_feed(body)
        if _HTML.search(head) or "html" in body.content_type:
            return read_page(body)
        if head.startswith("<?xml"):
            return read_feed(body)
    if head[0] in "{[" and "json" in body.content_type:
        raise Unreadable(f"it is JSON; {_WANTED}")
    return read_notes(text, name=name, url=public(body.url))


def _path(location: str) -> Path:
    if location.lower().startswith("file://"):
        return Path(url2pathname(urlsplit(location).path))
    if "://" in location:
        scheme = location.split("://", maxsplit=1)[0]
        raise Unreadable(f"{scheme}:// is not supported; give an http(s) URL, a file or a folder")
    try:
        return Path(location).expanduser()
    except RuntimeError as error:  # a home that isn't known
        raise Unreadable("its home folder is not known; give a full path") from error


def _name(url: str) -> str:
    last = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
    return Path(last).stem if last else (urlsplit(url).hostname or "")


def _text_files(folder: Path) -> Iterator[Path]:
    """Yields the folder's text-like files in sorted order, hidden ones and hidden folders aside."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and (path.suffix.lower() in _TEXT_SUFFIXES or not path.suffix):
            yield path


def _items(entries: Sequence[Entry], location: str) -> Iterator[SourceItem]:
    for entry in entries:
        digest = hashlib.sha256(f"{location}\n{entry.key}".encode()).hexdigest()[:16]
        source = Source(id=digest, kind=entry.kind, title=entry.title, location=location, url=entry.url)
        yield SourceItem(source=source, text=entry.text, published_at=entry.published_at)

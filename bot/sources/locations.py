"""What lies at a location: documents, from the network or the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from bot.sources.entry import Unreadable
from bot.sources.fetch import Body, Cache, fetch, is_url, read_file, shown

_MOST_FILES = 1_000
_MOST_BYTES = 20_000_000
_MOST_LISTED = 20_000
_TEXT_SUFFIXES = frozenset(
    ".txt .text .md .markdown .mdown .rst .html .htm .xhtml .xml .rss .atom .rdf".split()  # noqa: SIM905
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A body, or why there is none, with what to call it and what tells its kind."""

    location: str
    name: str
    suffix: str = ""
    body: Body | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What one location gave; a folder may give many documents or none."""

    documents: tuple[Document, ...]
    is_folder: bool = False


def load(location: str, *, timeout: float, private: bool, cache: Cache | None) -> Loaded:
    """Fetches the URL, or reads the file or the files of the folder.

    Raises:
        Unreadable: there is nothing.
    """
    if is_url(location):
        body = fetch(location, timeout=timeout, private=private, cache=cache)
        return Loaded(documents=(Document(location=shown(location), name=_name(location), body=body),))
    path = _path(location)
    if path.is_dir():
        return Loaded(documents=tuple(_folder(location, path)), is_folder=True)
    document = Document(
        location=shown(location), name=path.stem, suffix=path.suffix.lower(), body=read_file(path)
    )
    return Loaded(documents=(document,))


def _folder(location: str, folder: Path) -> Iterator[Document]:
    """Yields the folder's first text files; a thousand of them, or 20 MB, are enough to write from."""
    left = _MOST_BYTES
    for path in _text_files(folder)[:_MOST_FILES]:
        file = f"{location.rstrip('/')}/{path.relative_to(folder).as_posix()}"
        try:
            body = read_file(path)
        except Unreadable as error:
            yield Document(location=file, name=path.stem, problem=str(error))
            continue
        left -= len(body.content)
        yield Document(location=file, name=path.stem, suffix=path.suffix.lower(), body=body)
        if left < 0:
            return


def _text_files(folder: Path) -> list[Path]:
    """Returns the folder's text-like files in sorted order, hidden ones and hidden folders aside."""
    found: list[Path] = []
    listed = 0
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        listed += len(files) + len(folders)
        for name in files:
            path = Path(root, name)
            if name.startswith(".") or (path.suffix and path.suffix.lower() not in _TEXT_SUFFIXES):
                continue
            if path.is_file():
                found.append(path)
        if listed > _MOST_LISTED:
            break
    return sorted(found)


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

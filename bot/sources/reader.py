"""Readable items of the operator's sources: feeds, web pages, notes, files and folders."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from bot.core.content.drafts import SourceItem, SourceReading
from bot.core.errors import SourceUnreadable
from bot.core.model import Source
from bot.ports import Sources
from bot.sources.entry import Entry, Held, Unreadable
from bot.sources.fetch import Cache, shown
from bot.sources.locations import Document, Loaded, load
from bot.sources.parser import PARSE_SECONDS, Parser

__all__ = ["Cache", "SourceReader"]

FETCH_SECONDS = 20.0
READING_SECONDS = 45.0
_GRACE_SECONDS = 1.0  # for a fetch to say itself that its time is over
_AT_ONCE = 8

Answer = Loaded | Exception


class SourceReader(Sources):
    """Reads every location the operator named, several at once.

    A location is an http(s) URL of a feed, a page or a text; a `file://` URL; or the path of a
    file or folder.

    Args:
        locations: the locations; empty ones and repetitions are left out.
        clock: says what the future is: a note that is dated there is held back.
        private: whether a URL may lead to private, loopback and link-local addresses.
        cache: where fetched bodies are kept, if anywhere.
        max_items: the most items that come from each location.
        fetch_timeout: seconds for each location, whatever it does.
        reading_timeout: seconds for all locations together.
        parse_timeout: seconds for each document.
    """

    def __init__(
        self,
        locations: Sequence[str],
        *,
        clock: Callable[[], datetime],
        private: bool = False,
        cache: Cache | None = None,
        max_items: int = 50,
        fetch_timeout: float = FETCH_SECONDS,
        reading_timeout: float = READING_SECONDS,
        parse_timeout: float = PARSE_SECONDS,
    ) -> None:
        named = (location.strip() for location in locations)
        self._locations = tuple(dict.fromkeys(location for location in named if location))
        self._clock = clock
        self._private = private
        self._cache = cache
        self._max_items = max_items
        self._fetch_timeout = fetch_timeout
        self._reading_timeout = reading_timeout
        self._parse_timeout = parse_timeout
        self._hanging: dict[str, Thread] = {}

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
        ends = monotonic() + self._reading_timeout
        with Parser(seconds=self._parse_timeout) as parser:
            found = {
                location: self._reading(location, answer, parser, ends=ends)
                for location, answer in self._answers(ends=ends)
            }
        readings = [found[location] for location in self._locations]
        items = {item.source.id: item for reading in readings for item in reading.items}
        problems = tuple(problem for reading in readings for problem in reading.problems)
        if not items:
            raise SourceUnreadable("no source could be read: " + " | ".join(problems))
        return SourceReading(items=tuple(items.values()), problems=problems)

    def _answers(self, *, ends: float) -> Iterator[tuple[str, Answer]]:
        """Yields what each location gave, or why it gave nothing, as they come.

        A thread that is still inside a look-up of a name or a dead disk when its time is over is
        left behind; it can't be ended, and it holds nothing.
        """
        answers: SimpleQueue[tuple[str, Answer]] = SimpleQueue()
        waiting = deque(self._locations)
        running: dict[str, float] = {}
        while waiting or running:
            while waiting and len(running) < _AT_ONCE and monotonic() < ends:
                location = waiting.popleft()
                running[location] = monotonic() + self._fetch_timeout + _GRACE_SECONDS
                self._begin(location, answers)
            try:
                left = min([*running.values(), ends]) - monotonic()
                location, answer = answers.get(timeout=max(0.0, left))
            except Empty:
                over = monotonic() >= ends
                late = [one for one, until in running.items() if until <= monotonic()]
                for one in late:
                    del running[one]
                    yield one, Unreadable(f"no answer within {self._fetch_timeout:g} s; try later")
                if over:
                    for one in (*running, *waiting):
                        yield one, Unreadable(_no_time(self._reading_timeout))
                    return
            else:
                if running.pop(location, None) is not None:
                    yield location, answer

    def _begin(self, location: str, answers: SimpleQueue[tuple[str, Answer]]) -> None:
        """Starts a thread for the location, unless one of an earlier reading still hangs there."""
        earlier = self._hanging.get(location)
        if earlier is not None and earlier.is_alive():
            answers.put((location, Unreadable("an earlier read of it hangs; check it, or name another")))
            return
        thread = Thread(target=self._load, args=(location, answers), name="source", daemon=True)
        self._hanging[location] = thread
        thread.start()

    def _load(self, location: str, answers: SimpleQueue[tuple[str, Answer]]) -> None:
        answer: Answer
        try:
            answer = load(location, timeout=self._fetch_timeout, private=self._private, cache=self._cache)
        except Exception as error:  # noqa: BLE001 - a source's failure is its own, whatever it is
            answer = error
        answers.put((location, answer))

    def _reading(self, location: str, answer: Answer, parser: Parser, *, ends: float) -> SourceReading:
        """Returns the items of a location's documents, or a line for each document without any."""
        if isinstance(answer, Exception):
            return SourceReading(items=(), problems=(f"{shown(location)}: {_reason(answer)}",))
        items: list[SourceItem] = []
        problems: list[str] = []
        held = 0
        for document in answer.documents:
            if len(items) >= self._max_items:
                break
            try:
                entries = self._entries(document, parser, ends=ends)
            except Held as error:
                held += 1
                if not answer.is_folder:
                    problems.append(f"{document.location}: {error}")
            except Exception as error:  # noqa: BLE001 - a document's failure is its own, whatever it is
                problems.append(f"{document.location}: {_reason(error)}")
            else:
                items.extend(_items(entries, document.location))
        if not items and not problems:
            problems.append(f"{location}: {_nothing_in_folder(held)}")
        return SourceReading(items=tuple(items[: self._max_items]), problems=tuple(problems))

    def _entries(self, document: Document, parser: Parser, *, ends: float) -> list[Entry]:
        if document.body is None:
            raise Unreadable(document.problem)
        within = ends - monotonic()
        if within <= 0:
            raise Unreadable(_no_time(self._reading_timeout))
        return parser.read(
            document.body, name=document.name, suffix=document.suffix, now=self._clock(), within=within
        )


def _reason(error: Exception) -> str:
    if isinstance(error, Unreadable):
        return str(error)
    return f"it can't be read ({type(error).__name__}); check it, or name another"


def _no_time(seconds: float) -> str:
    return f"no time was left for it, because the sources took more than {seconds:g} s; name fewer"


def _nothing_in_folder(held: int) -> str:
    if held:
        return "all its notes are held back as drafts, private or of the future; add one to write from"
    return "the folder has no text files; add Markdown or text notes to it"


def _items(entries: Sequence[Entry], location: str) -> Iterator[SourceItem]:
    for entry in entries:
        digest = hashlib.sha256(f"{location}\n{entry.key}".encode(errors="replace")).hexdigest()[:16]
        source = Source(id=digest, kind=entry.kind, title=entry.title, location=location, url=entry.url)
        yield SourceItem(source=source, text=entry.text, published_at=entry.published_at)

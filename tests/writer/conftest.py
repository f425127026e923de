"""A real web server for sources, and short ways to make requests for drafts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from bot.core.content.drafts import SourceItem
from bot.core.model import Source
from bot.sources.reader import SourceReader
from tests.support.processes import WarmParser

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class Page:
    content: bytes
    content_type: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drip: bool = False


class Web:
    """Serves pages by path on 127.0.0.1 and remembers what it was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.released = Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": self}))
        self.server.daemon_threads = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def put(self, path: str, content: str | bytes, kind: str = "", **more: Any) -> str:
        body = content.encode() if isinstance(content, str) else content
        self.pages[path] = Page(body, kind, **more)
        return f"http://{self.host}{path}"


class _Handler(BaseHTTPRequestHandler):
    web: Web

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        pass

    def do_GET(self) -> None:
        self.web.asked.append((self.path, dict(self.headers)))
        page = self.web.pages.get(self.path.split("?")[0], Page(b"nothing here", status=404))
        if page.hang:
            self.web.released.wait()
            return
        self.send_response(page.status)
        if page.content_type:
            self.send_header("Content-Type", page.content_type)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if page.drip:
            while not self.web.released.wait(0.05):
                try:
                    self.wfile.write(b"a")
                except OSError:
                    return
        self.wfile.write(page.content)


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    thread = Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.server.shutdown()
    server.server.server_close()
    thread.join()


@pytest.fixture
def warm_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forks the process that reads documents: a start for each reading takes longer than all the rest.

    How it is started and ended is tested without this.
    """
    monkeypatch.setattr("bot.sources.parser._start", WarmParser)


def source_reader(locations: Sequence[str], **more: Any) -> SourceReader:
    """A reader as the bot makes it, which may read from this machine's own servers."""
    return SourceReader(locations, **{"clock": lambda: NOW, "private": True, "parse_timeout": 10, **more})


ItemMaker = Callable[..., SourceItem]


@pytest.fixture
def item() -> ItemMaker:
    def make(
        text: str, *, title: str = "", number: int = 1, kind: str = "feed", url: str | None = None
    ) -> SourceItem:
        source = Source(
            id=f"item-{number}", kind=kind, title=title, location="https://example.org/feed", url=url
        )
        return SourceItem(source=source, text=text)

    return make

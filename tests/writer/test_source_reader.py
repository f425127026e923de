from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bot import __version__
from bot.core.errors import SourceUnreadable
from tests.writer.conftest import Web, source_reader

pytestmark = pytest.mark.usefixtures("warm_parser")

NOTE = "Rain fell on the northern hills for nine days, and the reservoirs are full again at last."
ARTICLE = f"""<!doctype html><html><head><meta charset="{{charset}}">
<title>Caf\u00e9 opens | The Paper</title></head><body>
<nav><a href="/">Home</a> <a href="/about">About</a></nav><article><h1>Caf\u00e9 opens</h1>
<p>The caf\u00e9 on the market square opened on Monday after two years of work on its roof and its cellar.</p>
<p>{NOTE}</p>
<p>Its owner expects a hundred guests a day, and twice as many in the summer months.</p></article>
<footer>Cookie settings</footer></body></html>"""


class Memory:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.seconds: int | None = None

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: str, value: bytes, *, seconds: int) -> None:
        self.kept[key], self.seconds = value, seconds


@pytest.mark.parametrize(
    ("charset", "kind"),
    [
        ("utf-8", "text/html"),
        ("iso-8859-1", "text/html; charset=ISO-8859-1"),
        ("windows-1252", "text/html"),
        ("no-such-charset", "text/html"),
    ],
)
def test_a_page_gives_its_main_text_in_its_encoding(web: Web, charset: str, kind: str) -> None:
    content = ARTICLE.format(charset=charset).encode(charset if "no-such" not in charset else "cp1252")
    url = web.put("/page", content, kind)
    (only,) = source_reader([url]).read().items
    assert only.source.kind == "page"
    assert only.source.title == "Café opens"
    assert only.source.url == url
    assert "The café on the market square opened on Monday" in only.text
    assert "Cookie settings" not in only.text


def test_a_markdown_file_on_the_web_is_read_as_notes(web: Web) -> None:
    url = web.put("/notes.md", f"# Weather\n\n{NOTE}\n", "text/plain; charset=utf-8")
    (only,) = source_reader([url]).read().items
    assert (only.source.kind, only.source.title, only.text) == ("note", "Weather", NOTE)


def test_the_bot_says_who_it_is(web: Web) -> None:
    source_reader([web.put("/a", NOTE)]).read()
    assert web.asked[0][1]["User-Agent"] == f"autonomous-x-bot/{__version__}"


def test_a_body_is_fetched_once_in_ten_minutes(web: Web) -> None:
    memory = Memory()
    url = web.put("/a", ARTICLE.format(charset="utf-8"), "text/html")
    first = source_reader([url], cache=memory).read()
    assert source_reader([url], cache=memory).read() == first
    assert len(web.asked) == 1
    assert memory.seconds == 600


def test_a_spoilt_cache_counts_as_empty(web: Web) -> None:
    memory = Memory()
    url = web.put("/a", NOTE)
    source_reader([url], cache=memory).read()
    memory.kept = dict.fromkeys(memory.kept, b"\x00rubbish")
    assert source_reader([url], cache=memory).read().items


def test_redirects_are_followed_to_the_page_and_not_for_ever(web: Web) -> None:
    end = web.put("/end", ARTICLE.format(charset="utf-8"), "text/html")
    start = web.put("/start", "", status=302, headers={"Location": "/end"})
    loop = web.put("/loop", "", status=302, headers={"Location": "/loop"})
    reading = source_reader([start, loop]).read()
    assert [item.source.url for item in reading.items] == [end]
    assert "redirects" in reading.problems[0]


def test_one_bad_location_is_a_line_and_the_others_are_read(web: Web, tmp_path: Path) -> None:
    good = tmp_path / "good.txt"
    good.write_text(NOTE)
    missing = f"http://{web.host}/missing"
    reading = source_reader([missing, str(good)]).read()
    assert [item.text for item in reading.items] == [NOTE]
    assert reading.problems == (f"{missing}: HTTP 404 Not Found; check the address",)


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_a_slow_server_is_given_up(web: Web, way: str) -> None:
    url = web.put("/slow", NOTE, hang=way == "hang", drip=way == "drip")
    with pytest.raises(SourceUnreadable, match=r"no answer within 0\.2 s"):
        source_reader([url], fetch_timeout=0.2).read()


def test_a_refused_connection_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(SourceUnreadable, match="the connection failed"):
            source_reader([url]).read()


def test_no_secret_of_a_url_is_shown(web: Web) -> None:
    location = f"http://reader:hunter2@{web.host}/missing?api_key=k123&page=2"
    with pytest.raises(SourceUnreadable) as caught:
        source_reader([location]).read()
    assert "hunter2" not in caught.value.line
    assert "k123" not in caught.value.line
    assert "page=2" in caught.value.line
    web.put("/page", ARTICLE.format(charset="utf-8"), "text/html")
    (only,) = source_reader([f"http://reader:hunter2@{web.host}/page?token=t456"]).read().items
    assert "hunter2" not in repr(only)
    assert "t456" not in repr(only)


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0", "image/png", "not text"),
        (b"%PDF-1.7 words", "application/pdf", "not text"),
        (b'{"a": 1}', "application/json", "JSON"),
        (b"", "text/plain", "empty"),
        (b"<html><body><div id=app></div></body></html>", "text/html", "no readable text"),
        (b"```\nonly = code\n```\n", "text/markdown", "no prose"),
    ],
)
def test_what_is_no_text_says_what_would_be_right(web: Web, content: bytes, kind: str, reason: str) -> None:
    url = web.put("/thing", content, kind)
    with pytest.raises(SourceUnreadable, match=reason) as caught:
        source_reader([url]).read()
    assert "give a" in caught.value.line
    assert "\n" not in caught.value.line


def test_a_body_is_read_to_its_limit_only(web: Web) -> None:
    url = web.put("/big", (NOTE + "\n\n").encode() * 30_000, "text/plain")
    (only,) = source_reader([url]).read().items
    assert len(only.text) <= 2_000_000


def test_a_folder_gives_its_visible_texts_in_order(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "sub/c.rst", ".hidden.md", ".git/d.md", "image.png", "plain"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{NOTE} In {name.replace('/', ' ')}")
    items = source_reader([str(tmp_path)]).read().items
    assert [Path(item.source.location).name for item in items] == ["a.txt", "b.md", "plain", "c.rst"]
    assert len(source_reader([str(tmp_path)], max_items=2).read().items) == 2


def test_home_and_file_urls_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my notes.md").write_text(NOTE)
    for location in ("~/my notes.md", (tmp_path / "my notes.md").as_uri()):
        (only,) = source_reader([location]).read().items
        assert only.source.location == location
        assert only.source.url is None


def test_an_html_file_is_a_page_and_markdown_that_starts_with_html_is_not(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(ARTICLE.format(charset="utf-8"))
    (tmp_path / "read.md").write_text(f"<html><body></body></html>\n\n# Title\n\n{NOTE}\n")
    page, note = source_reader([str(tmp_path)]).read().items
    assert (page.source.kind, note.source.kind) == ("page", "note")


def test_without_locations_the_setting_is_named() -> None:
    with pytest.raises(SourceUnreadable) as caught:
        source_reader([" "]).read()
    assert "BOT_SOURCES" in caught.value.line


def test_when_all_fail_each_is_named(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.md")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SourceUnreadable) as caught:
        source_reader([gone, str(empty), "ftp://host.example/x", "x\0y"]).read()
    for part in (f"{gone}: there is no such file", "the folder has no text files", "ftp:// is not supported"):
        assert part in caught.value.line
    assert "\n" not in caught.value.line

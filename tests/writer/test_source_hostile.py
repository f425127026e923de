"""Servers that hold on, addresses that lead inside, documents that don't end: none holds the others up."""

from __future__ import annotations

import os
import resource
import socket
import threading
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from bot.core.errors import SourceUnreadable
from bot.sources.addresses import is_public
from tests.support.processes import eventually
from tests.writer import hostile_server as ways
from tests.writer.conftest import Web, source_reader
from tests.writer.hostile_server import hostile_server

pytestmark = pytest.mark.usefixtures("warm_parser")

NOTE = "Rain fell on the northern hills for nine days, and the reservoirs are full again at last."
HOLDING = (
    ways.drip_a_header,
    ways.drip_headers,
    ways.drip_a_body,
    ways.continue_for_ever,
    ways.say_nothing,
    ways.chunk_for_ever,
)


def source_threads() -> int:
    return sum(thread.name == "source" for thread in threading.enumerate())


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.md"
    path.write_text(NOTE)
    return str(path)


@pytest.mark.parametrize("way", HOLDING, ids=lambda way: way.__name__)
def test_a_server_that_holds_on_is_left_at_the_deadline(way: ways.Way, good: str) -> None:
    with hostile_server(way) as url:
        reading = source_reader([url, good], fetch_timeout=0.4, reading_timeout=20).read()
        assert [item.text for item in reading.items] == [NOTE]
        assert reading.problems == (f"{url}: no answer within 0.4 s; check the address or try later",)
        eventually(lambda: source_threads() == 0, within=5, what="the fetch's thread ends")


@pytest.mark.parametrize("way", [ways.drip_the_body_of_a_redirect, ways.redirect_bomb])
def test_the_body_of_a_redirect_is_not_read(way: ways.Way, good: str) -> None:
    with hostile_server(way) as url:
        reading = source_reader([url, good], fetch_timeout=15).read()
        assert "more than 5 redirects" in reading.problems[0]


def test_a_gzip_bomb_is_unpacked_no_further_than_a_body_goes(good: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with hostile_server(ways.gzip_bomb) as url:
        reading = source_reader([url, good], fetch_timeout=20).read()
    assert [item.text for item in reading.items] == [NOTE]
    assert "not text" in reading.problems[0]
    # The server itself, in this process, holds what it packs: 200 MB and a little.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_a_port_that_accepts_nobody_is_left_at_the_deadline(good: str) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        reading = source_reader([url, good], fetch_timeout=0.4).read()
        for filler in fillers:
            filler.close()
    assert "no answer within 0.4 s" in reading.problems[0]


def test_a_name_that_hangs_holds_nobody_up_and_is_not_asked_twice(
    monkeypatch: pytest.MonkeyPatch, good: str
) -> None:
    released = threading.Event()

    def hang(*_arguments: object, **_more: object) -> Any:
        released.wait()
        raise OSError("no such name")

    # No resolver of the machine can be made to hang.
    monkeypatch.setattr("bot.sources.addresses.socket.getaddrinfo", hang)
    reader = source_reader(["http://slow.example/", good], fetch_timeout=0.2, reading_timeout=20)
    assert "no answer within 0.2 s" in reader.read().problems[0]
    assert "an earlier read of it hangs" in reader.read().problems[0]
    released.set()


def test_the_whole_reading_has_a_deadline(good: str) -> None:
    with hostile_server(ways.say_nothing) as url:
        urls = [f"{url}?{number}" for number in range(12)]
        started = monotonic()
        reading = source_reader([good, *urls], fetch_timeout=1.5, reading_timeout=2).read()
        assert monotonic() - started < 4
    assert [item.text for item in reading.items] == [NOTE]
    assert len(reading.problems) == 12
    assert "no time was left" in reading.problems[-1]


def test_a_pipe_is_no_file(tmp_path: Path, good: str) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    reading = source_reader([str(tmp_path / "pipe.md"), good], fetch_timeout=5).read()
    assert "not a regular file" in reading.problems[0]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.1", "127.1", "[::ffff:127.0.0.1]", "[::1]",
        "[::]", "0.0.0.1", "169.254.169.254", "10.1.2.3", "192.168.0.1", "100.64.0.1", "localhost",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fc00::1]", "[::127.0.0.1]", "224.0.0.1",
    ],
)  # fmt: skip
def test_an_address_that_leads_inside_is_refused(host: str) -> None:
    with pytest.raises(SourceUnreadable, match=r"not on the public internet.*BOT_PRIVATE_SOURCES"):
        source_reader([f"http://{host}/"], private=False).read()


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


def test_a_zone_does_not_hide_a_local_address() -> None:
    assert not is_public("fe80::1%eth0")


def test_a_redirect_to_an_address_inside_is_refused(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = web.put("/secret", NOTE)
    start = web.put("/start", "", status=302, headers={"Location": secret})
    real = socket.getaddrinfo
    port = web.server.server_address[1]

    def public_name(host: Any, *arguments: Any, **more: Any) -> Any:
        return (
            real("127.0.0.1", *arguments, **more)
            if host == "public.example"
            else real(host, *arguments, **more)
        )

    # A name of the public internet that leads to the test's server.
    monkeypatch.setattr("bot.sources.addresses.socket.getaddrinfo", public_name)
    answers = iter([True, False])
    monkeypatch.setattr("bot.sources.addresses.is_public", lambda _address: next(answers))
    with pytest.raises(SourceUnreadable, match="not on the public internet"):
        source_reader([start.replace("127.0.0.1", "public.example")], private=False).read()
    assert [path for path, _ in web.asked] == ["/start"]
    assert web.asked[0][1]["Host"] == f"public.example:{port}"


def test_a_name_is_looked_up_once_for_each_fetch(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def once(host: Any, *arguments: Any, **more: Any) -> Any:
        looked_up.append(str(host))
        return real("127.0.0.1" if len(looked_up) == 1 else "127.0.0.2", *arguments, **more)

    # A name server that answers differently the second time.
    monkeypatch.setattr(socket, "getaddrinfo", once)
    url = web.put("/note", NOTE).replace("127.0.0.1", "rebound.example")
    assert source_reader([url]).read().items
    assert looked_up == ["rebound.example"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host.example/x", "gopher://x/", "data:,x"])
def test_a_redirect_leads_to_http_only(web: Web, target: str) -> None:
    url = web.put("/start", "", status=302, headers={"Location": target})
    with pytest.raises(SourceUnreadable, match="which is not followed"):
        source_reader([url]).read()


def test_a_password_goes_to_its_own_server_alone(web: Web) -> None:
    other = Web()
    thread = threading.Thread(target=other.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    end = other.put("/end", NOTE).replace("http://", "http://evil:word@")
    web.put("/start", "", status=302, headers={"Location": "/more"})
    web.put("/more", "", status=302, headers={"Location": end})
    (only,) = source_reader([f"http://reader:hunter2@{web.host}/start"]).read().items
    other.server.shutdown()
    other.server.server_close()
    thread.join()
    assert [("Authorization" in headers) for _, headers in web.asked] == [True, True]
    assert "Authorization" not in other.asked[0][1]
    assert only.source.url == f"http://{other.host}/end"


def test_a_proxy_of_the_environment_is_used_and_private_names_are_still_refused(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.put("http://nowhere.invalid/note", NOTE)
    monkeypatch.setenv("HTTP_PROXY", f"http://{web.host}")
    monkeypatch.setenv("http_proxy", f"http://{web.host}")
    (only,) = source_reader(["http://nowhere.invalid/note"], private=False).read().items
    assert only.text == NOTE
    with pytest.raises(SourceUnreadable, match="not on the public internet"):
        source_reader(["http://10.1.2.3/"], private=False).read()


@pytest.mark.parametrize(
    "charset",
    [
        "undefined", "idna", "punycode", "rot13", "hex", "base64", "zlib", "unicode_escape", "utf-7", "mbcs",
        "raw_unicode_escape", "oem", "charmap", "x" * 3000, "../../os", "bz2", "quopri", "uu", "0", "palmos",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["text/plain; charset={}", "text/html; charset={}", "text/xml; charset={}"])
def test_a_charset_that_is_none_spoils_nothing(web: Web, charset: str, kind: str) -> None:
    pages = {
        "plain": f"{NOTE} caf\u00e9",
        "html": f"<html><head><title>A</title></head><body><p>{NOTE} caf\u00e9</p></body></html>",
        "xml": f"<rss version='2.0'><channel><item><title>t</title><description>{NOTE} caf\u00e9"
        "</description></item></channel></rss>",
    }
    content = pages[kind.split("/")[1].split(";", maxsplit=1)[0]]
    (only,) = source_reader([web.put("/odd", content, kind.format(charset))]).read().items
    assert only.text == f"{NOTE} café"


def test_a_source_that_breaks_its_reader_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, web: Web, good: str
) -> None:
    def broken(*_arguments: object, **_more: object) -> Any:
        raise RuntimeError("nobody thought of this")

    # What nobody thought of has no document that shows it.
    monkeypatch.setattr("bot.sources.fetch._get", broken)
    url = web.put("/a", NOTE)
    reading = source_reader([url, good]).read()
    assert [item.text for item in reading.items] == [NOTE]
    assert reading.problems == (f"{url}: it can't be read (RuntimeError); check it, or name another",)

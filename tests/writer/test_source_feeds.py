from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.errors import SourceUnreadable
from tests.writer.conftest import Web, source_reader

pytestmark = pytest.mark.usefixtures("warm_parser")

RSS = """<?xml version="1.0" encoding="{encoding}"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>Caf\u00e9 News</title>
<item><title>Bees &amp;amp; trees</title><link>https://news.example/bees</link><guid>bees-1</guid>
<pubDate>Tue, 03 Nov 2026 10:00:00 +0200</pubDate>
<description>&lt;p&gt;Bees in the caf\u00e9 garden   visit&lt;br&gt;300 trees a day.&lt;/p&gt;
&lt;p&gt;A second&#160;block.&lt;/p&gt;
&lt;script&gt;steal()&lt;/script&gt;</description></item>
<item><title>Second story</title><link>javascript:alert(1)</link>
<description>Short.</description>
<content:encoded><![CDATA[<div>The full content is longer than its summary.</div>]]>
</content:encoded></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><entry><id>urn:1</id>
<title type="html">Ice &lt;b&gt;melts&lt;/b&gt;</title>
<link href="/ice"/><updated>2026-10-01T00:00:00Z</updated>
<summary>Ice on the lake melted two weeks early this year.</summary></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel rdf:about="x"><title>t</title></channel>
<item rdf:about="https://old.example/1"><title>Old format</title>
<link>https://old.example/1</link>
<description>RSS 1.0 is still served by some old sites.</description></item></rdf:RDF>"""


def test_an_rss_entry_becomes_an_item_of_plain_text(web: Web) -> None:
    url = web.put("/any-name", RSS.format(encoding="utf-8"), "text/xml")
    first, second = source_reader([url]).read().items
    assert first.source.title == "Bees & trees"
    assert first.text == "Bees in the café garden visit 300 trees a day.\n\nA second block."
    assert first.source.url == "https://news.example/bees"
    assert first.published_at == datetime(2026, 11, 3, 8, tzinfo=UTC)
    assert first.source.kind == "feed"
    assert first.source.location == url
    assert second.text == "The full content is longer than its summary."
    assert second.source.url is None, "a javascript: link is no address"


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252", "utf-16"])
def test_a_feed_is_read_in_the_encoding_it_declares(web: Web, encoding: str) -> None:
    url = web.put("/feed", RSS.format(encoding=encoding).encode(encoding), "text/xml")
    assert "café" in source_reader([url]).read().items[0].text


def test_atom_links_are_resolved_and_titles_freed_of_markup(web: Web) -> None:
    url = web.put("/atom.html", ATOM, "text/plain")
    (only,) = source_reader([url]).read().items
    assert only.source.title == "Ice melts"
    assert only.source.url == f"http://{web.host}/ice"
    assert only.published_at == datetime(2026, 10, 1, tzinfo=UTC)


def test_rss_1_is_a_feed_too(tmp_path: Path) -> None:
    (tmp_path / "old.xml").write_text(RDF)
    (only,) = source_reader([str(tmp_path / "old.xml")]).read().items
    assert only.text.startswith("RSS 1.0 is still")


def test_ids_are_stable_over_reads_and_differ_between_entries(web: Web) -> None:
    url = web.put("/feed", RSS.format(encoding="utf-8"))
    before = [item.source.id for item in source_reader([url]).read().items]
    web.put("/feed", RSS.format(encoding="utf-8").replace("300 trees", "301 trees"))
    assert [item.source.id for item in source_reader([url]).read().items] == before
    assert len(set(before)) == 2


def test_a_feed_that_breaks_off_still_gives_its_whole_entries(web: Web) -> None:
    url = web.put("/feed", RSS.format(encoding="utf-8").split("<item><title>Second")[0])
    assert len(source_reader([url]).read().items) == 1


def test_an_external_entity_is_not_read(web: Web, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the-secret")
    feed = (
        f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "{secret.as_uri()}">]><rss version="2.0">'
        "<channel><item><title>An entry with an entity</title>"
        "<description>Here it comes: &x; and goes on.</description></item>"
        "</channel></rss>"
    )
    url = web.put("/feed", feed)
    assert "the-secret" not in source_reader([url]).read().items[0].text


def test_a_date_that_no_calendar_has_is_no_date(web: Web) -> None:
    url = web.put("/feed", RSS.format(encoding="utf-8").replace("Tue, 03 Nov 2026", "Tue, 43 Nov 2026"))
    assert source_reader([url]).read().items[0].published_at is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('<rss version="2.0"><channel><title>empty</title></channel></rss>', "no entries"),
        ('<?xml version="1.0"?><urlset><url><loc>https://a.example</loc></url></urlset>', "no feed"),
        ('<rss version="2.0"><channel><item></item></channel></rss>', "no text"),
    ],
)
def test_a_feed_without_readable_entries_says_so(web: Web, content: str, reason: str) -> None:
    url = web.put("/feed", content, "application/xml")
    with pytest.raises(SourceUnreadable, match=reason) as caught:
        source_reader([url]).read()
    assert url in caught.value.line

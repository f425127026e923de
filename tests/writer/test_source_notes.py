from __future__ import annotations

from email.message import Message
from importlib.metadata import metadata
from pathlib import Path
from typing import cast

import pytest

from bot.core.errors import SourceUnreadable
from bot.sources.notes import read_notes
from tests.writer.conftest import source_reader

pytestmark = pytest.mark.usefixtures("warm_parser")

NOTE = "Rain fell on the northern hills for nine days, and the reservoirs are full again at last."

MARKDOWN = """---
title: "My garden"
---
# Garden [![badge](https://img.example/b.svg)](https://ci.example)

The garden has **twelve** beds &amp; a [pond](https://pond.example) with `carp` in it,
which the heron visits daily.

```python
secret_code = 1
```

| a | table |
|---|-------|
| 1 | 2     |

## Spring

- Tulips open in the first warm week of April, and the bees come with them every year.
- [Only](https://a.example) | [links](https://b.example)

## Short

Too short.

## Spring

The second spring was colder, so that the tulips opened two weeks later than in the first one.
"""
RESTRUCTURED = """
======
Garden
======

.. image:: https://img.example/b.svg
   :target: https://ci.example

The `garden <https://garden.example>`_ has ``twelve`` beds and a pond_ with carp in it,
which :class:`~heron.Heron` visits::

    secret_code = 1

Spring
------

* Tulips open in the *first* warm week of April, and the bees come
  with them every year.

=====  =====
a      table
=====  =====

:field: value
"""


def test_markdown_sections_become_prose_with_their_heading_path() -> None:
    first, spring, second = read_notes(MARKDOWN, name="garden")
    assert first.title == "My garden › Garden"  # noqa: RUF001  # the mark between headings
    assert first.text == "The garden has twelve beds & a pond with carp in it, which the heron visits daily."
    assert spring.title.endswith("Spring")
    assert (
        spring.text == "Tulips open in the first warm week of April, and the bees come with them every year."
    )
    assert second.title == spring.title
    assert second.key != spring.key


def test_restructured_text_becomes_prose_too() -> None:
    first, spring = read_notes(RESTRUCTURED, name="garden")
    assert first.text == ("The garden has twelve beds and a pond with carp in it, which heron.Heron visits:")
    assert spring.title == "Garden › Spring"  # noqa: RUF001  # same
    assert (
        spring.text == "Tulips open in the first warm week of April, and the bees come with them every year."
    )


def test_a_short_note_is_one_item_named_after_its_file() -> None:
    (only,) = read_notes("Buy bread.\n\nAnd milk.", name="today")
    assert (only.title, only.text) == ("today", "Buy bread.\n\nAnd milk.")


@pytest.mark.parametrize(
    "package", ["rich", "psutil", "structlog", "redis", "pydantic", "sqlalchemy", "pytest"]
)
def test_real_readmes_give_prose_without_markup(package: str) -> None:
    found = metadata(package)
    payload = found["Description"] or cast("Message", found).get_payload()
    entries = read_notes(str(payload), name=package)
    text = "\n".join(entry.text for entry in entries)
    assert len(text) > 300
    for markup in ("```", "](", "``", ".. code", "<img", "|pypi|", "&amp;"):
        assert markup not in text
    assert len({entry.key for entry in entries}) == len(entries)


HELD = [
    "---\ndraft: true\n---\n",
    "---\ntitle: A\nDraft:   'yes'  # soon\n---\n",
    "---\r\ndraft: true\r\n---\r\n",
    "\ufeff---\ndraft: !!bool true\n---\n",
    "---\n{title: A, draft: true}\n---\n",
    "---\nmeta:\n  draft:\n    true\n...\n",
    "---\npublished: false\n---\n",
    "---\nprivate: on\n---\n",
    "---\nstatus: Draft\n---\n",
    "---\nvisibility: private\n---\n",
    "---\ndate: 2026-11-25\n---\n",
    "---\ndate: 2026-11-24T12:00:01Z\n---\n",
    "---\ndate: '2026-11-24 12:30:00 +0000'\n---\n",
    "---\ndate: 2026-11-24 11:30:00 -0100\n---\n",
    "---\npublishDate: 1 Dec 2026 10:00:00 GMT\n---\n",
    "+++\ndraft = true\n+++\n",
    "+++\ndate = 2027-01-01T00:00:00Z\n+++\n",
    '{\n  "title": "A",\n  "draft": true\n}\n',
    "---\ndraft: true\n\n",
    "Title: A\nStatus: draft\n\n",
    "A title\n=======\n\n:status: draft\n\n",
]
FREE = [
    "",
    "---\ndraft: false\n---\n",
    "---\npublished: true\nstatus: published\n---\n",
    "---\ndate: 2026-11-24T11:59:59Z\n---\n",
    "---\ndate: 2026-11-24\n---\n",
    "---\ndate: someday\npublished: 2020-01-01\n---\n",
    "---\ntitle: The draft\ndescription: draft, true\n---\n",
    "Date: 2030-01-01\n\n",
    "---\n\n",
    "# The private life of tides\n\nPublished: no idea when.\n\n",
]


@pytest.mark.parametrize("front", HELD)
def test_a_note_that_its_author_holds_back_is_not_written_from(tmp_path: Path, front: str) -> None:
    (tmp_path / "a.md").write_bytes(f"{front}{NOTE}\n".encode())
    (tmp_path / "b.md").write_text(NOTE)
    reading = source_reader([str(tmp_path)]).read()
    assert [Path(item.source.location).name for item in reading.items] == ["b.md"]
    assert reading.problems == ()
    with pytest.raises(SourceUnreadable, match="its author holds it back"):
        source_reader([str(tmp_path / "a.md")]).read()


@pytest.mark.parametrize("front", FREE)
def test_a_note_that_is_out_is_written_from(tmp_path: Path, front: str) -> None:
    (tmp_path / "a.md").write_text(f"{front}{NOTE}\n")
    (only,) = source_reader([str(tmp_path / "a.md")]).read().items
    assert NOTE in only.text


def test_a_folder_of_drafts_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(HELD[0] + NOTE)
    with pytest.raises(SourceUnreadable, match="all its notes are held back"):
        source_reader([str(tmp_path)]).read()


def test_front_matter_is_no_part_of_the_note(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(f"+++\ntitle = 'Rain'\ndescription = 'Of rain'\n+++\n{NOTE}")
    (only,) = source_reader([str(tmp_path / "a.md")]).read().items
    assert (only.source.title, only.text) == ("Rain", NOTE)

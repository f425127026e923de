from __future__ import annotations

from email.message import Message
from importlib.metadata import metadata
from typing import cast

import pytest

from bot.writer.notes import read_notes

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

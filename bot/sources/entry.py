"""What a document holds, before the location gives it a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One readable piece of a document.

    `key` is stable over re-reads and unique in its document; `text` is plain blocks, an empty
    line between them; `url` is the piece's own public address, if it has one.
    """

    kind: str
    key: str
    title: str
    text: str
    url: str | None = None
    published_at: datetime | None = None


class Unreadable(Exception):
    """A location gave nothing: what happened, and what would be right."""


class Held(Unreadable):
    """A note that its author holds back: a draft, a private one, or one of the future."""

"""What a post is written from, and what a writer makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.model import Source
from bot.core.spending.usage import ModelUsage


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceItem:
    """One readable item of a source: its reference and its plain text."""

    source: Source
    text: str
    published_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceReading:
    """All that the sources gave, and a line for each that gave nothing."""

    items: tuple[SourceItem, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DraftRequest:
    """What the writer is asked for.

    `items` are in order of preference; `avoid` are texts not to repeat, newest first;
    `feedback` are the guard's complaints about an earlier try.
    """

    items: tuple[SourceItem, ...]
    topic: str | None = None
    persona: str | None = None
    avoid: tuple[str, ...] = ()
    include_link: bool = False
    feedback: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A text that wants to become a tweet, with where it came from.

    `usage` is None when no language model was called.
    """

    text: str
    source: Source | None
    writer: str
    usage: ModelUsage | None = None

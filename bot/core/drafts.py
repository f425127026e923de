"""What a post is written from, and what a writer makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a text comes from: the exact item, so that a reader can check.

    `location` is the URL or path the operator named; `url` is the item's own public address, if
    it has one; `id` is stable over reads of the same item.
    """

    id: str
    kind: str
    title: str
    location: str
    url: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """The item as `--json` and the tweet row name it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "location": self.location,
            "url": self.url,
        }


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
class ModelUsage:
    """Tokens that a language-model call spends or spent."""

    model: str
    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        """Both directions together."""
        return self.input_tokens + self.output_tokens


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

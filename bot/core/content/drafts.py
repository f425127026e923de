"""What a post is written from, and what a writer makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from bot.core.model import Plan, Slot, SlotId, Source
from bot.core.spending.usage import ModelUsage


@dataclass(frozen=True, kw_only=True, slots=True)
class Brief:
    """What a draft is wanted for: a slot of a plan, or a person's wish about a topic."""

    plan: Plan | None = None
    slot: Slot | None = None
    topic: str | None = None

    @property
    def slot_id(self) -> SlotId | None:
        """The slot's id, if the draft is for one."""
        return self.slot.id if self.slot else None

    def latest(self, *, now: datetime) -> datetime:
        """Until when posting it makes sense."""
        if self.slot is None:
            return now
        return self.slot.due_at + (self.plan.late_tolerance if self.plan else timedelta(0))


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

    def after(self, text: str, complaints: Sequence[str]) -> Self:
        """The same once more, after a try that the guard refused."""
        return replace(self, avoid=(text, *self.avoid), feedback=tuple(complaints))


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A text that wants to become a tweet, with where it came from.

    `usage` is None when no language model was called.
    """

    text: str
    source: Source | None
    writer: str
    usage: ModelUsage | None = None

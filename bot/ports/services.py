"""What the engine needs of the world: time, the account, what to write from, and a writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bot.core.content.drafts import Draft, DraftRequest, SourceReading
from bot.core.model import (
    Account,
    Posted,
    Timeline,
)
from bot.core.posting.post import Post
from bot.core.spending.usage import ModelUsage


class Clock(Protocol):
    """Tells the time, and waits for it."""

    def now(self) -> datetime:
        """The aware moment."""
        ...

    def wait(self, seconds: float) -> None:
        """Lets so much time pass; returns early when the program is asked to stop."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow, whatever is done to the clock; only differences mean anything."""
        ...

    def agree(self, moment: datetime, *, since: datetime) -> None:
        """Goes by a clock that all workers share: it told the moment between `since` and now."""
        ...


class X(Protocol):
    """The account on X."""

    def me(self) -> Account:
        """Whose keys these are."""
        ...

    def create_post(self, post: Post) -> Posted:
        """Posts; raises one of Retryable, Refused, Fatal, OutcomeUnknown."""
        ...

    def lookup(self, ids: Sequence[str]) -> Timeline:
        """Posts by id; those that don't exist are simply not there."""
        ...

    def timeline(self, x_user_id: str, *, since_id: str | None = None, limit: int = 100) -> Timeline:
        """The account's own posts, newest first."""
        ...


class Sources(Protocol):
    """Where texts come from."""

    def read(self) -> SourceReading:
        """All items; raises SourceUnreadable when there is none."""
        ...


class Writer(Protocol):
    """Turns items into a draft."""

    @property
    def name(self) -> str:
        """Who writes: `offline` or `openai:MODEL`."""
        ...

    def estimate(self, request: DraftRequest) -> ModelUsage | None:
        """The most tokens that writing this may spend; None for a writer that spends none."""
        ...

    def write(self, request: DraftRequest) -> Draft:
        """Writes; raises WriterFailed, Retryable or Fatal."""
        ...

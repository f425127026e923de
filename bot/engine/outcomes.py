"""How a wish to post ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Self

from bot.core.content.rules import Problem
from bot.core.model import Tweet
from bot.core.spending.limits import Verdict, Wait
from bot.core.states import TweetStatus


class OutcomeKind(StrEnum):
    """How one wish to post ended."""

    POSTED = "posted"
    DRY_RUN = "dry_run"
    AWAITING_APPROVAL = "awaiting_approval"
    WAITING = "waiting"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of one wish to post, with everything that explains it.

    `reason` is a code for programs, `detail` a line for people, `parts` a thread's rows in order.
    """

    kind: OutcomeKind
    reason: str | None = None
    detail: str = ""
    tweet: Tweet | None = None
    verdict: Verdict | None = None
    cost_usd: Decimal = Decimal(0)
    parts: Sequence[Tweet] = ()

    @classmethod
    def waiting(cls, verdict: Wait, *, tweet: Tweet | None = None) -> Self:
        """A limit is closed."""
        return cls(
            kind=OutcomeKind.WAITING,
            reason=verdict.limit,
            detail=verdict.reason,
            tweet=tweet,
            verdict=verdict,
        )

    @classmethod
    def rejected(cls, problems: Sequence[Problem]) -> Self:
        """The guard keeps it."""
        return cls(
            kind=OutcomeKind.REJECTED,
            reason=problems[0].rule if problems else "no_draft",
            detail="; ".join(problem.message for problem in problems),
        )

    @property
    def line(self) -> str:
        """Why it ended so, for people; the code where there are no words."""
        return self.detail or self.reason or ""

    @property
    def queued(self) -> bool:
        """Whether the worker posts it later."""
        waits = self.kind is OutcomeKind.WAITING and self.tweet is not None
        return waits and self.tweet.status is TweetStatus.APPROVED  # type: ignore[union-attr]  # it waits

"""Every fault on a post, in every form and way, and how each must end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bot.sandbox.faults import KINDS


class Form(StrEnum):
    """What is being posted when the fault strikes."""

    SINGLE = "single"
    THREAD = "thread_part_2"


class Way(StrEnum):
    """What becomes of the process that makes the call."""

    GOES_ON = "goes_on"
    KILLED = "killed"
    SECOND = "second_alive"


# X will not have this very text, however often it is asked.
REFUSED: Final[Mapping[str, str]] = {
    "refuse_400": "invalid_request",
    "refuse_403_policy": "policy",
    "duplicate_403": "duplicate_refused",
}
# X says that it has this text already, which only a day without it ends: it counts all the same.
UNFINDABLE: Final = "duplicate_403"
# X will have nothing more until an operator mends it and says `resume`.
CLOSED: Final[Mapping[str, str]] = {
    "refuse_401": "keys_invalid",
    "refuse_suspended": "account_suspended",
    "refuse_client_forbidden": "app_forbidden",
    "402": "credits_depleted",
    "429_without_headers": "rate_limited",
    "usage_capped": "usage_capped",
}
# These name a reset that a test can wait for.
_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "429_with_headers": {"seconds": 1},
    "429_code_88": {"seconds": 1},
}
TIMELINE: Final = "timeline"
READ: Final = "GET /2/users/:id/tweets"
# One more than the looks without the text that would lead to a resend.
FAILED_READS: Final = 3
PARTS: Final = {Form.SINGLE: 1, Form.THREAD: 3}


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    kind: str
    form: Form
    way: Way

    def __str__(self) -> str:
        return f"{self.kind}-{self.form}-{self.way}"

    @property
    def column(self) -> str:
        """Where the cell stands in the table."""
        return f"{self.form}/{self.way}"

    @property
    def parts(self) -> int:
        """How many tweets the slot holds; one after the struck one shows that the thread goes on."""
        return PARTS[self.form]

    @property
    def struck(self) -> int:
        """Which part the fault strikes."""
        return min(2, self.parts)

    @property
    def closes(self) -> bool:
        """Whether X has nothing more until an operator mends it and says `resume`."""
        return self.kind in CLOSED

    @property
    def closed_as(self) -> str | None:
        """The reason that the row of a closed account gives; None where only its reading is closed."""
        return CLOSED.get(self.kind)

    @property
    def lasts_a_day(self) -> bool:
        """Whether the text is looked for for so long."""
        return self.kind == UNFINDABLE

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The faults as the sandbox arms them: once, or for as long as X would keep refusing."""
        lasting = self.kind in REFUSED or self.kind in CLOSED
        count = None if lasting else 1
        return [{"kind": self.kind, "after": self.struck - 1, "count": count, **_OPTIONS.get(self.kind, {})}]

    @property
    def ending(self) -> list[tuple[str, str | None]]:
        """The status each part must end with, and the reason of those that are not posted."""
        before: list[tuple[str, str | None]] = [("posted", None)] * (self.struck - 1)
        if self.kind in REFUSED:
            after: list[tuple[str, str | None]] = [("rejected", "thread_broken")]
            return [*before, ("failed", REFUSED[self.kind]), *after * (self.parts - self.struck)]
        return [("posted", None)] * self.parts


@dataclass(frozen=True)
class TimelineCase(Case):
    """X takes a post without an answer, and then it is the timeline that fails."""

    form: Form = Form.SINGLE
    way: Way = Way.GOES_ON

    @property
    def column(self) -> str:
        return TIMELINE

    @property
    def closes(self) -> bool:
        return self.kind in CLOSED or self.kind == "accept_then_429"

    @property
    def closed_as(self) -> str | None:
        return None

    @property
    def lasts_a_day(self) -> bool:
        return False

    @property
    def faults(self) -> list[dict[str, Any]]:
        count = None if self.closes else FAILED_READS
        fails = {"kind": self.kind, "endpoint": READ, "count": count, **_OPTIONS.get(self.kind, {})}
        return [{"kind": "accept_then_drop"}, fails]

    @property
    def ending(self) -> list[tuple[str, str | None]]:
        return [("posted", None)]


CASES: Final = tuple(Case(kind, form, way) for form in Form for way in Way for kind in KINDS)
TIMELINE_CASES: Final = tuple(map(TimelineCase, KINDS))


@dataclass(frozen=True)
class Cell:
    """What became of a case; `problems` is empty when everything holds."""

    end: str
    seconds: float
    problems: tuple[str, ...] = ()

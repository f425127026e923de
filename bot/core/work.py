"""Work that waits for its moment: which job, for whom, when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from bot.core.codes import DecisionKind
from bot.core.model import ProfileId


class Work(NamedTuple):
    """One job for one profile, or for all where it names none."""

    kind: DecisionKind
    profile_id: ProfileId | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """What rows ask for: that a job acts for a profile at a moment, or as soon as it is past."""

    work: Work
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class LookAhead:
    """How far a look at what is due reaches.

    Attributes:
        until: what is due by then is wanted.
        prepare_ahead: how long before its slot a draft is written.
        settle_delay: how long X may need to show a post.
    """

    until: datetime
    prepare_ahead: timedelta
    settle_delay: timedelta

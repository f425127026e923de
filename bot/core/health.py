"""How the bot's parts and its worker are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

# A worker that missed two of its looks, which are a minute apart, is silent.
PATIENCE = timedelta(seconds=150)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One part's health, and what to do about it."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    fix: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerLife:
    """Whether a worker acts, since when, when it last looked for work, and how long ago that was."""

    alive: bool = False
    since: datetime | None = None
    last_beat: datetime | None = None
    silent_for: timedelta | None = None

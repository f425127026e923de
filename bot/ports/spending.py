"""Rows of what is spent: the ledger, and what X said of its limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from bot.core.model import Call, CallId, ProfileId, TweetId
from bot.core.rates import RateWindow
from bot.core.spending.limits import Scope, Usage
from bot.core.states import CallState


class Ledger(Protocol):
    """What was spent."""

    def lock(self) -> None:
        """Lets one transaction at a time weigh and reserve."""
        ...

    def usage(self, profile_id: ProfileId | None, *, now: datetime, shared: Collection[Scope] = ()) -> Usage:
        """What the rows say, of these wider scopes too; raises UsageUnreadable when they can't be read."""
        ...

    def usages(
        self, profile_ids: Collection[ProfileId], *, now: datetime, shared: Collection[Scope] = ()
    ) -> Mapping[ProfileId | None, Usage]:
        """What the rows say of each profile, and of nobody in particular (None)."""
        ...

    def reserve_all(self, calls: Sequence[Call]) -> None:
        """Adds reserved rows."""
        ...

    def reserve(self, call: Call) -> Call:
        """Adds a reserved row."""
        ...

    def change(self, call_id: CallId, state: CallState, **values: Any) -> None:
        """Settles, releases or marks unknown; `units`, `cost_usd`, `tokens` may be corrected."""
        ...

    def of_tweet(self, tweet_id: TweetId) -> Sequence[Call]:
        """The tweet's open calls, newest first."""
        ...

    def orphans(self, profile_id: ProfileId, *, before: datetime) -> Sequence[Call]:
        """Reserved calls without a tweet from before a moment: their process is gone."""
        ...

    def forget(self, *, before: datetime, released_before: datetime) -> int:
        """Deletes some of the old rows, whose use stays counted; returns how many."""
        ...


class Rates(Protocol):
    """What X's own headers and refusals last said."""

    def saw(
        self, profile_id: ProfileId, endpoint: str, windows: Sequence[RateWindow], *, now: datetime
    ) -> Mapping[str, int]:
        """Keeps what X's headers said; returns the drift of each window that has one."""
        ...

    def saw_all(
        self, endpoint: str, told: Mapping[ProfileId, Sequence[RateWindow]], *, now: datetime
    ) -> Mapping[ProfileId, Mapping[str, int]]:
        """Keeps what X's headers said to each profile; returns the drift of each window that has one."""
        ...

    def count_unheard(self, call: Call) -> None:
        """Takes a call whose answer nobody heard off what was left before it."""
        ...

    def lift_blocks(self, profile_id: ProfileId) -> int:
        """Forgets closed windows, for an operator's `resume`."""
        ...

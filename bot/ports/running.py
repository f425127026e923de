"""Rows that running needs: workers, what is due, leases, decisions, settings, keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.core.health import WorkerLife
from bot.core.model import DecisionRecord, Lease, ProfileId
from bot.core.work import Due, LookAhead


class DueWork(Protocol):
    """Whose work is due."""

    def find(
        self, *, holder: str, own: Collection[ProfileId], ahead: LookAhead, changed_since: datetime
    ) -> Sequence[Due]:
        """What is due until a moment, of the profiles that a worker runs; keeps its heartbeat."""
        ...


class Workers(Protocol):
    """Which workers live."""

    def begin(self, *, holder: str, host: str, pid: int) -> None:
        """Adds a worker that starts now."""
        ...

    def end(self, *, holder: str) -> None:
        """Says that a worker stopped in order."""
        ...

    def life(self, *, patience: timedelta) -> WorkerLife:
        """The newest worker that lives; else the newest of all, unless it stopped in order."""
        ...

    def forget(self, *, before: datetime) -> int:
        """Deletes workers that were last heard of before a moment; returns how many."""
        ...


class Leases(Protocol):
    """One writer a profile."""

    def acquire(
        self, profile_id: ProfileId, *, holder: str, asked_at: float, lasts: timedelta
    ) -> Lease | None:
        """The lease, or None while another holds it; `asked_at` is the monotonic clock's."""
        ...

    def release_all(self, leases: Collection[Lease]) -> None:
        """Gives them up."""
        ...

    def check(self, lease: Lease) -> None:
        """Raises LeaseLost unless it is still held; the row stays locked to the transaction's end."""
        ...

    def release(self, lease: Lease) -> None:
        """Gives it up."""
        ...


class Decisions(Protocol):
    """Why."""

    def record(self, decision: DecisionRecord) -> None:
        """Adds a row; the same decision again only counts up."""
        ...

    def record_new(self, decisions: Sequence[DecisionRecord]) -> None:
        """Adds rows that no earlier one can be the same as."""
        ...

    def last(
        self, profile_id: ProfileId | None, *, limit: int, kinds: Sequence[str] = ()
    ) -> Sequence[DecisionRecord]:
        """The newest rows, newest first."""
        ...

    def forget(self, *, before: datetime) -> int:
        """Deletes some of the rows that last held before a moment; returns how many."""
        ...


class Config(Protocol):
    """Settings that an operator changes at run time."""

    def get(self, key: str) -> Any:
        """The value, or None."""
        ...

    def put(self, key: str, value: Any) -> None:
        """Sets it."""
        ...


class Credentials(Protocol):
    """Profiles' own keys, encrypted."""

    def put(self, profile_id: ProfileId, encrypted_keys: str) -> None:
        """Keeps a profile's keys in place of those it had."""
        ...

    def remove(self, profile_id: ProfileId) -> bool:
        """Deletes a profile's keys; False when there are none."""
        ...

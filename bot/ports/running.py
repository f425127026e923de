"""Rows that running needs: leases, decisions, settings, keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.core.model import DecisionRecord, Lease, ProfileId


class Leases(Protocol):
    """One writer a profile."""

    def acquire(
        self, profile_id: ProfileId, *, holder: str, asked_at: float, lasts: timedelta
    ) -> Lease | None:
        """The lease, or None while another holds it; `asked_at` is the monotonic clock's."""
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

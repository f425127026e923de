"""What the engine needs of the rows, table by table, and the transaction that holds them together."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from bot.ports.posting import Plans, Profiles, Sending, Slots, Tweets
from bot.ports.running import Config, Credentials, Decisions, DueWork, Leases, Workers
from bot.ports.spending import Ledger, Rates


class Transaction(Protocol):
    """All tables in one transaction."""

    @property
    def profiles(self) -> Profiles: ...  # noqa: D102 - named by its type
    @property
    def plans(self) -> Plans: ...  # noqa: D102 - named by its type
    @property
    def slots(self) -> Slots: ...  # noqa: D102 - named by its type
    @property
    def tweets(self) -> Tweets: ...  # noqa: D102 - named by its type
    @property
    def sending(self) -> Sending: ...  # noqa: D102 - named by its type
    @property
    def ledger(self) -> Ledger: ...  # noqa: D102 - named by its type
    @property
    def rates(self) -> Rates: ...  # noqa: D102 - named by its type
    @property
    def leases(self) -> Leases: ...  # noqa: D102 - named by its type
    @property
    def decisions(self) -> Decisions: ...  # noqa: D102 - named by its type
    @property
    def due_work(self) -> DueWork: ...  # noqa: D102 - named by its type
    @property
    def workers(self) -> Workers: ...  # noqa: D102 - named by its type
    @property
    def config(self) -> Config: ...  # noqa: D102 - named by its type
    @property
    def credentials(self) -> Credentials: ...  # noqa: D102 - named by its type


class Database(Protocol):
    """The one way to the rows."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begins, and commits at the block's end; rolls back when it raises."""
        ...

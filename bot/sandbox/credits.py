"""Prices, the balance, and the ledger of charges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from bot.sandbox.answers import Refusal, no_credits
from bot.sandbox.model import Row

PRICES: Final[Mapping[str, Decimal]] = {
    "post": Decimal("0.015"),
    "post_with_url": Decimal("0.200"),
    "summoned_reply": Decimal("0.010"),
    "delete": Decimal("0.010"),
    "media_metadata": Decimal("0.005"),
    "post_read": Decimal("0.005"),
    "own_post_read": Decimal("0.001"),
    "user_read": Decimal("0.010"),
}


@dataclass(frozen=True, kw_only=True)
class Charge(Row):
    """One resource paid for; `dollars` is a decimal in a string."""

    charged_at: datetime
    account_id: str | None
    item: str
    resource: str
    dollars: str


class Ledger:
    """What was charged, and what is left to spend.

    The balance may end below zero by the last call's price: X, too, only refuses once it is used up.
    """

    def __init__(self) -> None:
        self.prices: dict[str, Decimal] = dict(PRICES)
        self.balance: Decimal | None = None
        self.charges: list[Charge] = []
        self._read: set[tuple[str, str, str]] = set()

    def require_credits(self) -> None:
        """Refuse when nothing is left.

        Raises:
            Refusal: The balance is used up (402).
        """
        if self.balance is not None and self.balance <= 0:
            raise Refusal(no_credits())

    def charge(self, item: str, resource: str, account_id: str | None, now: datetime) -> Charge:
        """Charge one written resource, every time."""
        entry = Charge(
            charged_at=now,
            account_id=account_id,
            item=item,
            resource=resource,
            dollars=str(self.prices[item]),
        )
        self.enter(entry)
        if self.balance is not None:
            self.balance -= self.prices[item]
        return entry

    def charge_reads(
        self, item: str, resources: Iterable[str], account_id: str | None, now: datetime
    ) -> list[Charge]:
        """Charge read resources, each once a UTC day at this price."""
        day = now.astimezone(UTC).date().isoformat()
        unpaid = [resource for resource in resources if (day, item, resource) not in self._read]
        return [self.charge(item, resource, account_id, now) for resource in unpaid]

    def enter(self, entry: Charge) -> None:
        """Put a charge into the ledger without touching the balance, as a replay does."""
        self.charges.append(entry)
        day = entry.charged_at.astimezone(UTC).date().isoformat()
        self._read.add((day, entry.item, entry.resource))

    @property
    def total(self) -> Decimal:
        """The sum of all charges."""
        return sum((Decimal(entry.dollars) for entry in self.charges), Decimal(0))

"""What the engine needs from the outside, each need on its own and small."""

from __future__ import annotations

from bot.ports.services import Clock, Sources, Writer, X
from bot.ports.tables import (
    Config,
    Database,
    Decisions,
    Leases,
    Ledger,
    Profiles,
    Rates,
    Slots,
    Transaction,
    Tweets,
)

__all__ = [
    "Clock",
    "Config",
    "Database",
    "Decisions",
    "Leases",
    "Ledger",
    "Profiles",
    "Rates",
    "Slots",
    "Sources",
    "Transaction",
    "Tweets",
    "Writer",
    "X",
]

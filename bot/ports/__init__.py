"""What the engine needs from the outside, each need on its own and small."""

from __future__ import annotations

from bot.ports.posting import Plans, Profiles, Sending, Slots, Tweets
from bot.ports.running import Config, Credentials, Decisions, DueWork, Leases, Workers
from bot.ports.services import Clock, Sources, Writer, X
from bot.ports.spending import Ledger, Rates
from bot.ports.tables import Database, Transaction

__all__ = [
    "Clock",
    "Config",
    "Credentials",
    "Database",
    "Decisions",
    "DueWork",
    "Leases",
    "Ledger",
    "Plans",
    "Profiles",
    "Rates",
    "Sending",
    "Slots",
    "Sources",
    "Transaction",
    "Tweets",
    "Workers",
    "Writer",
    "X",
]

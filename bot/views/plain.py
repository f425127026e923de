"""JSON's plain values: exact amounts of money, moments in UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

# The limits that are amounts of US dollars.
OF_MONEY = frozenset({"budget_usd", "budget_pace", "profile_budget_usd"})


def to_json(value: Mapping[str, Any]) -> str:
    """One line of JSON; amounts of money as exact strings, moments as ISO 8601 in UTC."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def money(amount: Decimal) -> str:
    """An amount exactly, without an exponent."""
    plain = f"{amount.normalize():f}"
    return plain if "." in plain and len(plain.partition(".")[2]) > 1 else f"{amount:.2f}"


def amount(name: str | None, value: Decimal | None) -> int | str | None:
    """What is used or left of a limit: money exactly, anything else a whole number."""
    if value is None:
        return None
    return money(value) if name in OF_MONEY else int(value)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)

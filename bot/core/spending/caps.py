"""An operator's own caps on top of the environment's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

from bot.core.errors import SettingError
from bot.core.spending.pricing import MOST_USD, amount_of, entries
from bot.core.spending.usage import MOST, Limits, SharedCaps

_COUNTS = ("posts_15min", "posts_24h", "posts_month", "reads_month", "tokens_day")
_BUDGETS = ("budget_usd", "profile_budget_usd")
# `app_posts_24h` is `posts_24h` of `app`, and so on.
_SHARED: Mapping[str, tuple[str, str]] = {
    f"{prefix}_{one.name}": (scope, one.name)
    for prefix, scope in (("app", "app"), ("all", "in_all"))
    for one in fields(SharedCaps)
}


def caps_with_overrides(caps: Limits, overrides: Any) -> Limits:
    """The caps with an operator's own, as `bot_config` keeps them under `caps`.

    Args:
        caps: the environment's.
        overrides: `{"posts_24h": 10, "app_posts_24h": 500, "budget_usd": "20.00"}`; null is no cap. None
            is no row.

    Raises:
        SettingError: a name isn't a cap, or a figure isn't one.
    """
    changes: dict[str, Any] = {}
    for name, value in entries("caps", overrides, like='{"posts_24h": 17}'):
        figure = _figure(name, value)
        if name in _SHARED:
            scope, field = _SHARED[name]
            changes[scope] = replace(changes.get(scope, getattr(caps, scope)), **{field: figure})
        else:
            changes[name] = figure
    return replace(caps, **changes)


def _figure(name: str, value: Any) -> int | Decimal | None:
    """The cap that is meant; None is none."""
    counts = (*_COUNTS, *_SHARED)
    if name in _BUDGETS and (value is None or amount_of(value) is not None):
        return amount_of(value)
    if name in counts and (value is None or (type(value) is int and 0 <= value <= MOST)):
        return value
    raise SettingError(
        f"bot_config caps: {name!r}: {value!r} is not a cap",
        fix=f"use whole numbers from 0 to {MOST} or null for {', '.join(counts)}, "
        f"an amount from 0 to {MOST_USD} for {' and '.join(_BUDGETS)}",
    )

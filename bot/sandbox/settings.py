"""The settings that the control API may change: each read and checked before any is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from bot.sandbox.credits import PRICES
from bot.sandbox.limits import CAPS, SCOPES, TABLE
from bot.sandbox.model import ControlError, utc
from bot.sandbox.rendering import REFERENCED
from bot.sandbox.state import State

Change = Callable[[State], None]


def apply(state: State, body: Mapping[str, Any]) -> None:
    """Change settings; all of them, or none when one is wrong.

    Raises:
        ControlError: A name is unknown or a value is wrong.
    """
    known(body, set(_READERS))
    changes = [_READERS[name](name, value) for name, value in body.items()]
    for change in changes:
        change(state)


def known(body: Mapping[str, Any], names: set[str]) -> None:
    """Refuse unknown names.

    Raises:
        ControlError: There is one.
    """
    unknown = sorted(set(body) - names)
    if unknown:
        raise ControlError(f"unknown {', '.join(unknown)}; known names: {', '.join(sorted(names))}")


def number(name: str, value: object, *, least: float | None = 0) -> float:
    """A finite number, at least `least` when that is given.

    Raises:
        ControlError: It is none.
    """
    sized = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    if not sized or (least is not None and float(str(value)) < least):
        rule = "a number" if least is None else f"a number of at least {least}"
        raise ControlError(f"{name} must be {rule}, not {value!r}")
    return float(str(value))


def whole(name: str, value: object, *, least: int = 0) -> int:
    """A whole number, at least `least`.

    Raises:
        ControlError: It is none.
    """
    if type(value) is not int or value < least:
        raise ControlError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value


def moment(name: str, value: object) -> datetime:
    """An aware moment out of an ISO 8601 string.

    Raises:
        ControlError: It is none.
    """
    try:
        return utc(datetime.fromisoformat(str(value)))
    except ValueError as error:
        raise ControlError(f"{name} must be an ISO 8601 moment with a time zone, not {value!r}") from error


def mapping(name: str, value: object) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        ControlError: It is none.
    """
    if not isinstance(value, dict):
        raise ControlError(f"{name} must be an object, not {value!r}")
    return value


def _dollars(name: str, value: object) -> Decimal:
    try:
        amount = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite():
        raise ControlError(f'{name} must be dollars as a string, for example "1.25", not {value!r}')
    return amount


def _visibility_delay(name: str, value: object) -> Change:
    seconds = number(name, value)
    return lambda state: setattr(state, "visibility_delay", seconds)


def _duplicate_window(name: str, value: object) -> Change:
    seconds = number(name, value)
    return lambda state: setattr(state, "duplicate_window_seconds", seconds)


def _referenced_key(name: str, value: object) -> Change:
    if value not in REFERENCED:
        raise ControlError(f"{name} must be one of {', '.join(sorted(REFERENCED))}, not {value!r}")
    return lambda state: setattr(state, "referenced_key", value)


def _credits(name: str, value: object) -> Change:
    balance = None if value is None else _dollars(name, value)
    return lambda state: setattr(state.ledger, "balance", balance)


def _prices(name: str, value: object) -> Change:
    prices = {item: _dollars(f"{name}.{item}", price) for item, price in mapping(name, value).items()}
    known(prices, set(PRICES))
    return lambda state: state.ledger.prices.update(prices)


def _limits(name: str, value: object) -> Change:
    rows = mapping(name, value)
    known(rows, set(TABLE))
    for route, row in rows.items():
        known(mapping(f"{name}.{route}", row), set(SCOPES))
        for scope, limit in row.items():
            whole(f"{name}.{route}.{scope}", limit)

    def change(state: State) -> None:
        for route, row in rows.items():
            state.limits.table[route].update(row)

    return change


def _monthly(name: str, value: object) -> Change:
    caps = mapping(name, value)
    known(caps, set(CAPS))
    for cap, limit in caps.items():
        if limit is not None:
            whole(f"{name}.{cap}", limit)

    def change(state: State) -> None:
        for cap in CAPS:
            state.limits.caps[cap] = caps.get(cap, state.limits.caps[cap])

    return change


def _clock(name: str, value: object) -> Change:
    frozen = None if value is None else moment(name, value)
    return lambda state: state.clock.freeze(frozen)


def _clock_offset(name: str, value: object) -> Change:
    seconds = number(name, value, least=None)
    return lambda state: state.clock.offset(seconds)


def _advance(name: str, value: object) -> Change:
    seconds = number(name, value)
    return lambda state: state.clock.advance(seconds)


_READERS: Final[Mapping[str, Callable[[str, object], Change]]] = {
    "visibility_delay": _visibility_delay,
    "duplicate_window_seconds": _duplicate_window,
    "referenced_key": _referenced_key,
    "credits": _credits,
    "prices": _prices,
    "limits": _limits,
    "monthly": _monthly,
    "clock": _clock,
    "clock_offset_seconds": _clock_offset,
    "advance_seconds": _advance,
}

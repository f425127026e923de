"""What calls cost: dated data, with the operator's own figures on top.

X's prices are those of its pay-per-use plan, the language model's those its maker published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from bot.core.errors import PriceUnknown, SettingError
from bot.core.spending.usage import ModelUsage

_MILLION = Decimal(1_000_000)
_MICRO = Decimal("0.000001")
# Above every price there is, and what the ledger's columns can hold of it.
MOST_USD = Decimal(1_000_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPrice:
    """US dollars for a million tokens each way."""

    input_usd: Decimal
    output_usd: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceList:
    """US dollars for one resource each, as of a day; None is a price that isn't known."""

    as_of: date
    post: Decimal | None
    post_with_link: Decimal | None
    own_post_read: Decimal | None
    post_read: Decimal | None
    user_read: Decimal | None
    models: Mapping[str, ModelPrice] = field(default_factory=dict)
    unlisted_model: ModelPrice | None = None

    def post_price(self, *, has_link: bool) -> Decimal:
        """The price of one post.

        Raises:
            PriceUnknown: the list has none.
        """
        name = "post_with_link" if has_link else "post"
        return self._known(name, self.post_with_link if has_link else self.post)

    def read_price(self, name: str) -> Decimal:
        """The price of one resource read: `own_post_read`, `post_read` or `user_read`.

        Raises:
            PriceUnknown: the list has none.
        """
        return self._known(name, getattr(self, name, None))

    def model_price(self, usage: ModelUsage) -> Decimal:
        """The price of a language-model call, rounded up to a millionth of a dollar.

        Raises:
            PriceUnknown: neither the model nor a price for unlisted models is on the list.
        """
        rate = self.models.get(usage.model, self.unlisted_model)
        if rate is None:
            raise PriceUnknown(
                f"the price of the model {usage.model} isn't known",
                fix=f'set it in bot_config: prices = {{"models": {{"{usage.model}": ["INPUT", "OUTPUT"]}}}}',
            )
        exact = (usage.input_tokens * rate.input_usd + usage.output_tokens * rate.output_usd) / _MILLION
        return exact.quantize(_MICRO, rounding="ROUND_UP")

    @staticmethod
    def _known(name: str, price: Decimal | None) -> Decimal:
        if price is None:
            raise PriceUnknown(
                f"the price of {name} isn't known",
                fix=f'set it in bot_config: prices = {{"{name}": "0.015"}}',
            )
        return price


def _dollars(input_usd: str, output_usd: str) -> ModelPrice:
    return ModelPrice(input_usd=Decimal(input_usd), output_usd=Decimal(output_usd))


LISTED = PriceList(
    as_of=date(2026, 8, 1),
    post=Decimal("0.015"),
    post_with_link=Decimal("0.200"),
    own_post_read=Decimal("0.001"),
    post_read=Decimal("0.005"),
    user_read=Decimal("0.010"),
    models={
        "gpt-5": _dollars("1.25", "10.00"),
        "gpt-5-mini": _dollars("0.25", "2.00"),
        "gpt-5-nano": _dollars("0.05", "0.40"),
        "gpt-4.1": _dollars("2.00", "8.00"),
        "gpt-4.1-mini": _dollars("0.40", "1.60"),
        "gpt-4o": _dollars("2.50", "10.00"),
        "gpt-4o-mini": _dollars("0.15", "0.60"),
    },
    # A model that isn't listed is priced above every common one: the budget must hold all the same.
    unlisted_model=_dollars("15.00", "120.00"),
)

_PRICES = ("post", "post_with_link", "own_post_read", "post_read", "user_read")


def with_overrides(listed: PriceList, overrides: Any, *, owns_app: bool = True) -> PriceList:
    """The list with an operator's own figures, as `bot_config` keeps them under `prices`.

    Args:
        listed: the dated list.
        overrides: `{"post": "0.02", "models": {"name": ["0.25", "2.00"]}}`; null makes a price
            unknown. None is no row.
        owns_app: whether the account is known to own the developer app; X bills own posts like
            anybody's otherwise.

    Raises:
        SettingError: a name isn't a price, or a figure isn't an amount.
    """
    changes: dict[str, Any] = {}
    for name, value in entries("prices", overrides, like='{"post": "0.015"}'):
        if name == "models":
            if not isinstance(value, Mapping):
                raise SettingError(
                    f"bot_config prices.models: {value!r} is not an object",
                    fix='use {"NAME": ["INPUT", "OUTPUT"]}, dollars a million tokens',
                )
            own = {model: _pair(f"prices.models.{model}", pair) for model, pair in value.items()}
            changes["models"] = {**listed.models, **own}
        elif name in _PRICES:
            changes[name] = None if value is None else _amount(f"prices.{name}", value)
        else:
            raise SettingError(
                f"bot_config prices: {name!r} is not a price", fix=f"use one of {', '.join(_PRICES)}, models"
            )
    priced = replace(listed, **changes)
    if owns_app or "own_post_read" in changes:
        return priced
    return replace(priced, own_post_read=priced.post_read)


def entries(key: str, value: Any, *, like: str) -> Iterable[tuple[str, Any]]:
    """The entries of an object that `bot_config` keeps under a key; none where there is no row.

    Raises:
        SettingError: it isn't an object.
    """
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise SettingError(
            f"bot_config {key}: {value!r} is not an object",
            fix=f"use an object like {like}, or remove the row",
        )
    return value.items()


def amount_of(value: Any) -> Decimal | None:
    """An amount of dollars from 0 to a million, to the millionth; None when it is none."""
    if not isinstance(value, (str, int, float, Decimal)) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        return None
    return amount if amount == amount.quantize(_MICRO) else None


def _pair(name: str, value: Any) -> ModelPrice:
    if not isinstance(value, (list, tuple)) or len(value) != 2:  # noqa: PLR2004 - a pair
        raise SettingError(f"bot_config {name}: {value!r} is not [INPUT, OUTPUT] in dollars a million tokens")
    return ModelPrice(input_usd=_amount(name, value[0]), output_usd=_amount(name, value[1]))


def _amount(name: str, value: Any) -> Decimal:
    amount = amount_of(value)
    if amount is None:
        raise SettingError(
            f"bot_config {name}: {value!r} is not an amount of dollars",
            fix=f"use an amount from 0 to {MOST_USD}, to the millionth of a dollar",
        )
    return amount

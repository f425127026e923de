"""Prices: known or refused, rounded against us, with the operator's figures on top."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import PriceUnknown, SettingError
from bot.core.spending.pricing import LISTED, ModelPrice, PriceList, amount_of, with_overrides
from bot.core.spending.usage import ModelUsage

tokens = st.integers(min_value=0, max_value=10**9)
dollars = st.decimals(min_value=0, max_value=1_000, places=6, allow_nan=False)


def model_usage(model: str = "gpt-5-mini", given_in: int = 1_000, given_out: int = 100) -> ModelUsage:
    return ModelUsage(model=model, input_tokens=given_in, output_tokens=given_out)


def test_a_post_with_a_link_has_its_own_price() -> None:
    assert LISTED.post_price(has_link=False) == Decimal("0.015")
    assert LISTED.post_price(has_link=True) == Decimal("0.200")


@pytest.mark.parametrize(
    ("name", "price"), [("own_post_read", "0.001"), ("post_read", "0.005"), ("user_read", "0.010")]
)
def test_each_read_has_its_listed_price(name: str, price: str) -> None:
    assert LISTED.read_price(name) == Decimal(price)


@pytest.mark.parametrize(("field", "has_link"), [("post", False), ("post_with_link", True)])
def test_an_unknown_post_price_is_refused_with_the_way_to_set_it(field: str, has_link: bool) -> None:
    unpriced = with_overrides(LISTED, {field: None})
    with pytest.raises(PriceUnknown, match=rf"the price of {field} isn't known") as caught:
        unpriced.post_price(has_link=has_link)
    assert caught.value.code == "price_unknown"
    assert "bot_config" in caught.value.fix
    assert f'"{field}"' in caught.value.fix
    assert unpriced.post_price(has_link=not has_link) is not None


def test_an_unknown_read_price_is_refused() -> None:
    with pytest.raises(PriceUnknown, match="user_read"):
        replace(LISTED, user_read=None).read_price("user_read")
    with pytest.raises(PriceUnknown, match="never_listed"):
        LISTED.read_price("never_listed")


def test_a_model_call_costs_its_tokens_both_ways() -> None:
    priced = with_overrides(LISTED, {"models": {"small": ["0.25", "2.00"]}})
    assert priced.model_price(model_usage("small", 1_000_000, 500_000)) == Decimal("1.25")
    assert priced.model_price(model_usage("small", 4, 0)) == Decimal("0.000001")
    assert priced.model_price(model_usage("small", 5, 0)) == Decimal("0.000002")
    assert priced.model_price(model_usage("small", 0, 0)) == 0


@given(given_in=tokens, given_out=tokens, price_in=dollars, price_out=dollars)
def test_a_model_price_is_rounded_up_by_less_than_a_millionth(
    given_in: int, given_out: int, price_in: Decimal, price_out: Decimal
) -> None:
    priced = replace(LISTED, models={"m": ModelPrice(input_usd=price_in, output_usd=price_out)})
    found = Fraction(priced.model_price(model_usage("m", given_in, given_out)))
    exact = (given_in * Fraction(price_in) + given_out * Fraction(price_out)) / 1_000_000
    assert exact <= found < exact + Fraction(1, 1_000_000)


@pytest.mark.parametrize(
    ("model", "given_in", "given_out"),
    [
        ("gpt-5", "1.25", "10.00"),
        ("gpt-5-mini", "0.25", "2.00"),
        ("gpt-5-nano", "0.05", "0.40"),
        ("gpt-4.1", "2.00", "8.00"),
        ("gpt-4.1-mini", "0.40", "1.60"),
        ("gpt-4o", "2.50", "10.00"),
        ("gpt-4o-mini", "0.15", "0.60"),
        ("never-heard-of", "15.00", "120.00"),
    ],
)
def test_each_model_has_its_listed_price(model: str, given_in: str, given_out: str) -> None:
    assert LISTED.model_price(model_usage(model, 1_000_000, 0)) == Decimal(given_in)
    assert LISTED.model_price(model_usage(model, 0, 1_000_000)) == Decimal(given_out)


def test_an_unlisted_model_is_dearer_than_every_listed_one() -> None:
    unlisted = LISTED.model_price(model_usage("never-heard-of"))
    assert all(LISTED.model_price(model_usage(name)) < unlisted for name in LISTED.models)


def test_a_model_without_any_price_is_refused_by_name() -> None:
    with pytest.raises(PriceUnknown, match="never-heard-of") as caught:
        replace(LISTED, unlisted_model=None).model_price(model_usage("never-heard-of"))
    assert "never-heard-of" in caught.value.fix


def test_overrides_change_only_what_they_name() -> None:
    changed = with_overrides(LISTED, {"post": 0.02, "models": {"gpt-5": (1, "9.5")}})
    assert changed.post == Decimal("0.02")
    assert changed.models["gpt-5"] == ModelPrice(input_usd=Decimal(1), output_usd=Decimal("9.5"))
    assert {name: price for name, price in changed.models.items() if name != "gpt-5"} == {
        name: price for name, price in LISTED.models.items() if name != "gpt-5"
    }
    assert replace(changed, post=LISTED.post, models=LISTED.models) == LISTED
    assert with_overrides(LISTED, {}) == LISTED


def test_overrides_leave_the_dated_list_as_it_was() -> None:
    with_overrides(LISTED, {"models": {"mine": ["1", "2"]}, "post": "9"})
    assert "mine" not in LISTED.models
    assert LISTED.post == Decimal("0.015")


def test_own_posts_are_read_at_everybodys_price_unless_the_account_owns_the_app() -> None:
    assert with_overrides(LISTED, None, owns_app=False).own_post_read == Decimal("0.005")
    assert with_overrides(LISTED, None, owns_app=True).own_post_read == Decimal("0.001")
    assert with_overrides(LISTED, {"own_post_read": None}, owns_app=False).own_post_read is None


def test_an_amount_goes_from_nothing_to_a_million_in_millionths() -> None:
    fits = ("0", "0.000001", "1000000", 1_000_000, 0.5)
    assert [amount_of(figure) for figure in fits] == [Decimal(str(figure)) for figure in fits]
    assert {amount_of(figure) for figure in ("-0.000001", "1000000.000001", "0.0000001", 2_000_000)} == {None}
    most = with_overrides(LISTED, {"post": "1000000"}).post_price(has_link=False)
    assert most == 1_000_000


@pytest.mark.parametrize("value", [0, "", [], "none", True])
def test_prices_that_are_no_object_are_refused_by_name(value: object) -> None:
    with pytest.raises(SettingError) as caught:
        with_overrides(LISTED, value)
    assert str(caught.value) == f"bot_config prices: {value!r} is not an object"
    assert caught.value.fix == 'use an object like {"post": "0.015"}, or remove the row'


def test_a_list_of_prices_need_not_name_a_model() -> None:
    price = Decimal("0.01")
    plain = PriceList(
        as_of=LISTED.as_of,
        post=price,
        post_with_link=price,
        own_post_read=price,
        post_read=price,
        user_read=price,
    )
    assert (plain.models, plain.unlisted_model) == ({}, None)


def test_a_price_of_nothing_is_a_price() -> None:
    assert with_overrides(LISTED, {"post": "0"}).post_price(has_link=False) == 0


@pytest.mark.parametrize("figure", ["cheap", "", "-0.01", "NaN", "Infinity", True, [], {}, "0,015"])
def test_a_figure_that_is_no_amount_is_refused_by_name(figure: Any) -> None:
    with pytest.raises(SettingError, match=r"prices\.post"):
        with_overrides(LISTED, {"post": figure})


@pytest.mark.parametrize("pair", [["1"], ["1", "2", "3"], "12", 5, None, {"input": 1}, ["1", "dear"]])
def test_a_model_price_that_is_no_pair_of_amounts_is_refused_by_name(pair: Any) -> None:
    with pytest.raises(SettingError, match=r"prices\.models\.mine"):
        with_overrides(LISTED, {"models": {"mine": pair}})


@pytest.mark.parametrize("name", ["posts", "as_of", "unlisted_model", "POST", ""])
def test_a_name_that_is_no_price_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(SettingError) as caught:
        with_overrides(LISTED, {name: "1"})
    assert "post_with_link" in caught.value.fix


@pytest.mark.parametrize("name", ["post", "post_with_link", "own_post_read", "post_read", "user_read"])
def test_each_of_xs_prices_may_be_the_operators_own(name: str) -> None:
    assert getattr(with_overrides(LISTED, {name: "0.123"}), name) == Decimal("0.123")


@pytest.mark.parametrize("value", [True, False, None, [], "a lot"])
def test_what_is_no_figure_is_no_amount(value: object) -> None:
    assert amount_of(value) is None

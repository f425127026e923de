"""What the environment says of limits and budgets."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

from bot.core.spending.limits import Limits, SharedCaps


def none_word(value: Any) -> Any:
    """The word `none` as None; anything else as it is."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


Cap = Annotated[Annotated[int, Field(ge=0, le=10**9)] | None, BeforeValidator(none_word)]
Amount = Annotated[Decimal, Field(ge=0, le=10**6, decimal_places=6, allow_inf_nan=False)]
Dollars = Annotated[Amount | None, BeforeValidator(none_word)]
A_CAP = "a whole number from 0 to 1000000000, or none"
AN_AMOUNT = "an amount of US dollars from 0 to 1000000 with at most six decimals, like 25.00, or none"


class SpendingSettings(BaseSettings):
    """Caps of each profile, of all profiles of one X app, and in all."""

    x_posts_per_24h: Cap = Field(default=17, description=A_CAP)
    x_posts_per_month: Cap = Field(default=None, description=A_CAP)
    x_reads_per_month: Cap = Field(default=None, description=A_CAP)
    x_app_posts_per_24h: Cap = Field(default=None, description=A_CAP)
    x_app_posts_per_month: Cap = Field(default=None, description=A_CAP)
    x_app_reads_per_month: Cap = Field(default=None, description=A_CAP)
    bot_all_posts_per_24h: Cap = Field(default=None, description=A_CAP)
    bot_all_posts_per_month: Cap = Field(default=None, description=A_CAP)
    bot_all_reads_per_month: Cap = Field(default=None, description=A_CAP)
    bot_tokens_per_day: Cap = Field(default=None, description=A_CAP)
    bot_monthly_budget_usd: Dollars = Field(default=None, description=AN_AMOUNT)
    bot_profile_monthly_budget_usd: Dollars = Field(default=None, description=AN_AMOUNT)

    @property
    def caps(self) -> Limits:
        """The caps as the limits agent weighs by them."""
        return Limits(
            posts_24h=self.x_posts_per_24h,
            posts_month=self.x_posts_per_month,
            reads_month=self.x_reads_per_month,
            tokens_day=self.bot_tokens_per_day,
            budget_usd=self.bot_monthly_budget_usd,
            profile_budget_usd=self.bot_profile_monthly_budget_usd,
            app=SharedCaps(
                posts_24h=self.x_app_posts_per_24h,
                posts_month=self.x_app_posts_per_month,
                reads_month=self.x_app_reads_per_month,
            ),
            in_all=SharedCaps(
                posts_24h=self.bot_all_posts_per_24h,
                posts_month=self.bot_all_posts_per_month,
                reads_month=self.bot_all_reads_per_month,
            ),
        )

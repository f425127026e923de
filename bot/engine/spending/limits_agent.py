"""The one who is asked before anything is spent.

It reads real rows, hands them to `core.spending.limits.decide`, and books what was spent. It holds no
figures of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from bot.core.content.text import links
from bot.core.errors import ServiceError
from bot.core.model import Call, CallId, Plan, Posted, Profile, ProfileId, Timeline, TweetId
from bot.core.spending.caps import caps_with_overrides
from bot.core.spending.closing import closed_by
from bot.core.spending.limits import CREATE_POST, Limits, Usage, Verdict, Wanted, decide
from bot.core.spending.pricing import PriceList, with_overrides
from bot.core.spending.usage import ModelUsage
from bot.core.states import CallKind, CallState
from bot.ports import Transaction

READ_TIMELINE = "GET /2/users/:id/tweets"
READ_POSTS = "GET /2/tweets"
READ_ME = "GET /2/users/me"
WRITE_DRAFT = "POST /v1/chat/completions"

# `bot_config` key: the operator attests that the account owns the developer app.
OWNS_APP = "owns_app"

Answered = Posted | Timeline | ServiceError


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitsAgent:
    """Weighs and books spending.

    Attributes:
        caps: the account's caps as the environment gives them; `bot_config` key `caps` may change
            them at run time.
        listed: the dated price list; `bot_config` key `prices` may change it at run time.
        draft_usage: what writing one draft usually takes, None without a paid model.
        new_id: makes ledger ids.
    """

    caps: Limits
    listed: PriceList
    new_id: Callable[[], UUID]
    draft_usage: ModelUsage | None = None

    def prices(self, tx: Transaction) -> PriceList:
        """The price list with the operator's own figures.

        Raises:
            SettingError: those can't be read.
        """
        owns_app = tx.config.get(OWNS_APP) is True
        return with_overrides(self.listed, tx.config.get("prices"), owns_app=owns_app)

    def post_cost(self, tx: Transaction, text: str) -> Decimal:
        """What posting the text costs; a link makes it dearer.

        Raises:
            PriceUnknown: and so it isn't posted.
        """
        return self.prices(tx).post_price(has_link=bool(links(text)))

    def limits(self, tx: Transaction, profile_id: ProfileId | None) -> Limits:
        """The caps in force for a profile, with what its plan would spend."""
        return self.limits_with(tx, tx.plans.active(profile_id) if profile_id else None)

    def limits_with(self, tx: Transaction, plan: Plan | None) -> Limits:
        """The caps in force for a profile with this plan, and what the plan would spend."""
        caps = self._caps(tx)
        if plan is None:
            return caps
        prices = self.prices(tx)
        cost = prices.post_price(has_link=plan.include_links)
        if self.draft_usage is not None:
            cost += prices.model_price(self.draft_usage)
        return replace(caps, spacing=plan.spacing, planned_per_day=plan.posts_per_day, cost_per_post=cost)

    def usage(self, tx: Transaction, profile_id: ProfileId | None, now: datetime) -> Usage:
        """What the rows say.

        Raises:
            UsageUnreadable: they say nothing, and so nothing may be spent.
        """
        return tx.ledger.usage(profile_id, now=now, shared=self._caps(tx).shared)

    def usages(
        self, tx: Transaction, profile_ids: Sequence[ProfileId], now: datetime
    ) -> Mapping[ProfileId | None, Usage]:
        """What the rows say of each of these profiles; raises as `usage` does."""
        return tx.ledger.usages(profile_ids, now=now, shared=self._caps(tx).shared)

    def judge(self, tx: Transaction, profile_id: ProfileId | None, wanted: Wanted, now: datetime) -> Verdict:
        """Decides about one call; call it after `tx.ledger.lock()` when a reservation follows."""
        return decide(self.usage(tx, profile_id, now), self.limits(tx, profile_id), now, wanted)

    def want_post(self, tx: Transaction, *texts: str, spaced: bool) -> Wanted:
        """The wish to post a text, or a thread of them."""
        cost = sum((self.post_cost(tx, text) for text in texts), Decimal(0))
        return Wanted(cost_usd=cost, spaced=spaced, units=len(texts))

    def want_read(self, tx: Transaction, endpoint: str, price: str, units: int) -> Wanted:
        """The wish to read up to so many resources."""
        return Wanted(
            kind=CallKind.READ,
            endpoint=endpoint,
            units=units,
            cost_usd=self.prices(tx).read_price(price) * units,
            spaced=False,
        )

    def want_draft(self, tx: Transaction, usage: ModelUsage) -> Wanted:
        """The wish to have a language model write a draft."""
        return Wanted(
            kind=CallKind.MODEL,
            endpoint=WRITE_DRAFT,
            units=1,
            cost_usd=self.prices(tx).model_price(usage),
            tokens=usage.tokens,
            spaced=False,
        )

    def reserve(
        self,
        tx: Transaction,
        wanted: Wanted,
        *,
        profile_id: ProfileId | None,
        now: datetime,
        tweet_id: TweetId | None = None,
    ) -> Call:
        """Books the wanted call before it is made."""
        return tx.ledger.reserve(self.call(wanted, profile_id=profile_id, now=now, tweet_id=tweet_id))

    def call(
        self,
        wanted: Wanted,
        *,
        profile_id: ProfileId | None,
        now: datetime,
        tweet_id: TweetId | None = None,
    ) -> Call:
        """The wanted call as the ledger books it."""
        return Call(
            id=CallId(self.new_id()),
            api="openai" if wanted.kind is CallKind.MODEL else "twitter",
            kind=wanted.kind,
            endpoint=wanted.endpoint,
            units=wanted.units,
            tokens=wanted.tokens,
            cost_usd=wanted.cost_usd,
            at=now,
            profile_id=profile_id,
            tweet_id=tweet_id,
        )

    def settle_read(self, tx: Transaction, call: Call, *, units: int) -> None:
        """Books what a read really took."""
        price = call.cost_usd / call.units if call.units else Decimal(0)
        tx.ledger.change(call.id, CallState.SETTLED, units=units, cost_usd=price * units)

    def settle_draft(self, tx: Transaction, call: Call, usage: ModelUsage | None) -> None:
        """Books what a draft really took; nothing when no tokens were spent."""
        if usage is None:
            tx.ledger.change(call.id, CallState.RELEASED)
            return
        cost = self.prices(tx).model_price(usage)
        tx.ledger.change(call.id, CallState.SETTLED, tokens=usage.tokens, cost_usd=cost)

    def keep_rates(
        self,
        tx: Transaction,
        profile: Profile,
        endpoint: str,
        answer: Answered,
        *,
        now: datetime,
    ) -> dict[str, int]:
        """Keeps what an answer said of limits; returns the drift by window.

        A 429, a 402 or a refusal of the keys closes its endpoint (or all) until the moment it
        named, or until a probe is due.
        """
        drift = dict(tx.rates.saw(profile.id, endpoint, answer.rates, now=now))
        block = closed_by(answer, endpoint, now) if isinstance(answer, ServiceError) else None
        if block is not None:
            where, window = block
            tx.rates.saw(profile.id, where, [window], now=now)
        return drift

    def _caps(self, tx: Transaction) -> Limits:
        return caps_with_overrides(self.caps, tx.config.get("caps"))


__all__ = ["CREATE_POST", "READ_ME", "READ_POSTS", "READ_TIMELINE", "WRITE_DRAFT", "LimitsAgent"]

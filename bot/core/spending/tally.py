"""What one transaction reserves for several profiles: each is weighed after those before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from bot.core.spending.usage import CREATE_POST, Scope, Seen, Usage, Wanted

# To the millionth, as the ledger keeps its sums.
_NOTHING = Decimal("0.000000")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Posts of other profiles that are reserved, and that no row tells of yet.

    Attributes:
        cost_usd: what they cost.
        posts: how many there are of each X app; None is an app that isn't known.
    """

    cost_usd: Decimal = _NOTHING
    posts: Mapping[str | None, int] = field(default_factory=dict)

    def plus(self, app_id: str | None, wanted: Wanted) -> Tally:
        """The tally with one more reservation."""
        posts = {**self.posts, app_id: self.posts.get(app_id, 0) + wanted.units}
        return Tally(cost_usd=self.cost_usd + wanted.cost_usd, posts=posts)

    def onto(self, usage: Usage, now: datetime) -> Usage:
        """A profile's usage as it would be read once these reservations are rows."""
        if not self.posts:
            return usage
        # What belongs to no known app counts for every app.
        of_app = sum(self.posts.get(one, 0) for one in {usage.app_id, None})
        return replace(
            usage,
            cost_month=usage.cost_month + self.cost_usd,
            app=None if usage.app is None else usage.app.with_posts(of_app, now),
            in_all=None if usage.in_all is None else usage.in_all.with_posts(sum(self.posts.values()), now),
            seen=tuple(self._beside(seen, usage.app_id) for seen in usage.seen),
        )

    def _beside(self, seen: Seen, app_id: str | None) -> Seen:
        if seen.scope is not Scope.APP or seen.endpoint != CREATE_POST:
            return seen
        return replace(seen, used_since=seen.used_since + self.posts.get(app_id, 0))

"""Rate windows, as a service's headers tell them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.moments import aware


@dataclass(frozen=True, kw_only=True, slots=True)
class RateWindow:
    """What a service's own headers said of one window of one endpoint.

    `name` is `15m`, `24h_app`, `24h_user`, `usage_cap` or `credits`; `remaining` 0 closes the
    endpoint until `resets_at`.
    """

    name: str
    limit: int | None
    remaining: int
    resets_at: datetime
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "resets_at", aware(self.resets_at))

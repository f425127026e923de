"""The rate windows and monthly caps, and the headers that tell of them."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from bot.sandbox.answers import Refusal, too_many, usage_capped

Scope = Literal["user_15min", "app_15min", "user_24hour", "app_24hour"]
Cap = Literal["posts", "reads"]

SCOPES: Final[tuple[Scope, ...]] = ("user_15min", "app_15min", "user_24hour", "app_24hour")
CAPS: Final[tuple[Cap, ...]] = ("posts", "reads")

_LENGTHS: Final[Mapping[Scope, timedelta]] = {
    "user_15min": timedelta(minutes=15),
    "app_15min": timedelta(minutes=15),
    "user_24hour": timedelta(hours=24),
    "app_24hour": timedelta(hours=24),
}
_HEADERS: Final[Mapping[Scope, str]] = {
    "user_15min": "x-rate-limit",
    "app_15min": "x-rate-limit",
    "user_24hour": "x-user-limit-24hour",
    "app_24hour": "x-app-limit-24hour",
}
_UPLOAD: Final[Mapping[Scope, int]] = {"user_15min": 500, "app_24hour": 50_000}

TABLE: Final[Mapping[str, Mapping[Scope, int]]] = {
    "POST /2/tweets": {"user_15min": 100, "user_24hour": 10_000, "app_24hour": 10_000},
    "DELETE /2/tweets/:id": {"user_15min": 50},
    "GET /2/tweets": {"user_15min": 5000, "app_15min": 3500},
    "GET /2/users/me": {"user_15min": 75},
    "GET /2/users/:id/tweets": {"user_15min": 900, "app_15min": 10_000},
    "GET /2/usage/tweets": {"app_15min": 50},
    "POST /2/media/upload": _UPLOAD,
    "POST /2/media/upload/initialize": _UPLOAD,
    "POST /2/media/upload/:id/append": _UPLOAD,
    "POST /2/media/upload/:id/finalize": _UPLOAD,
    "GET /2/media/upload": _UPLOAD,
    "POST /2/media/metadata": _UPLOAD,
}


@dataclass(kw_only=True)
class _Window:
    started_at: datetime
    used: int = 0


class Limits:
    """Fixed windows that open with their first call.

    Every authenticated call counts in its 15-minute window, refused or not.
    The 24-hour windows and the monthly caps count only what was accepted.
    """

    def __init__(self) -> None:
        self.table: dict[str, dict[Scope, int]] = copy.deepcopy(
            {name: dict(row) for name, row in TABLE.items()}
        )
        self.caps: dict[Cap, int | None] = dict.fromkeys(CAPS)
        self._windows: dict[tuple[str, Scope, str], _Window] = {}
        self._months: Counter[tuple[Cap, str]] = Counter()

    def admit(self, route: str, user: str | None, now: datetime) -> None:
        """Count one call in its 15-minute window.

        Args:
            route: The endpoint's name, a key of the table.
            user: The calling account's id; None for the app itself.
            now: The sandbox's time.

        Raises:
            Refusal: A window is used up (429); such a call is not counted.
        """
        scopes = self._scopes(route, user)
        if any(self._remaining(route, scope, user, now) <= 0 for scope in scopes):
            raise Refusal(too_many())
        self._count(route, user, now, [scope for scope in scopes if scope.endswith("15min")])

    def accept(self, route: str, user: str | None, now: datetime) -> None:
        """Count one accepted call in its 24-hour windows."""
        self._count(
            route, user, now, [scope for scope in self._scopes(route, user) if scope.endswith("24hour")]
        )

    def headers(self, route: str, user: str | None, now: datetime) -> dict[str, str]:
        """The limit, remaining and reset (epoch seconds) of every window that this caller meets here."""
        headers = {}
        for scope in self._scopes(route, user):
            window = self._window(route, scope, user, now)
            reset = (window.started_at if window else now) + _LENGTHS[scope]
            headers[f"{_HEADERS[scope]}-limit"] = str(self.table[route][scope])
            headers[f"{_HEADERS[scope]}-remaining"] = str(max(0, self._remaining(route, scope, user, now)))
            headers[f"{_HEADERS[scope]}-reset"] = str(int(reset.timestamp()))
        return headers

    def require_cap(self, cap: Cap, now: datetime) -> None:
        """Refuse when this month's allowance is used up.

        Raises:
            Refusal: The cap is reached (429, usage-capped).
        """
        allowed = self.caps[cap]
        if allowed is not None and self.used_this_month(cap, now) >= allowed:
            raise Refusal(usage_capped())

    def count_month(self, cap: Cap, now: datetime, amount: int = 1) -> None:
        """Add to this month's use."""
        self._months[cap, _month(now)] += amount

    def used_this_month(self, cap: Cap, now: datetime) -> int:
        """This UTC calendar month's use."""
        return self._months[cap, _month(now)]

    def _scopes(self, route: str, user: str | None) -> list[Scope]:
        unmet: Scope = "user_15min" if user is None else "app_15min"
        return [scope for scope in SCOPES if scope in self.table[route] and scope != unmet]

    def _count(self, route: str, user: str | None, now: datetime, scopes: list[Scope]) -> None:
        for scope in scopes:
            window = self._window(route, scope, user, now)
            if window is None:
                window = self._windows[_key(route, scope, user)] = _Window(started_at=now)
            window.used += 1

    def _remaining(self, route: str, scope: Scope, user: str | None, now: datetime) -> int:
        window = self._window(route, scope, user, now)
        return self.table[route][scope] - (window.used if window else 0)

    def _window(self, route: str, scope: Scope, user: str | None, now: datetime) -> _Window | None:
        window = self._windows.get(_key(route, scope, user))
        if window is None or not window.started_at <= now < window.started_at + _LENGTHS[scope]:
            return None
        return window


def _key(route: str, scope: Scope, user: str | None) -> tuple[str, Scope, str]:
    return route, scope, (user or "") if scope.startswith("user") else ""


def _month(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m")

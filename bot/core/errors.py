"""Errors sorted by what to do next.

Every error carries a stable `code` for rows, logs and programs, a message for a person,
and, where there is one, the `fix`: what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from inspect import getdoc
from typing import ClassVar

from bot.core.rates import RateWindow


class BotError(Exception):
    """Something the bot can name went wrong."""

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str = "", *, code: str = "", fix: str = "") -> None:
        self.code = code or self.default_code
        self.fix = fix
        super().__init__(message or (getdoc(type(self)) or "").splitlines()[0])

    @property
    def line(self) -> str:
        """The message and its mend on one line."""
        text = " ".join(str(self).split())
        return f"{text} - {self.fix}" if self.fix else text


class ServiceError(BotError):
    """A service answered, or failed to.

    `rates` are the rate windows its headers told, whatever the status. `served` counts what it
    gave, and bills, before it failed half-way.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        fix: str = "",
        rates: Sequence[RateWindow] = (),
    ) -> None:
        super().__init__(message, code=code, fix=fix)
        self.rates = tuple(rates)
        self.served = 0


class Retryable(ServiceError):
    """Nothing happened, and the same call may succeed later.

    `until` (aware) is the earliest moment the service named; None when it named none.
    `scope` says what is closed until then: `endpoint`, or `account` when all spending is.
    """

    default_code = "retryable"

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        fix: str = "",
        rates: Sequence[RateWindow] = (),
        until: datetime | None = None,
        scope: str = "endpoint",
    ) -> None:
        super().__init__(message, code=code, fix=fix, rates=rates)
        self.until = until
        self.scope = scope


class Refused(ServiceError):
    """Nothing happened, and this very content will never be accepted."""

    default_code = "refused"


class Fatal(ServiceError):
    """Nothing happened, and nothing will until an operator mends it."""

    default_code = "fatal"


class OutcomeUnknown(ServiceError):
    """The post may exist: only the account's own timeline can tell."""

    default_code = "outcome_unknown"


class SettingError(BotError):
    """A setting or an argument can't be read."""

    default_code = "setting_invalid"


class DatabaseUnavailable(BotError):
    """The database does not answer."""

    default_code = "database_unavailable"


class SchemaOutdated(BotError):
    """The database's schema is not the one this version needs."""

    default_code = "schema_outdated"


class IdTaken(BotError):
    """X gave a post the id of another one."""

    default_code = "id_taken"


class UsageUnreadable(BotError):
    """Usage can't be read, so nothing may be spent."""

    default_code = "usage_unreadable"


class RowUnreadable(BotError):
    """A row holds something that can't be read."""

    default_code = "row_unreadable"


class PriceUnknown(BotError):
    """A call whose price isn't known isn't made."""

    default_code = "price_unknown"


class SourceUnreadable(BotError):
    """A source can't be read."""

    default_code = "source_unreadable"


class WriterFailed(BotError):
    """No draft could be written."""

    default_code = "writer_failed"


class LeaseLost(BotError):
    """Another worker acts for this profile now."""

    default_code = "lease_lost"


class RowChanged(BotError):
    """A row is not what it was when its next state was decided."""

    default_code = "row_changed"


class NotPossibleNow(BotError):
    """What was asked for does not fit how the row stands."""

    default_code = "not_possible_now"


class ForbiddenTransition(BotError):
    """A state change that the state diagram does not draw."""

    default_code = "forbidden_transition"

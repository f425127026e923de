"""Failures of a language model that say what was spent on them."""

from __future__ import annotations

from datetime import datetime

from bot.core.errors import Retryable, WriterFailed
from bot.core.spending.usage import ModelUsage


class DraftRefused(WriterFailed):
    """The model gave no text that may be posted.

    `usage` is what its answers cost.
    """

    def __init__(self, message: str, *, usage: ModelUsage | None, code: str = "", fix: str = "") -> None:
        super().__init__(message, code=code, fix=fix)
        self.usage = usage


class ModelUnavailable(Retryable):
    """The model can't answer now.

    `usage` is what earlier answers of the same draft cost, and the most that an unanswered call
    may have cost; None when nothing was spent.
    """

    def __init__(
        self,
        message: str,
        *,
        usage: ModelUsage | None = None,
        code: str = "model_unavailable",
        fix: str = "",
        until: datetime | None = None,
    ) -> None:
        super().__init__(message, code=code, fix=fix, until=until)
        self.usage = usage


class CallCut(Exception):
    """A call to the model service was ended from this side.

    `sent` tells whether a connection stood, so that the service may have heard and billed it.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        self.sent = sent
        super().__init__(reason)

"""What the OpenAI SDK raises, in the bot's words: one line each, never with the key."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from bot.core.content.text import one_line
from bot.core.errors import BotError, Fatal
from bot.core.spending.usage import ModelUsage
from bot.writer.errors import CallCut, DraftRefused, ModelUnavailable

if TYPE_CHECKING:
    from openai import APIError, APIStatusError, OpenAIError

_LONGEST_REASON = 200
_NO_CREDIT = (
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
)
_ADDRESS = "check that the service is up, and OPENAI_BASE_URL"
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)
_BEFORE_SENDING = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")


def translated(
    error: OpenAIError,
    *,
    model: str,
    key: str,
    spent: ModelUsage | None = None,
    most: ModelUsage | None = None,
) -> BotError:
    """Returns the error to raise instead.

    Args:
        error: what the SDK raised.
        model: the model's name, for the message.
        key: the API key, to cut it out of what the service says.
        spent: what earlier answers of the same draft cost.
        most: what this very call may have cost at the most, if it was answered and the answer lost.
    """
    from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

    if isinstance(error, APIStatusError):
        return _status(error, model=model, key=key, spent=spent)
    if isinstance(error, APIConnectionError):
        sent = type(error.__cause__).__name__ not in _BEFORE_SENDING
        what = "did not answer in time" if isinstance(error, APITimeoutError) else "can't be reached"
        return ModelUnavailable(
            f"the model service {what}",
            usage=added(spent, most) if sent else spent,
            fix=_ADDRESS,
        )
    reason = _reason(error, key) if isinstance(error, APIError) else type(error).__name__
    return unreadable(reason, added(spent, most))


def cut_off(
    error: CallCut, *, spent: ModelUsage | None = None, most: ModelUsage | None = None
) -> ModelUnavailable:
    """Returns the error for a call that was ended from this side; its usage is `translated`'s."""
    return ModelUnavailable(
        f"the model service's call was cut off: {error}",
        usage=added(spent, most) if error.sent else spent,
        fix=_ADDRESS,
    )


def unreadable(reason: str, usage: ModelUsage | None) -> ModelUnavailable:
    """Returns the error for an answer that no OpenAI-compatible service gives."""
    return ModelUnavailable(
        f"the model service gave an answer that can't be read ({reason})",
        usage=usage,
        fix="check that the model's base URL is that of an OpenAI-compatible service",
    )


def added(one: ModelUsage | None, other: ModelUsage | None) -> ModelUsage | None:
    """Returns both usages together."""
    if one is None or other is None:
        return one or other
    return ModelUsage(
        model=one.model,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
    )


def says_unsupported(error: APIStatusError, parameter: str) -> bool:
    """Whether a 400 or 422 is about this request parameter."""
    if error.status_code not in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
        return False
    return error.param == parameter or parameter in str(error.body or error.message)


def _status(error: APIStatusError, *, model: str, key: str, spent: ModelUsage | None) -> BotError:
    status, reason = error.status_code, _reason(error, key)
    if status == HTTPStatus.PAYMENT_REQUIRED or error.code in _NO_CREDIT or error.type in _NO_CREDIT:
        return ModelUnavailable(
            f"the model service has no credit left ({reason})",
            usage=spent,
            code="model_credits",
            fix="add credit at the model service, or use the offline writer",
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Fatal(
            f"the model service refuses the key (HTTP {status})",
            code="model_keys_invalid",
            fix="check the API key and that it may use this model",
        )
    if status == HTTPStatus.NOT_FOUND or error.code == "model_not_found":
        return Fatal(
            f'the model service knows no model "{model}" (HTTP {status})',
            code="model_not_found",
            fix="check the model's name and the base URL",
        )
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ModelUnavailable(
            f"the model service is busy or down (HTTP {status}: {reason})",
            usage=spent,
            until=_until(error),
            fix="wait until it is up again, or name another service in OPENAI_BASE_URL",
        )
    return DraftRefused(
        f"the model service refused the request (HTTP {status}: {reason})",
        usage=spent,
        code="model_request_refused",
        fix="check that the model supports chat completions",
    )


def _reason(error: APIError, key: str) -> str:
    body = error.body
    said = body.get("message") if isinstance(body, dict) else None
    text = one_line(str(said or error.code or type(error).__name__))
    return (text.replace(key, "***") if key else text)[:_LONGEST_REASON]


def _until(error: APIStatusError) -> datetime | None:
    """Returns when to try again, counted from the service's own clock."""
    headers = error.response.headers
    try:
        start = parsedate_to_datetime(headers["date"])
        return start + timedelta(seconds=float(headers["retry-after"])) if start.tzinfo else None
    except (KeyError, ValueError, TypeError, OverflowError):
        return None

"""Turns every answer that is not a plain yes into the error that says what to do next.

Pure: nothing here calls anything. In `_RULES` the first rule that fits holds, so order is meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus as Http
from typing import NamedTuple

from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import ConnectTimeoutError

from bot.core.codes import ErrorCode
from bot.core.errors import Fatal, OutcomeUnknown, Refused, Retryable, ServiceError
from bot.x.headers import day_reset, reopens
from bot.x.problems import Answer, Problem, read_problem

_FIX_KEYS = (
    "check X_API_KEY, X_API_SECRET, X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET, that the app's permission is "
    "Read and write (make new access tokens after changing it), and that this machine's clock is right"
)
_FIX_APP = (
    "in the X developer portal, put the app into a project with API access and give it the permission "
    "Read and write, then make new access tokens"
)
_FIX_ACCOUNT = "log in to the account on x.com and settle what X asks there"
_FIX_ADDRESS = "check X_API_BASE_URL"
_FIX_OTHERS = "check X_API_BASE_URL and any proxy on the way: this is no answer of X's own"
_FIX_CREDITS = "buy credits in the X developer portal"
_FIX_NETWORK = "check this machine's network, its proxy settings and X_API_BASE_URL; X got nothing"
_FIX_PROXY = "give the proxy the name and password it wants"

# Error numbers of API v1.1, which v2 still sends now and then.
_SUSPENDED_CODES = frozenset({63, 64, 326})
_KEY_CODES = frozenset({32, 89, 135, 215})
_APP_CODES = frozenset({261, 453})
_REPLY_CODES = frozenset({385, 433})
_DUPLICATE_CODE = 187
_DAY_CAP_CODE = 185
_RATE_CODE = 88
_TOO_LONG_CODE = 186

_APP_TYPES = frozenset({"client-forbidden", "client-not-enrolled", "oauth1-permissions"})
_UNDECIDED = frozenset({Http.REQUEST_TIMEOUT, Http.CONFLICT, Http.TOO_EARLY})

_UNNAMED_RATE_WAIT = timedelta(minutes=15)
_UNNAMED_CAP_WAIT = timedelta(minutes=30)
_DAYS_PAST_ANY_MONTH = timedelta(days=32)


def refusal(method: str, answer: Answer, *, now: datetime) -> ServiceError:
    """The error that an answer outside 200-299 stands for.

    Args:
        method: `POST`, `GET` or `DELETE`.
        answer: what X, or something on the way to it, answered.
        now: used only for waits that the answer does not name (aware).

    Returns:
        One of `Retryable`, `Refused`, `Fatal`, `OutcomeUnknown`, to be raised from its cause.
    """
    problem = read_problem(method, answer, now=now)
    return next(rule.then(problem) for rule in _RULES if rule.when(problem))


def unreadable(method: str, answer: Answer) -> ServiceError:
    """The error that an answer within 200-299 with a body that can't be understood stands for."""
    message = f"X answered {answer.status} to a {method} with a body that can't be read"
    if method == "POST":
        return OutcomeUnknown(message, code=ErrorCode.UNREADABLE_ANSWER, rates=answer.rates)
    return Retryable(message, code=ErrorCode.UNREADABLE_ANSWER, rates=answer.rates)


def silence(method: str, error: BaseException) -> ServiceError:
    """The error that a call without an answer stands for.

    Only a failure to connect proves that X got nothing: urllib3 names it, and `bot.x.connection` sees
    to it that a failed TLS handshake or proxy tunnel is named so too.

    Args:
        method: `POST`, `GET` or `DELETE`.
        error: what requests or urllib3 raised.
    """
    chain = _chain(error)
    said = f"{type(error).__name__}: {chain[-1]}"
    if any(isinstance(link, InvalidSchema | InvalidURL | MissingSchema) for link in chain):
        return Fatal(f"X's address can't be called: {said}", code=ErrorCode.WRONG_ADDRESS, fix=_FIX_ADDRESS)
    if any(isinstance(link, ConnectTimeoutError) for link in chain):
        return Retryable(f"X can't be reached: {said}", code="x_unreachable", fix=_FIX_NETWORK)
    if method != "POST":
        return Retryable(f"X gave no answer: {said}", code=ErrorCode.NO_ANSWER)
    return OutcomeUnknown(f"X may have the post but gave no answer: {said}", code=ErrorCode.NO_ANSWER)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it wraps: requests and urllib3 nest in causes, reasons and arguments.

    `__context__` is left out: it tells what happened before, not why.
    """
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and link not in seen:
            seen.append(link)
            waiting += [link.__cause__, getattr(link, "reason", None), *link.args]
    return seen


_Then = Callable[[Problem], ServiceError]


def _said(problem: Problem) -> str:
    return f"X answered {problem.status} to a {problem.method}: {problem.detail or 'no explanation'}"


def _refused(code: str) -> _Then:
    return lambda problem: Refused(_said(problem), code=code, rates=problem.rates)


def _not_found(problem: Problem) -> ServiceError:
    fix = "" if problem.own else _FIX_OTHERS
    return Refused(_said(problem), code="not_found", fix=fix, rates=problem.rates)


def _fatal(code: str, fix: str) -> _Then:
    return lambda problem: Fatal(_said(problem), code=code, fix=fix, rates=problem.rates)


def _unknown(code: str, *, fix: str = "") -> _Then:
    return lambda problem: OutcomeUnknown(_said(problem), code=code, fix=fix, rates=problem.rates)


def _retryable(code: str, *, fix: str = "", scope: str = "endpoint") -> _Then:
    return lambda problem: Retryable(_said(problem), code=code, fix=fix, rates=problem.rates, scope=scope)


def _rate_limited(problem: Problem) -> ServiceError:
    until = reopens(problem.headers, now=problem.now) or problem.now + _UNNAMED_RATE_WAIT
    return Retryable(_said(problem), code=ErrorCode.RATE_LIMITED, rates=problem.rates, until=until)


def _usage_capped(problem: Problem) -> ServiceError:
    until = _cap_ends(problem)
    return Retryable(_said(problem), code=ErrorCode.USAGE_CAPPED, rates=problem.rates, until=until)


def _cap_ends(problem: Problem) -> datetime:
    midnight = problem.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if problem.period == "monthly":
        # No header tells of a month.
        return (midnight.replace(day=1) + _DAYS_PAST_ANY_MONTH).replace(day=1)
    unnamed = midnight + timedelta(days=1) if problem.period == "daily" else problem.now + _UNNAMED_CAP_WAIT
    return day_reset(problem.headers) or unnamed


class _Rule(NamedTuple):
    when: Callable[[Problem], bool]
    then: _Then


_RULES = (
    # Not X's verdict: something between, or X in trouble. A post may exist by then.
    _Rule(lambda p: p.posts and p.failed, _unknown("server_error")),
    _Rule(
        lambda p: p.posts and p.judged and (_DUPLICATE_CODE in p.codes or p.says("duplicate content")),
        _unknown(ErrorCode.DUPLICATE),
    ),
    _Rule(lambda p: p.posts and p.status == Http.REQUEST_TIMEOUT, _unknown(ErrorCode.NO_ANSWER)),
    _Rule(lambda p: p.posts and p.status == Http.CONFLICT, _unknown("conflict")),
    _Rule(
        lambda p: p.posts and p.status == Http.PROXY_AUTHENTICATION_REQUIRED,
        _unknown("not_from_x", fix=_FIX_PROXY),
    ),
    _Rule(lambda p: p.posts and not p.definite, _unknown("not_from_x", fix=_FIX_OTHERS)),
    # From here on a post does not exist, and anything else may be asked again.
    _Rule(lambda p: p.redirects, _fatal(ErrorCode.WRONG_ADDRESS, _FIX_ADDRESS)),
    _Rule(lambda p: not p.judged, _retryable("x_trouble")),
    _Rule(
        lambda p: p.status == Http.PROXY_AUTHENTICATION_REQUIRED, _retryable("x_unreachable", fix=_FIX_PROXY)
    ),
    # Money and counts: nothing is wrong with the post.
    _Rule(
        lambda p: p.status == Http.PAYMENT_REQUIRED or "credits" in p.types or p.says("creditsdepleted"),
        _retryable(ErrorCode.CREDITS_DEPLETED, fix=_FIX_CREDITS, scope="account"),
    ),
    _Rule(lambda p: "usage-capped" in p.types or _DAY_CAP_CODE in p.codes, _usage_capped),
    _Rule(lambda p: p.status == Http.TOO_MANY_REQUESTS or _RATE_CODE in p.codes, _rate_limited),
    _Rule(lambda p: p.status in _UNDECIDED, _retryable("x_trouble")),
    # Only a person can mend it. A blocked account is not a locked one: the words stand alone.
    _Rule(
        lambda p: (
            bool(p.codes & _SUSPENDED_CODES)
            or (p.status == Http.FORBIDDEN and p.says(r"\b(suspended|locked)\b"))
        ),
        _fatal("account_suspended", _FIX_ACCOUNT),
    ),
    _Rule(lambda p: bool(p.types & _APP_TYPES or p.codes & _APP_CODES), _fatal("app_forbidden", _FIX_APP)),
    _Rule(
        lambda p: p.status == Http.UNAUTHORIZED or bool(p.codes & _KEY_CODES),
        _fatal("keys_invalid", _FIX_KEYS),
    ),
    # X's verdict on this very post.
    _Rule(
        lambda p: (
            p.posts
            and (bool(p.codes & _REPLY_CODES) or (p.status == Http.FORBIDDEN and p.says(r"\breply\b")))
        ),
        _refused("reply_not_allowed"),
    ),
    _Rule(
        lambda p: p.posts and (_TOO_LONG_CODE in p.codes or p.says("too long|a bit shorter|character limit")),
        _refused("too_long"),
    ),
    _Rule(lambda p: p.status == Http.FORBIDDEN, _refused("policy")),
    _Rule(lambda p: p.status == Http.METHOD_NOT_ALLOWED, _fatal(ErrorCode.WRONG_ADDRESS, _FIX_ADDRESS)),
    _Rule(lambda p: p.status == Http.NOT_FOUND, _not_found),
    _Rule(lambda _: True, _refused("invalid_request")),
)

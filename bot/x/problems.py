"""Reads an error answer of X, whichever of its shapes the body has.

Shapes seen: a problem document (`type`, `title`, `detail`), `{"errors": [{"code", "message"}]}`,
a bare list of such errors, HTML, nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus as Http
from typing import Any

from bot.core.rates import RateWindow
from bot.x.headers import rate_windows

_LONGEST_DETAIL = 300
# X answers a post that it refuses with one of these.
_REFUSING = frozenset(
    {Http.BAD_REQUEST, Http.UNAUTHORIZED, Http.PAYMENT_REQUIRED, Http.FORBIDDEN, Http.TOO_MANY_REQUESTS}
)
# X serves its problem types under two names, and each with and without `api.`.
_OWN_TYPE = re.compile(r"https?://(api\.)?(x|twitter)\.com/2/problems/[a-z0-9-]+/?")
_BLANK = "about:blank"
_BLANK_FIELDS = frozenset({"type", "title", "status", "detail"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer as it came: the status, headers under lower-case names, the body's bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def rates(self) -> tuple[RateWindow, ...]:
        """The rate windows that the headers tell."""
        return rate_windows(self.headers)

    def json(self) -> Any:
        """The body as JSON; None for a body that is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # a body of brackets alone recurses too deep
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """An error answer, read.

    `codes` are v1 error numbers, `types` the endings of problem types (X serves the same types
    under two hosts), `words` all its prose in lower case, `detail` the prose for a person. `own` is
    whether the body has a form in which X itself refuses.
    """

    method: str
    status: int
    headers: Mapping[str, str]
    codes: frozenset[int]
    types: frozenset[str]
    words: str
    detail: str
    period: str
    own: bool
    now: datetime

    @property
    def definite(self) -> bool:
        """Whether it proves that nothing was posted: X's own words, with a status that X refuses with.

        Anything on the way to X answers with statuses too, also after X has made the post.
        """
        return self.own and self.status in _REFUSING

    @property
    def posts(self) -> bool:
        """Whether the call would have made a post."""
        return self.method == "POST"

    @property
    def judged(self) -> bool:
        """Whether the status says that the call is at fault (400-499)."""
        return Http.BAD_REQUEST <= self.status < Http.INTERNAL_SERVER_ERROR

    @property
    def failed(self) -> bool:
        """Whether the status says that the server is at fault (500 and above)."""
        return self.status >= Http.INTERNAL_SERVER_ERROR

    @property
    def redirects(self) -> bool:
        """Whether the status sends the caller elsewhere (300-399)."""
        return Http.MULTIPLE_CHOICES <= self.status < Http.BAD_REQUEST

    @property
    def rates(self) -> tuple[RateWindow, ...]:
        """The rate windows that the headers tell."""
        return rate_windows(self.headers)

    def says(self, pattern: str) -> bool:
        """Whether the prose matches, in lower case."""
        return re.search(pattern, self.words) is not None


def read_problem(method: str, answer: Answer, *, now: datetime) -> Problem:
    """Reads an error answer; an unreadable body is a problem without words.

    Args:
        method: `POST` makes a post; `GET` and `DELETE` may be repeated freely.
        answer: any answer.
        now: for the waits that X does not name (aware).
    """
    document = answer.json()
    parts = list(_parts(document))
    told = _prose(parts, "detail", "message")
    named = _prose(parts, "title", "reason")
    types = [part.get("type") for part in parts]
    codes = [part.get("code") for part in parts]
    periods = [part["period"] for part in parts if isinstance(part.get("period"), str)]
    return Problem(
        method=method,
        status=answer.status,
        headers=answer.headers,
        codes=frozenset(code for code in codes if isinstance(code, int)),
        types=frozenset(text.rstrip("/").rpartition("/")[2] for text in types if isinstance(text, str)),
        words=" | ".join(told + named).lower(),
        detail="; ".join(told or named)[:_LONGEST_DETAIL],
        period=periods[0].lower() if periods else "",
        own=_is_own(document, answer.status),
        now=now,
    )


def _is_own(document: Any, status: int) -> bool:
    """Whether X itself answers so: a problem of a type of its own, a short one, or v1 error numbers.

    Other servers send problem documents too, with types or fields that X does not have.
    """
    if not isinstance(document, dict):
        return False
    kind = document.get("type", _BLANK)
    if isinstance(document.get("title"), str) and isinstance(kind, str):
        short = kind == _BLANK and document.get("status") == status and document.keys() <= _BLANK_FIELDS
        return short or _OWN_TYPE.fullmatch(kind) is not None
    errors = document.get("errors")
    return document.keys() == {"errors"} and isinstance(errors, list) and _are_numbered(errors)


def _are_numbered(errors: list[Any]) -> bool:
    """Whether these are errors of API v1.1: each with a number and its words."""
    return bool(errors) and all(
        isinstance(error, dict) and type(error.get("code")) is int and isinstance(error.get("message"), str)
        for error in errors
    )


def _prose(parts: list[dict[str, Any]], *keys: str) -> list[str]:
    texts = [part[key] for part in parts for key in keys if isinstance(part.get(key), str)]
    return [text for text in dict.fromkeys(map(_readable, texts)) if text]


def _readable(text: str) -> str:
    """The text in one line. What can't be shown, a terminal might obey and no row can hold."""
    line = " ".join(text.split())
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in line)


def _parts(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield document
        document = document.get("errors")
    if isinstance(document, list):
        for error in document:
            if isinstance(error, dict):
                yield error
            elif isinstance(error, str):
                yield {"message": error}

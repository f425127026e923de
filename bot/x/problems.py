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

from bot.core.model import RateWindow
from bot.x.headers import rate_windows

_LONGEST_DETAIL = 300


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
    under two hosts), `words` all its prose in lower case, `detail` the prose for a person.
    """

    method: str
    status: int
    headers: Mapping[str, str]
    codes: frozenset[int]
    types: frozenset[str]
    words: str
    detail: str
    period: str
    now: datetime

    @property
    def posts(self) -> bool:
        """Whether the call would have made a post."""
        return self.method == "POST"

    @property
    def judged(self) -> bool:
        """Whether the status is a definite no (400-499), which X does not take back."""
        return Http.BAD_REQUEST <= self.status < Http.INTERNAL_SERVER_ERROR

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
    parts = list(_parts(answer.json()))
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
        now=now,
    )


def _prose(parts: list[dict[str, Any]], *keys: str) -> list[str]:
    texts = [part[key] for part in parts for key in keys if isinstance(part.get(key), str)]
    return [text for text in dict.fromkeys(" ".join(text.split()) for text in texts) if text]


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

"""The requests session that tweepy is given, because its own has a fixed host and no timeout."""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus as Http
from typing import Any

import requests

from bot.x.connection import Lines
from bot.x.headers import lowered
from bot.x.problems import Answer

_TWEEPY_HOST = "https://api.twitter.com"
# A page of a hundred posts with all their fields stays far below it.
MOST_BYTES = 8 * 1024 * 1024
_PIECE = 65_536


class ErrorAnswer(Exception):
    """X, or something on the way to it, answered outside 200-299.

    Raised before tweepy sees the answer: tweepy's own exceptions fail to construct on a body that
    is a JSON list, and on a reset header that is no number.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(f"status {answer.status}")


class XSession(requests.Session):
    """A session that calls `base_url`, once, within a time, and follows nobody.

    A followed 307 would post again. Cookies are neither kept nor sent. Proxies and certificates
    come from the environment, as is usual for requests.

    Args:
        base_url: where the API is, without `/2`.
        timeouts: seconds to wait for a connection, and for the next byte.
        lines: what the calls go over.
    """

    def __init__(self, *, base_url: str, timeouts: tuple[float, float], lines: Lines) -> None:
        super().__init__()
        self._base_url = base_url.rstrip("/")
        self._timeouts = timeouts
        self._lines = lines

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Requests' own, at the configured address: swapped here so that the signature covers it."""
        path = str(url).removeprefix(_TWEEPY_HOST)
        return super().request(method, self._base_url + path, *args, **kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Sends once and reads the whole answer.

        Raises:
            ErrorAnswer: the status is outside 200-299.
            requests.Timeout: the overall time was over.
            requests.RequestException: no answer, for any other reason, or one of no end.
        """
        response = self._send(request, **kwargs)
        if not Http.OK <= response.status_code < Http.MULTIPLE_CHOICES:
            raise ErrorAnswer(as_answer(response))
        return response

    def _send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        known = {name: kwargs[name] for name in ("verify", "cert", "proxies") if name in kwargs}
        with self._lines.call() as deadline:
            try:
                sent = self._lines.send(request, stream=True, timeout=self._timeouts, **known)
                with closing(sent) as response:
                    _read(response)
            except requests.RequestException as error:
                # It carries the request, and that the Authorization header.
                error.request = None
                if deadline.passed:
                    raise requests.Timeout("the call took too long altogether") from error
                raise
        if deadline.passed:
            raise requests.Timeout("the call took too long altogether")
        return response


def _read(response: requests.Response) -> None:
    """Reads the body, unpacked, within the deadline and within bounds.

    Raises:
        requests.RequestException: it is longer than any of X's.
    """
    body = bytearray()
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > MOST_BYTES:
            raise requests.RequestException(f"the answer is longer than {MOST_BYTES} bytes")
    response._content = bytes(body)  # noqa: SLF001 - requests has no reading within bounds


def as_answer(response: requests.Response) -> Answer:
    """The response as a value."""
    return Answer(status=response.status_code, headers=lowered(response.headers), body=response.content)

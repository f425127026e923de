"""Bytes of a location, from the network or the disk, with a clear reason when there are none."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bot import __version__

if TYPE_CHECKING:
    from requests import Response

BODY_BYTES = 2_000_000
CACHE_SECONDS = 600
USER_AGENT = f"autonomous-x-bot/{__version__}"
_MAX_REDIRECTS = 5
_SECRET_NAME = re.compile(r"token|key|secret|password|passwd|signature|^sig$|auth", re.IGNORECASE)
_ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/*;q=0.9, */*;q=0.1"


class Cache(Protocol):
    """A place for fetched bodies that may forget them at any time."""

    def get(self, key: str) -> bytes | None:
        """Returns what was put under the key, or None."""
        ...

    def put(self, key: str, value: bytes, *, seconds: int) -> None:
        """Keeps the value for so many seconds."""
        ...


class Unreadable(Exception):
    """A location gave nothing: what happened, and what would be right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """What a location gave: at most 2 MB, its declared type, and the address it came from."""

    content: bytes
    content_type: str = ""
    url: str | None = None


def is_url(location: str) -> bool:
    """Whether the location is read over HTTP."""
    return location.lower().startswith(("http://", "https://"))


def shown(location: str) -> str:
    """Returns the location without the secrets that a URL may carry."""
    if "://" not in location:
        return location
    try:
        parts = urlsplit(location)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return re.sub(r"//[^/@]*@", "//***@", location)
    authority = parts.netloc.rpartition("@")
    host = f"***@{authority[2]}" if authority[1] else parts.netloc
    if any(_SECRET_NAME.search(name) for name, _ in query):
        masked = [(name, "***" if _SECRET_NAME.search(name) else value) for name, value in query]
        return urlunsplit((parts.scheme, host, parts.path, urlencode(masked, safe="*"), parts.fragment))
    return urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))


def public(url: str | None) -> str | None:
    """Returns the URL if it can be shown to anybody, else None."""
    return url if url and is_url(url) and shown(url) == url else None


def read_file(path: Path) -> Body:
    """Reads the file's first 2 MB.

    Raises:
        Unreadable: there is no such file, or it may not be read.
    """
    try:
        with path.open("rb") as file:
            return Body(content=file.read(BODY_BYTES))
    except FileNotFoundError as error:
        raise Unreadable(
            "there is no such file; give the path of an existing file or folder, or a URL"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise Unreadable(
            f"the file can't be opened ({reason}); give a file that the bot's user may read"
        ) from error


def fetch(
    url: str,
    *,
    timeout: float,
    cache: Cache | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Body:
    """Fetches the URL's first 2 MB, from the cache if it was there in the last ten minutes.

    Args:
        url: an http or https address.
        timeout: seconds for connecting and for each wait; the whole body gets three times as long.
        cache: where bodies are kept, if anywhere.
        monotonic: a stopwatch in seconds.

    Raises:
        Unreadable: no answer, or none with a body.
    """
    key = f"source:{hashlib.sha256(url.encode()).hexdigest()}"
    kept = _unpack(cache.get(key)) if cache else None
    if kept:
        return kept
    body = _download(url, timeout=timeout, monotonic=monotonic)
    if cache:
        cache.put(key, _pack(body), seconds=CACHE_SECONDS)
    return body


def _download(url: str, *, timeout: float, monotonic: Callable[[], float]) -> Body:
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    try:
        with requests.Session() as session:
            session.max_redirects = _MAX_REDIRECTS
            session.headers.update({"User-Agent": USER_AGENT, "Accept": _ACCEPT})
            with closing(session.get(url, timeout=timeout, stream=True)) as response:
                _check_status(response)
                content = _content(response, deadline=monotonic() + 3 * timeout, monotonic=monotonic)
                kind = response.headers.get("Content-Type", "")
                return Body(content=content, content_type=kind, url=response.url)
    except requests.TooManyRedirects as error:
        raise Unreadable(f"more than {_MAX_REDIRECTS} redirects; give the final address") from error
    except (requests.Timeout, ReadTimeoutError, TimeoutError) as error:
        raise Unreadable(f"no answer within {timeout:g} s; check the address or try later") from error
    except requests.exceptions.SSLError as error:
        raise Unreadable("its certificate is not trusted; check the address") from error
    except requests.ConnectionError as error:
        raise Unreadable("the connection failed; check the host name and that the server is up") from error
    except (requests.RequestException, HTTPError, UnicodeError, ValueError) as error:
        # The library's own words may hold the URL with its password.
        kind = type(error).__name__
        raise Unreadable(f"the address can't be fetched ({kind}); give a full http(s) URL") from error


def _check_status(response: Response) -> None:
    if response.ok:
        return
    status = response.status_code
    known = {entry.value: entry.phrase for entry in HTTPStatus}
    mend = {
        401: "give an address that needs no login",
        403: "the server refuses the bot; give another address",
        404: "check the address",
        410: "the page is gone for good; remove it",
        429: "the server wants fewer visits; it will be tried again",
    }.get(
        status,
        "it will be tried again" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "check the address",
    )
    raise Unreadable(f"HTTP {status} {known.get(status, '')}".rstrip() + f"; {mend}")


def _content(response: Response, *, deadline: float, monotonic: Callable[[], float]) -> bytes:
    """Reads what arrives, so that a server that drips bytes can't hold the bot past the deadline."""
    content = bytearray()
    while len(content) < BODY_BYTES:
        chunk = response.raw.read1(65_536, decode_content=True)
        if not chunk:
            break
        content += chunk
        if monotonic() > deadline:
            raise TimeoutError
    return bytes(content[:BODY_BYTES])


def _pack(body: Body) -> bytes:
    head = json.dumps({"content_type": body.content_type, "url": body.url})
    return head.encode() + b"\n" + body.content


def _unpack(value: bytes | None) -> Body | None:
    """Returns the kept body; a value that isn't one counts as forgotten."""
    if not value:
        return None
    head, _, content = value.partition(b"\n")
    try:
        fields = json.loads(head)
        return Body(content=content, content_type=str(fields["content_type"]), url=str(fields["url"]))
    except (ValueError, KeyError, TypeError):
        return None

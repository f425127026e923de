"""Bytes of a location, from the network or the disk, with a clear reason when there are none."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from contextlib import closing
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from bot import __version__
from bot.sources.addresses import resolve
from bot.sources.entry import Unreadable

if TYPE_CHECKING:
    from requests import Response

    from bot.sources.addresses import AddressInfo
    from bot.sources.connection import Deadline

BODY_BYTES = 2_000_000
CACHE_SECONDS = 600
USER_AGENT = f"autonomous-x-bot/{__version__}"
_MAX_REDIRECTS = 5
_SECRET_NAME = re.compile(r"token|key|secret|password|passwd|signature|^sig$|auth", re.IGNORECASE)
_ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/*;q=0.9, */*;q=0.1"
_HEADERS = {"User-Agent": USER_AGENT, "Accept": _ACCEPT, "Accept-Encoding": "gzip, deflate"}
_PORTS = {"http": 80, "https": 443}
_NO_CONNECTION = "the connection failed; check the host name and that the server is up"


class Cache(Protocol):
    """A place for fetched bodies that may forget them at any time."""

    def get(self, key: str) -> bytes | None:
        """Returns what was put under the key, or None."""
        ...

    def put(self, key: str, value: bytes, *, seconds: int) -> None:
        """Keeps the value for so many seconds."""
        ...


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
        # A pipe without a writer would hold an ordinary opening for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("it is not a regular file; give a text file, a folder or a URL")
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


def fetch(url: str, *, timeout: float, private: bool, cache: Cache | None = None) -> Body:
    """Fetches the URL's first 2 MB, from the cache if it was there in the last ten minutes.

    Args:
        url: an http or https address.
        timeout: seconds for everything: the name, all redirects, and the body.
        private: whether it may lie, or redirect, outside the public internet.
        cache: where bodies are kept, if anywhere.

    Raises:
        Unreadable: no answer, or none with a body.
    """
    key = f"source:{hashlib.sha256(f'{private} {url}'.encode(errors='replace')).hexdigest()}"
    kept = _unpack(cache.get(key)) if cache else None
    if kept:
        return kept
    body = _download(url, timeout=timeout, private=private)
    if cache:
        cache.put(key, _pack(body), seconds=CACHE_SECONDS)
    return body


def _download(url: str, *, timeout: float, private: bool) -> Body:
    import requests
    from urllib3.exceptions import HTTPError

    from bot.sources.connection import Deadline

    with Deadline(timeout) as deadline:
        try:
            return _follow(url, deadline=deadline, private=private)
        except Unreadable:
            raise
        except Exception as error:
            if deadline.passed or isinstance(error, requests.Timeout | TimeoutError):
                late = f"no answer within {timeout:g} s; check the address or try later"
                raise Unreadable(late) from error
            if isinstance(error, requests.exceptions.SSLError):
                raise Unreadable("its certificate is not trusted; check the address") from error
            if isinstance(error, requests.ConnectionError | OSError) and not isinstance(error, ValueError):
                raise Unreadable(_NO_CONNECTION) from error
            if isinstance(error, requests.RequestException | HTTPError | ValueError):
                # The library's own words may hold the URL with its password.
                kind = type(error).__name__
                raise Unreadable(f"the address can't be fetched ({kind}); give a full http(s) URL") from error
            raise


def _follow(url: str, *, deadline: Deadline, private: bool) -> Body:
    """Fetches the address and those it redirects to; only its own server is given its user and password."""
    from requests.utils import get_auth_from_url

    credentials = get_auth_from_url(url)
    here = url
    for _ in range(_MAX_REDIRECTS + 1):
        own = any(credentials) and _origin(here) == _origin(url)
        answer = _get(_bare(here), deadline, private=private, credentials=credentials if own else None)
        if isinstance(answer, Body):
            # An address with a password in it stays one that nobody else is shown.
            return replace(answer, url=here)
        here = _bare(urljoin(here, answer))
        if not is_url(here):
            scheme = urlsplit(here).scheme
            raise Unreadable(f"it redirects to an address of {scheme}:, which is not followed; give another")
    raise Unreadable(f"more than {_MAX_REDIRECTS} redirects; give the final address")


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.hostname, parts.port or _PORTS.get(parts.scheme.lower(), 0)


def _bare(url: str) -> str:
    """Returns the URL without user and password, and without what only a browser would use."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def _get(url: str, deadline: Deadline, *, private: bool, credentials: tuple[str, str] | None) -> Body | str:
    """Returns the body at an address, or where it redirects to; a redirect's own body is not read."""
    import requests
    from requests.auth import HTTPBasicAuth
    from requests.utils import select_proxy

    from bot.sources.connection import PinnedAdapter

    with requests.Session() as session:
        # Proxies and certificates of the environment hold; passwords kept in .netrc and cookies don't.
        surroundings: Any = session.merge_environment_settings(url, {}, True, None, None)
    request = requests.Request(
        "GET", url, headers=_HEADERS, auth=HTTPBasicAuth(*credentials) if credentials else None
    ).prepare()
    target = str(request.url)
    proxied = select_proxy(target, surroundings["proxies"])
    addresses = _addresses(target, private=private, proxied=bool(proxied))
    with (
        closing(PinnedAdapter(deadline, None if proxied else addresses)) as adapter,
        closing(adapter.send(request, timeout=deadline.remaining(), **surroundings)) as response,
    ):
        if response.is_redirect:
            return response.headers["location"].encode("latin-1").decode(errors="replace")
        _check_status(response)
        return Body(
            content=_content(response, deadline), content_type=response.headers.get("Content-Type", "")
        )


def _addresses(url: str, *, private: bool, proxied: bool) -> list[AddressInfo]:
    """Returns where the URL's host lies.

    A proxy resolves names itself, so it alone can refuse what leads inside only from where it
    stands; names that this machine can't resolve are left to it.
    """
    _, host, port = _origin(url)
    try:
        return resolve(host or "", port, private=private)
    except (OSError, UnicodeError) as error:
        if proxied:
            return []
        raise Unreadable(_NO_CONNECTION) from error


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


def _content(response: Response, deadline: Deadline) -> bytes:
    """Reads what arrives until the deadline; a compressed body is unpacked no further than it is read."""
    content = bytearray()
    while len(content) < BODY_BYTES:
        deadline.remaining()
        chunk = response.raw.read1(65_536, decode_content=True)
        if not chunk:
            break
        content += chunk
    deadline.remaining()  # a connection that was cut ends like one that is complete
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

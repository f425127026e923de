"""The lines to X: kept open for a moment between calls, and cut when a call takes too long."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus as Http
from http.client import HTTPException
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from bot.x.deadlines import Deadline, Deadlines

# Servers close an idle line after five seconds or more. One that is closed while a post is on its
# way there makes the post's outcome unknown, so no line is used that may be about to be.
KEPT_SECONDS = 4.0
# After a kept line broke under a call: somebody on the way hangs up without saying so.
_DISTRUST_SECONDS = 3600.0


class NothingSent(NewConnectionError):
    """A kept line was gone before the first byte of a call went out: the call may be made anew."""


class _Calls(threading.local):
    """What the thread's current call and the line that serves it tell each other."""

    deadline: Deadline
    # Whether the call does without kept lines.
    afresh: bool
    # Whether the line is a kept one.
    kept: bool


class _Line:
    """Mixed into urllib3's connections: obeys the call's deadline, and names every failure to connect.

    urllib3 gives a failed handshake the same name as a TLS failure after the post was sent, and a
    handshake that timed out the name of a read timeout. Here all that fails before the line stands,
    or before a kept one has taken a byte, is a `NewConnectionError`, so that nothing else needs to
    be taken for "X got nothing".
    """

    sock: Any

    def __init__(self, *args: Any, calls: _Calls, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls = calls
        self._answered_at: float | None = None
        self._untouched = False

    @property
    def is_connected(self) -> bool:
        """Whether urllib3 may use the line again; it opens it anew otherwise."""
        if self._calls.afresh or self._answered_at is None:
            return False
        if monotonic() - self._answered_at >= KEPT_SECONDS or self._has_unread():
            return False
        return super().is_connected  # type: ignore[misc,no-any-return]  # of the class it is mixed into

    def _has_unread(self) -> bool:
        """Whether TLS holds bytes of an answer that nobody asked for, which the socket doesn't show."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def _new_conn(self) -> socket.socket:
        line: socket.socket = super()._new_conn()  # type: ignore[misc]  # of the class it is mixed into
        try:
            self._calls.deadline.watch(line)
        except OSError:
            line.close()
            raise
        return line

    def connect(self) -> None:
        self._answered_at = None
        try:
            super().connect()  # type: ignore[misc]  # of the class it is mixed into
        except ConnectTimeoutError:
            raise
        except (OSError, HTTPException, HTTPError) as error:
            raise NewConnectionError(self, f"{type(error).__name__}: {error}") from error  # type: ignore[arg-type]

    def request(self, *args: Any, **kwargs: Any) -> None:
        # A line that has answered before is open already, and watched by nobody.
        self._untouched = self._calls.kept = self.sock is not None and self._answered_at is not None
        if self._untouched:
            try:
                self._calls.deadline.watch(self.sock)
            except OSError as error:
                raise NothingSent(self, str(error)) from error  # type: ignore[arg-type]
        super().request(*args, **kwargs)  # type: ignore[misc]  # of the class it is mixed into

    def send(self, data: Any) -> None:
        if self._untouched:
            self._untouched = False
            try:
                data = data[self.sock.send(data) :]
            except OSError as error:
                raise NothingSent(self, f"X had closed the line: {error}") from error  # type: ignore[arg-type]
            if not data:
                return
        super().send(data)  # type: ignore[misc]  # of the class it is mixed into

    def getresponse(self) -> Any:
        response = super().getresponse()  # type: ignore[misc]  # of the class it is mixed into
        # After an interim answer the true one is still to come, and the line's next call would take it.
        self._answered_at = None if response.status < Http.OK else monotonic()
        return response


class _PlainLine(_Line, HTTPConnection):
    pass


class _TlsLine(_Line, HTTPSConnection):
    pass


# A SOCKS proxy brings its own connection class, which stays as it is: without the overall
# deadline, and with its failures to shake hands taken for unknown.
_LINES: Mapping[Any, type[_Line]] = {HTTPConnection: _PlainLine, HTTPSConnection: _TlsLine}


class Lines(HTTPAdapter):
    """requests' adapter for X, which all accounts' clients may share: no retries, lines kept a moment.

    Every use is within a `call`.

    Args:
        seconds: after which a call is cut, whatever it is waiting for.
        kept: how many lines are kept at most; more calls at once are made, on lines of their own.
    """

    def __init__(self, seconds: float, *, kept: int = 32) -> None:
        super().__init__(max_retries=0, pool_maxsize=kept)
        self._calls = _Calls()
        self._deadlines = Deadlines(seconds, linger=KEPT_SECONDS, quiet=self._close_kept)
        self._afresh_until = monotonic()

    @contextmanager
    def call(self) -> Iterator[Deadline]:
        """One call in this thread, whose time begins now."""
        with self._deadlines.call() as deadline:
            self._calls.deadline = deadline
            yield deadline

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Requests' own; on a new line where a kept one turns out to be gone and has taken nothing."""
        self._calls.kept = False
        self._calls.afresh = monotonic() < self._afresh_until
        try:
            return super().send(request, *args, **kwargs)
        except requests.ConnectionError as error:
            if self._calls.kept:
                self._afresh_until = monotonic() + _DISTRUST_SECONDS
            if not isinstance(getattr(error.args[0], "reason", None), NothingSent):
                raise
        self._calls.afresh = True
        return super().send(request, *args, **kwargs)

    def close(self) -> None:
        """Closes the lines that are kept, once no call is on its way."""
        self._deadlines.close()

    def _close_kept(self) -> None:
        # Cleared alone, a pool that an old error still names keeps its lines open.
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it can't be iterated
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        """Requests' own, with the connections watched."""
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        line = _LINES.get(pool.ConnectionCls)
        if line is not None:
            pool.ConnectionCls = partial(line, calls=self._calls)
        return pool  # type: ignore[no-any-return]

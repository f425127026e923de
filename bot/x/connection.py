"""One line to X for one call: opened fresh, closed after, and cut when the call takes too long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from time import monotonic
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError


class Deadline:
    """Ends a call after so many seconds, whatever it is waiting for.

    A read timeout only bounds the wait for the next byte, so a server that dribbles bytes holds a
    call for ever. This shuts the socket down from another thread; `passed` tells that it did.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._ends = monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket is not None:
                self._socket.close()

    def watch(self, line: socket.socket) -> None:
        """Takes the socket that the call now depends on.

        It keeps a duplicate, because TLS takes the original's file descriptor away.

        Raises:
            TimeoutError: the time was already over.
        """
        with self._lock:
            # A process that was paused may get here before the timer's thread wakes.
            if self.passed or monotonic() > self._ends:
                self.passed = True
                raise TimeoutError("the call's time was over before a line was open")
            if self._socket is not None:
                self._socket.close()
            self._socket = line.dup()

    def _end(self) -> None:
        with self._lock:
            self.passed = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


class _Watched:
    """Mixed into urllib3's connections: reports its socket, and names every failure to connect.

    urllib3 gives a failed handshake the same name as a TLS failure after the post was sent, and a
    handshake that timed out the name of a read timeout. Here all that fails before the line stands
    is a `NewConnectionError`, so that nothing else needs to be taken for "X got nothing".
    """

    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def _new_conn(self) -> socket.socket:
        line: socket.socket = super()._new_conn()  # type: ignore[misc]  # of the class it is mixed into
        try:
            self._deadline.watch(line)
        except OSError:
            line.close()
            raise
        return line

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # of the class it is mixed into
        except ConnectTimeoutError:
            raise
        except (OSError, HTTPException, HTTPError) as error:
            raise NewConnectionError(self, f"{type(error).__name__}: {error}") from error  # type: ignore[arg-type]


class _PlainLine(_Watched, HTTPConnection):
    pass


class _TlsLine(_Watched, HTTPSConnection):
    pass


# A SOCKS proxy brings its own connection class, which stays as it is: without the overall
# deadline, and with its failures to shake hands taken for unknown.
_WATCHED: Mapping[Any, type[_Watched]] = {HTTPConnection: _PlainLine, HTTPSConnection: _TlsLine}


class LineAdapter(HTTPAdapter):
    """requests' adapter for one call: no retries, no kept connections, watched by the deadline.

    A kept connection that X has closed meanwhile would make a post's outcome unknown for nothing.
    """

    def __init__(self, deadline: Deadline) -> None:
        super().__init__(max_retries=0)
        self._deadline = deadline

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        """Requests' own, with the connections watched."""
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        watched = _WATCHED.get(pool.ConnectionCls)
        if watched is not None:
            pool.ConnectionCls = partial(watched, deadline=self._deadline)
        return pool  # type: ignore[no-any-return]

"""A connection for one answer: to addresses that were checked, and cut when its time is over."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from bot.sources.addresses import AddressInfo

_CONNECT_SECONDS = 5.0


class Deadline:
    """Ends all waiting of a fetch after so many seconds.

    A read timeout bounds the wait for the next byte alone, so a server that drips bytes would hold
    a fetch for ever. This shuts the socket down from another thread.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._forget()

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return monotonic() >= self._ends

    def remaining(self) -> float:
        """Returns the seconds that are left.

        Raises:
            TimeoutError: there are none.
        """
        left = self._ends - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def watch(self, line: socket.socket) -> None:
        """Takes the socket that the fetch now depends on; a duplicate, because TLS detaches the original.

        Raises:
            TimeoutError: the time was already over.
        """
        with self._lock:
            self.remaining()
            self._forget()
            self._socket = line.dup()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _cut(self) -> None:
        with self._lock, suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)


class _Pinned:
    """Mixed into urllib3's connections: connects to the given addresses, whatever the name says now.

    The TLS name and the Host header stay the host's. Without addresses it goes where urllib3 would:
    to a proxy.
    """

    def __init__(
        self, *args: Any, deadline: Deadline, addresses: Sequence[AddressInfo] | None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline
        self._addresses = addresses

    def _new_conn(self) -> socket.socket:
        line: socket.socket = (
            super()._new_conn()  # type: ignore[misc]  # of the class it is mixed into
            if self._addresses is None
            else self._connect_to_any(self._addresses)
        )
        try:
            self._deadline.watch(line)
        except OSError:
            line.close()
            raise
        return line

    def _connect_to_any(self, addresses: Sequence[AddressInfo]) -> socket.socket:
        reason: OSError = OSError("no address")
        for family, kind, protocol, _, place in addresses:
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(min(_CONNECT_SECONDS, self._deadline.remaining()))
                line.connect(place)
                line.settimeout(self._deadline.remaining())
            except OSError as error:
                line.close()
                reason = error
            else:
                return line
        if isinstance(reason, TimeoutError):
            raise ConnectTimeoutError(self, "no address answered in time") from reason
        raise NewConnectionError(self, str(reason)) from reason  # type: ignore[arg-type]


class _PlainConnection(_Pinned, HTTPConnection):
    pass


class _TlsConnection(_Pinned, HTTPSConnection):
    pass


_PINNED: Mapping[Any, type[_Pinned]] = {
    HTTPConnection: _PlainConnection,
    HTTPSConnection: _TlsConnection,
}


class PinnedAdapter(HTTPAdapter):
    """requests' adapter for one answer: no retries, no kept connections, a deadline, given addresses."""

    def __init__(self, deadline: Deadline, addresses: Sequence[AddressInfo] | None) -> None:
        super().__init__(max_retries=0)
        self._deadline = deadline
        self._addresses = addresses

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        """Requests' own, with the connections pinned and watched."""
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        pinned = _PINNED.get(pool.ConnectionCls)
        if pinned is None:  # a SOCKS proxy's, which can be neither
            raise requests.exceptions.InvalidProxyURL("only http and https proxies are supported")
        pool.ConnectionCls = partial(pinned, deadline=self._deadline, addresses=self._addresses)
        return pool  # type: ignore[no-any-return]

"""The HTTP server: reads calls off raw sockets and delivers answers, or breaks off as told."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from bot.sandbox import control, routing
from bot.sandbox.answers import Answer, about_blank
from bot.sandbox.calls import Call
from bot.sandbox.faults import Delivery
from bot.sandbox.state import State

MAX_BODY: Final = 64 * 1024 * 1024
STOP_SECONDS: Final = 0.9
_POLL_SECONDS: Final = 0.05
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Handler(BaseHTTPRequestHandler):
    """Serves the calls of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own name
        """Say nothing: the calls are counted, and tests read the count."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is not even HTTP in X's shape."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._send(about_blank(status, explain or message or status.phrase))

    def do_GET(self) -> None:
        """Serve one call, whatever its method."""
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        state = self.server.state
        internal = path.startswith(control.PREFIX)
        if not internal and routing.refuses_unread(state, self.command, path):
            self.close_connection = True
            return
        body = self._read_body()
        if body is None:
            return
        if internal:
            self._send(control.handle(state, self.command, path, body))
            return
        call = Call(
            method=self.command,
            path=path,
            query=query,
            url=f"http://{self.headers.get('host', '')}{self.path}",
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        self._deliver(routing.handle(state, call))

    do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the same

    def _read_body(self) -> bytes | None:
        """The body, or None when it can't be read; that is then answered already."""
        if "transfer-encoding" in self.headers:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            return None
        text = self.headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit()):
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length is not a number.")
            return None
        length = int(text)
        if length > MAX_BODY:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        return body

    def _deliver(self, delivery: Delivery) -> None:
        stopped = delivery.wait > 0 and self.server.stopping.wait(delivery.wait)
        if delivery.answer is None or stopped:
            self.close_connection = True
        elif delivery.reset:
            self._send_half(delivery.answer)
        else:
            self._send(delivery.answer)

    def _send(self, answer: Answer) -> None:
        # One write for head and body: two small ones would wait for the client's delayed acknowledgement.
        body = b"" if self.command == "HEAD" else answer.body
        self.wfile.write(self._head(answer) + body)

    def _send_half(self, answer: Answer) -> None:
        self.wfile.write(self._head(answer) + answer.body[: len(answer.body) // 2])
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close_connection = True
        self.server.abort(self.connection)

    def _head(self, answer: Answer) -> bytes:
        headers = {
            "date": formatdate(usegmt=True),
            "content-type": answer.content_type,
            "content-length": str(len(answer.body)),
            **answer.headers,
        }
        if self.close_connection:
            headers["connection"] = "close"
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", errors="replace")


class Server(ThreadingHTTPServer):
    """A threading server that can be stopped while connections hang.

    Args:
        port: The port on 127.0.0.1; 0 picks a free one.
        state: What it serves.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, state: State) -> None:
        self.state = state
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._aborted: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), daemon=True)

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Cut every connection, also hanging ones, and free the port."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        deadline = time.monotonic() + STOP_SECONDS
        with self._changed:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            while self._connections and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, known from here on, so that a stop can cut it."""
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def abort(self, connection: socket.socket) -> None:
        """Close this connection later without the polite shutdown, so that the client meets a reset."""
        with self._changed:
            self._aborted.add(connection)

    def shutdown_request(self, request: Any) -> None:
        """Close one connection, with a reset if that was asked for."""
        with self._changed:
            aborted = request in self._aborted
            self._aborted.discard(request)
        if aborted:
            request.close()
        else:
            super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about broken connections; anything else is a fault of the sandbox and must be seen."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

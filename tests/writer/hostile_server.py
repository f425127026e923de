"""A server of plain sockets that does to its visitors what no honest one does."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import Event, Thread

Way = Callable[[socket.socket, Event], None]


@contextmanager
def hostile_server(way: Way) -> Iterator[str]:
    """Serves every connection in that way; gives the server's address."""
    released = Event()
    threads: list[Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def serve(line: socket.socket) -> None:
            with line, suppress(OSError):
                line.settimeout(5)
                line.recv(65_536)
                way(line, released)

        def accept() -> None:
            while not released.is_set():
                with suppress(OSError):  # nobody came yet
                    line, _ = server.accept()
                    threads.append(Thread(target=serve, args=(line,)))
                    threads[-1].start()

        accepting = Thread(target=accept)
        accepting.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/feed"
        released.set()
        accepting.join()
        for thread in threads:
            thread.join()


def _drip(line: socket.socket, released: Event, piece: bytes, pause: float = 0.02) -> None:
    while not released.wait(pause):
        line.sendall(piece)


def drip_a_header(line: socket.socket, released: Event) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    _drip(line, released, b"a")


def drip_headers(line: socket.socket, released: Event) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\n")
    _drip(line, released, b"X: y\r\n", pause=0.1)


def drip_a_body(line: socket.socket, released: Event) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    _drip(line, released, b"a")


def continue_for_ever(line: socket.socket, released: Event) -> None:
    _drip(line, released, b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.001)


def drip_the_body_of_a_redirect(line: socket.socket, released: Event) -> None:
    line.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 99999999\r\n\r\n")
    _drip(line, released, b"a")


def say_nothing(line: socket.socket, released: Event) -> None:
    del line
    released.wait()


def chunk_for_ever(line: socket.socket, released: Event) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _drip(line, released, b"1;")


@cache
def _packed_zeros() -> bytes:
    return gzip.compress(b"\0" * 200_000_000, 1)


def gzip_bomb(line: socket.socket, released: Event) -> None:
    del released
    body = gzip.compress(_packed_zeros(), 1)
    head = f"Content-Encoding: gzip, gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + head.encode() + body)


def redirect_bomb(line: socket.socket, released: Event) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Encoding: gzip\r\n\r\n"
    line.sendall(head + _packed_zeros())
    released.wait()

"""Hears when rows change that a worker goes by, where the connection allows it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL

from bot.ports.log import Log
from bot.store.connect import CONNECT_TIMEOUT_SECONDS, LIVENESS

CHANNEL = "bot_work"
# How long a connection that could not be had, or was lost, is left alone.
RETRY_SECONDS = 30.0
# How soon the thread hears that it is to end.
LISTEN_SECONDS = 5.0


class Listener:
    """Calls back whenever something was changed, from a thread with a connection of its own.

    A transaction pooler takes the LISTEN and never delivers: then nobody is called, and the worker
    finds out at its next look. So it does while there is no connection.
    """

    def __init__(self, url: URL, *, heard: Callable[[], None], log: Log) -> None:
        # Not the address as text: SQLAlchemy writes a space there as a plus, which libpq takes for a plus.
        _, parameters = url.get_dialect()().create_connect_args(url)
        bounds = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **LIVENESS}
        self.conninfo = make_conninfo(**{**parameters, **bounds})
        self._heard = heard
        self._log = log
        self._ended = threading.Event()

    def start(self) -> None:
        """Begins to listen."""
        threading.Thread(target=self._listen_on, name="listener", daemon=True).start()

    def stop(self) -> None:
        """Ends it; its thread is not waited for."""
        self._ended.set()

    def _listen_on(self) -> None:
        while not self._ended.is_set():
            try:
                self._listen()
            except (psycopg.Error, OSError) as error:
                if self._ended.is_set():
                    return
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                self._log.info("not_listening", error=first, effect="changes are seen at the next look")
            self._ended.wait(RETRY_SECONDS)

    def _listen(self) -> None:
        with psycopg.connect(self.conninfo, autocommit=True, prepare_threshold=None) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            # What changed before it listened.
            self._heard()
            while not self._ended.is_set():
                for _ in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                    self._heard()

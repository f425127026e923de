"""Documents read in another process, which is given up when one takes too long."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self

from bot.sources.entry import Entry, Held, Unreadable
from bot.sources.fetch import Body
from bot.sources.frames import pack, read_frame

PARSE_SECONDS = 0.75
_START_SECONDS = 30.0  # for the interpreter and the libraries, on a machine that is busy
# What an interpreter may need to start; everything else of the environment may be a secret.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")
_TOO_LONG = "it takes too long to read; give a plainer document"


class Abandoned(Unreadable):
    """A document that a parser did not get through in time."""


class Parser:
    """Reads documents one after another; its process starts with the first and ends with the reading.

    `seconds` is the time for each document.
    """

    def __init__(self, *, seconds: float = PARSE_SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(OSError):  # bytes that it did not take any more
                    pipe.close()
        process.wait()

    def read(
        self, body: Body, *, name: str, now: datetime, suffix: str = "", within: float = _START_SECONDS
    ) -> list[Entry]:
        """Returns the document's entries, as `documents.read_body` does.

        Args:
            body: the document.
            name: what to call a note without headings.
            now: the moment after which a note's date holds it back.
            suffix: the file name's end.
            within: seconds for all of it, the start of the process as well.

        Raises:
            Unreadable: there are none.
            Held: it is a note that its author holds back.
            Abandoned: they did not come in time.
        """
        head = {
            "content_type": body.content_type,
            "url": body.url,
            "name": name,
            "suffix": suffix,
            "now": now.isoformat(),
            "seconds": self._seconds,
        }
        answered = self._ask(pack(head, body.content), within=within)
        if "entries" in answered:
            return [_entry(fields) for fields in answered["entries"]]
        if "held" in answered:
            raise Held(answered["held"])
        if "unreadable" in answered:
            raise Unreadable(answered["unreadable"])
        if "abandoned" in answered:
            raise Abandoned(_TOO_LONG)
        raise Unreadable(f"it can't be read ({answered['failed']}); give another document")

    def _ask(self, message: bytes, *, within: float) -> dict[str, Any]:
        if self._process is None:
            self._process = _start()
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process has no pipes")
        watchdog = Timer(within, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            process.stdin.write(message)
            process.stdin.flush()
            answered = read_frame(process.stdout)
        except OSError:  # it was killed meanwhile
            answered = None
        finally:
            watchdog.cancel()
        if answered is None:
            self.close()
            raise Abandoned(_TOO_LONG)
        return answered[0]


def _start() -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}  # noqa: TID251 - no settings
    paths = [str(Path(__file__).parents[2]), *(path for path in sys.path if path)]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "bot.sources.parsing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**kept, "PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,  # Ctrl-C is for the bot
    )


def _entry(fields: dict[str, Any]) -> Entry:
    moment = fields.pop("published_at")
    return Entry(**fields, published_at=datetime.fromisoformat(moment) if moment else None)

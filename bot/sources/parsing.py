"""The process that reads documents: `python -m bot.sources.parsing`, spoken to over its pipes.

An expression or a parser that a document keeps busy holds the interpreter, with its threads and
signals. So each document is read in a fork of this process, which is killed when its time is over.
The libraries are loaded once, here; this process itself looks at no document, and ends with the
pipe of the bot that started it.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from time import monotonic
from typing import Any

from bot.sources.documents import read_body
from bot.sources.entry import Entry, Held, Unreadable
from bot.sources.fetch import Body
from bot.sources.frames import pack, read_frame

_MEMORY_BYTES = 1_000_000_000  # of addresses, of which most are never used
_CHUNK_BYTES = 1_000_000


def main() -> int:
    """Answers until the pipe ends."""
    while (asked := read_frame(sys.stdin.buffer)) is not None:
        head, content = asked
        load(content, content_type=head["content_type"])
        reply = in_fork(lambda: answer(head, content), seconds=head["seconds"])  # noqa: B023 - called here
        sys.stdout.buffer.write(reply)
        sys.stdout.buffer.flush()
    return 0


def load(content: bytes, *, content_type: str) -> None:
    """Loads the libraries that the document may need, so that every fork has them."""
    import markdown_it  # noqa: F401 - kept for the forks

    if b"<" in content[:100] or b"\0" in content[:100] or "html" in content_type:
        import feedparser  # noqa: F401 - same
        import trafilatura  # noqa: F401 - same
    gc.freeze()


def answer(head: dict[str, Any], content: bytes) -> bytes:
    """Reads a document; whatever it makes a parser raise becomes an answer."""
    body = Body(content=content, content_type=head["content_type"], url=head["url"])
    try:
        entries = read_body(
            body, name=head["name"], suffix=head["suffix"], now=datetime.fromisoformat(head["now"])
        )
    except Held as error:
        return pack({"held": str(error)})
    except Unreadable as error:
        return pack({"unreadable": str(error)})
    except Exception as error:  # noqa: BLE001 - third-party parsers raise anything
        return pack({"failed": type(error).__name__})
    return pack({"entries": [_plain(entry) for entry in entries]})


def _plain(entry: Entry) -> dict[str, Any]:
    moment = entry.published_at
    return {**asdict(entry), "published_at": moment.isoformat() if moment else None}


def in_fork(work: Callable[[], bytes], *, seconds: float) -> bytes:
    """Returns what the work gives in a process of its own, or the answer that it had to be abandoned."""
    ends = monotonic() + seconds
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _work_and_exit(work, writer, seconds=seconds)
    os.close(writer)
    given = bytearray()
    late = False
    with open(reader, "rb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor is no path
        while True:
            ready, _, _ = select.select([pipe], [], [], max(0.0, ends - monotonic()))
            chunk = pipe.read(_CHUNK_BYTES) if ready else None
            late = not ready
            if not chunk:
                break
            given += chunk
    if late:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if late:
        return pack({"abandoned": True})
    return bytes(given) if status == 0 and given else pack({"failed": "crash"})


def _work_and_exit(work: Callable[[], bytes], writer: int, *, seconds: float) -> None:
    """Works inside bounds and leaves; an alarm ends it where nobody is left to kill it."""
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + 1)
        for bound, value in (
            (resource.RLIMIT_AS, _MEMORY_BYTES),
            (resource.RLIMIT_CPU, int(seconds) + 2),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
        ):
            with suppress(OSError, ValueError):  # a system without this bound
                resource.setrlimit(bound, (value, value))
        given = memoryview(work())
        while given:
            given = given[os.write(writer, given) :]
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())

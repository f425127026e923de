"""An append-only file of JSON lines that survives the death of the process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class JournalError(Exception):
    """The state file is damaged before its last line."""


class Journal:
    """Lines written before an answer is sent, read back at start.

    A write reaches the operating system before `append` returns, so a killed process loses nothing;
    it is not synced to the disk, since no test pulls the plug.

    Args:
        path: The file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def append(self, kind: str, row: dict[str, Any]) -> None:
        """Write one event."""
        if self._path is None:
            return
        with self._path.open("ab") as file:
            file.write(json.dumps({"kind": kind, **row}).encode() + b"\n")

    def read(self) -> list[dict[str, Any]]:
        """All events so far; a last line cut short by a kill is dropped from the file.

        Raises:
            JournalError: An earlier line can't be read.
        """
        if self._path is None:
            return []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            self._path.write_bytes(whole)
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise JournalError(f"{self._path} holds a line that is no JSON; move the file away") from error

    def clear(self) -> None:
        """Forget everything."""
        if self._path is not None:
            self._path.write_bytes(b"")

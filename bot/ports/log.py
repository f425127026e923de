"""Events."""

from __future__ import annotations

from typing import Protocol


class Log(Protocol):
    """Takes events: a machine-readable name and its facts."""

    def info(self, event: str, **facts: object) -> object:
        """Something happened."""
        ...

    def warning(self, event: str, **facts: object) -> object:
        """Something happened that an operator may want to mend."""
        ...

    def error(self, event: str, **facts: object) -> object:
        """Something failed."""
        ...

    def exception(self, event: str, **facts: object) -> object:
        """Something broke that nobody foresaw; the exception that is being handled goes with it."""
        ...

"""Where the time of a command goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stopwatch:
    """Adds up milliseconds by name, from a monotonic clock it is given."""

    seconds: Callable[[], float]
    spent: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Adds the block's time to the name."""
        begun = self.seconds()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + (self.seconds() - begun) * 1000

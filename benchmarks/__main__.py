"""Runs a benchmark by its name: `python -m benchmarks NAME [options]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """The benchmarks of this folder; its other files help them."""
    found = [path.stem for path in FOLDER.glob("*.py") if "\ndef main(" in path.read_text()]
    return sorted(set(found) - {"__main__"})


def main(arguments: Sequence[str]) -> int:
    """Hands the options on to the benchmark that is named."""
    name = arguments[0].replace("-", "_") if arguments else ""
    if name not in names():
        sys.stderr.write(f"usage: python -m benchmarks NAME [options]; NAME is one of {', '.join(names())}\n")
        return 2
    sys.argv = [f"python -m benchmarks {arguments[0]}", *arguments[1:]]
    code: int | None = import_module(f"benchmarks.{name}").main()
    return code or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

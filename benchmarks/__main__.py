"""Runs one benchmark: `python -m benchmarks NAME [options]`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Passes the options on to the benchmark that the first argument names."""
    names = sorted(path.stem for path in FOLDER.glob("*.py") if "def main(" in path.read_text())
    names.remove("__main__")
    if not arguments or arguments[0] not in names:
        print(f"usage: python -m benchmarks {{{','.join(names)}}} [options]", file=sys.stderr)
        return 2
    return import_module(f"benchmarks.{arguments[0]}").main(arguments[1:]) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

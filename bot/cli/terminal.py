"""What a command says beside its answer: errors, and what takes time."""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from bot.core.errors import BotError

if TYPE_CHECKING:
    from rich.console import Console

_OBEYED = frozenset({"Cc"})
_UNBROKEN = 10_000
_SPINNER_TEXT = "[dim]{}[/]"


def printable(text: str) -> str:
    """A text that others wrote, without signs that a terminal obeys; line breaks stay."""
    return "".join(
        sign if sign == "\n" or unicodedata.category(sign) not in _OBEYED else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )


def fail(options: argparse.Namespace, error: BotError, code: int) -> int:
    """One line for a person, one object for a program."""
    from bot.views.plain import to_json

    if getattr(options, "json", False):
        message, fix = options.redact(str(error)), options.redact(error.fix)
        sys.stdout.write(to_json({"error": error.code, "message": message, "fix": fix or None}) + "\n")
    say_error(options, error)
    return code


def say_error(options: argparse.Namespace, error: BotError) -> None:
    """The error and its mend in one line, without a secret."""
    sys.stderr.write(options.redact(f"bot {options.command}: {error.line}") + "\n")


def console() -> Console:
    """Where answers for people go: as wide as the terminal, and unbroken where there is none."""
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _UNBROKEN)


def progress(options: argparse.Namespace) -> AbstractContextManager[Callable[[str], None]]:
    """A line on the terminal that says what takes time; nothing elsewhere."""
    if options.json or not sys.stderr.isatty():
        return nullcontext(lambda _what: None)
    return _Spinner()


class _Spinner:
    """A moving line on stderr."""

    def __enter__(self) -> Callable[[str], None]:
        from rich.console import Console

        self._status = Console(file=sys.stderr).status(_SPINNER_TEXT.format("starting"))
        self._status.start()
        return lambda what: self._status.update(_SPINNER_TEXT.format(what))

    def __exit__(self, *_error: object) -> None:
        self._status.stop()

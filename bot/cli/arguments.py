"""What can be said on the command line, and how `--help` says it."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from bot import __version__
from bot.redaction import Redaction, as_given, without_keys

ATTESTED = ("automated_label", "owns_app")


class _Parser(argparse.ArgumentParser):
    """Complains without repeating what may be a key."""

    def error(self, message: str) -> NoReturn:
        super().error(without_keys(Redaction(())(message)))


def parser() -> _Parser:
    """The commands and their options."""
    whole = _Parser(
        prog="bot",
        description="An autonomous X bot: plans, writes, checks, publishes exactly once, and can say why.",
        epilog="Settings come from the environment and from a .env file; see README.md for the table. "
        "Exit codes: 0 done, 1 failed, 2 wrong call or setting, 3 decided not to, 4 outcome unknown, "
        "130 interrupted.",
    )
    whole.add_argument("--version", action="version", version=f"bot {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")
    shared = _Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    placed = _Parser(add_help=False, parents=[shared])
    placed.add_argument("--sandbox", action="store_true", help="a local X and a database of its own")
    picked = _Parser(add_help=False, parents=[placed])
    picked.add_argument(
        "--profile", type=_handle, metavar="HANDLE", help="which profile, when there are several"
    )

    def add(name: str, what: str, parent: _Parser) -> _Parser:
        return commands.add_parser(name, help=what, description=what, parents=[parent])

    work = add("run", "the worker: plans, writes and posts until it is stopped", placed)
    work.add_argument(
        "--every", type=_pace, metavar="SECONDS", help="with --sandbox: a post every so many seconds; 60"
    )
    _about_run_once(add("run-once", "one post now, through the whole pipeline", picked))
    add("status", "how the bot stands: last and next post, mode, what is open", picked)
    add("usage", "what was used of each limit, what it cost, where the month ends", picked)
    asked = add("why", "what was decided lately, and because of what", picked)
    asked.add_argument("--last", type=_count, default=20, metavar="N", help="how many decisions; 20")
    add("reconcile", "settle unknown outcomes now, and compare the timeline with the tables", picked)
    text = add("check", "what the guard says of a text", shared)
    text.add_argument("TEXT", help="the text of a post; - reads it from standard input")
    checked = add("doctor", "check database, schema, Redis, X keys, language model and clock", placed)
    checked.add_argument(
        "--attest",
        type=_attested,
        default=(),
        metavar="NAME,...",
        help=f"state what no API shows: {', '.join(ATTESTED)}",
    )
    add("pause", "stop posting until resume", picked).add_argument("--reason", help="shown in status and why")
    add("resume", "let posting go on, and lift blocks that refusals set", picked)
    return whole


def _pace(text: str) -> int:
    if not text.isdigit() or not 15 <= int(text) <= 3600:  # noqa: PLR2004 - a plan's spacing, an hour
        raise argparse.ArgumentTypeError(f"{as_given(text)} is not a whole number of seconds from 15 to 3600")
    return int(text)


def _about_run_once(once: _Parser) -> None:
    wish = once.add_mutually_exclusive_group()
    wish.add_argument(
        "--text", action="append", metavar="TEXT", help="your own text; more than once: a thread"
    )
    wish.add_argument("--topic", help="what the post is to be about")
    once.add_argument(
        "--queue", action="store_true", help="if it has to wait, the worker posts it as soon as it may"
    )


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:  # noqa: PLR2004 - a page of rows
        raise argparse.ArgumentTypeError(f"{as_given(text)} is not a whole number from 1 to 1000")
    return int(text)


def _handle(text: str) -> str:
    if not re.fullmatch(r"@?[\w-]{1,15}", text):
        raise argparse.ArgumentTypeError("a handle has up to 15 letters, digits and underscores")
    return text


def _attested(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in ATTESTED]
    if unknown or not names:
        shown = ", ".join(as_given(name, near=ATTESTED) for name in unknown) or "nothing"
        raise argparse.ArgumentTypeError(f"{shown} can't be attested; known: {', '.join(ATTESTED)}")
    return names

"""What can be said on the command line, and how `--help` says it."""

from __future__ import annotations

import argparse

from bot import __version__


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    whole = argparse.ArgumentParser(
        prog="bot",
        description="An autonomous X bot: plans, writes, checks, publishes exactly once, and can say why.",
        epilog="Settings come from the environment and from a .env file; see README.md for the table. "
        "Exit codes: 0 done, 1 failed, 2 wrong call or setting, 3 decided not to, 4 outcome unknown.",
    )
    whole.add_argument("--version", action="version", version=f"bot {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    placed = argparse.ArgumentParser(add_help=False, parents=[shared])
    placed.add_argument("--sandbox", action="store_true", help="a local X and a database of its own")
    picked = argparse.ArgumentParser(add_help=False, parents=[placed])
    picked.add_argument("--profile", metavar="HANDLE", help="which profile, when there are several")

    def add(name: str, what: str, parent: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=what, parents=[parent])

    work = add("run", "the worker: plans, writes and posts until it is stopped", placed)
    work.add_argument(
        "--every", type=_pace, metavar="SECONDS", help="with --sandbox: a post every so many seconds; 60"
    )
    once = add("run-once", "one post now, through the whole pipeline", picked)
    once.add_argument(
        "--text", action="append", metavar="TEXT", help="your own text; more than once: a thread"
    )
    once.add_argument("--topic", help="what the post is to be about")
    add("status", "how the bot stands: last and next post, mode, what is open", picked)
    add("usage", "what was used of each limit, what it cost, where the month ends", picked)
    asked = add("why", "what was decided lately, and because of what", picked)
    asked.add_argument("--last", type=_count, default=20, metavar="N", help="how many decisions; 20")
    add("reconcile", "settle unknown outcomes now, and compare the timeline with the tables", picked)
    add("check", "what the guard says of a text", shared).add_argument("TEXT", help="the text of a post")
    add("doctor", "check database, schema, Redis, X keys, language model and clock", placed)
    add("pause", "stop posting until resume", picked).add_argument("--reason", help="shown in status and why")
    add("resume", "let posting go on, and lift blocks that refusals set", picked)
    return whole


def _pace(text: str) -> int:
    if not text.isdigit() or not 15 <= int(text) <= 3600:  # noqa: PLR2004 - a plan's spacing, an hour
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from 15 to 3600")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:  # noqa: PLR2004 - a page of rows
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000")
    return int(text)

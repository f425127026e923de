"""What can be said on the command line, and how `--help` says it."""

from __future__ import annotations

import argparse
import re
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from bot import __version__
from bot.core.states import Mode
from bot.redaction import Redaction, as_given, without_keys

_A_MOMENT = "like '2026-12-24 18:00' on the profile's wall clock, with an offset like +01:00, or now"
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
    shared, placed, picked = _common_options()

    def add(name: str, what: str, parent: _Parser) -> _Parser:
        return commands.add_parser(name, help=what, description=what, parents=[parent])

    work = add("run", "the worker: plans, writes and posts until it is stopped", placed)
    work.add_argument(
        "--every", type=_pace, metavar="SECONDS", help="with --sandbox: seconds between posts, 15 to 3600; 60"
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
    _about_accounts(commands, placed=placed, shared=shared)
    what = "set the profile and its plan up, or change them; asks, or takes flags"
    _about_setting_up(add("init", what, placed))
    _about_queue(commands, picked)
    add("pause", "stop posting until resume", picked).add_argument("--reason", help="shown in status and why")
    add("resume", "let posting go on, and lift blocks that refusals set", picked)
    whole.set_defaults(show_help=whole.print_help)
    return whole


def _common_options(**unsaid: Any) -> tuple[_Parser, _Parser, _Parser]:
    """Parents of commands that answer, that have a sandbox too, and that are about one profile too.

    Args:
        unsaid: what an option is that is not given, as `default`.
    """
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else", **unsaid
    )
    placed = _Parser(add_help=False, parents=[shared])
    placed.add_argument(
        "--sandbox", action="store_true", help="a local X and a database of its own", **unsaid
    )
    picked = _Parser(add_help=False, parents=[placed])
    picked.add_argument(
        "--profile", type=_handle, metavar="HANDLE", help="which profile, when there are several", **unsaid
    )
    return shared, placed, picked


def _about_queue(commands: argparse._SubParsersAction[_Parser], picked: _Parser) -> None:
    """`queue` with its actions, and the verbs that decide about one of its posts."""
    # `queue --json show ID` and `queue show ID --json` mean the same: an action keeps what stands before it.
    *_, kept = _common_options(default=argparse.SUPPRESS)

    def add(name: str, what: str) -> _Parser:
        return commands.add_parser(name, help=what, description=what, parents=[picked])

    def about_one(name: str, what: str, *, of_queue: bool = False) -> _Parser:
        into, parent = (actions, kept) if of_queue else (commands, picked)
        named = into.add_parser(name, help=what, description=what, parents=[parent])
        named.add_argument("ID", type=_id, help="as `queue` shows it; the beginning will do")
        return named

    queue = add("queue", "what is not sent yet: text, source, price and moment of each post")
    actions = queue.add_subparsers(dest="action", metavar="ACTION")
    about_one("show", "one post alone", of_queue=True)
    moved = about_one("move", "give a post's slot another moment", of_queue=True)
    moved.add_argument("--to", type=_moment, required=True, metavar="TIME", help=_A_MOMENT)
    about_one("skip", "give a slot up; its post goes out at the next free one", of_queue=True)
    about_one("drop", "throw a post away, and give its slot up", of_queue=True)
    about_one("approve", "let a post go out, with the very text that it has now")
    because = about_one("reject", "keep a post from going out; for its slot another is written")
    because.add_argument("--because", required=True, metavar="TEXT", help="why; `why` shows it")
    changed = about_one("edit", "change a post's text; an approval of it falls")
    changed.add_argument("--text", required=True, metavar="TEXT", help="the new text, checked as any other")
    planned = add("schedule", "queue a text of your own for a moment")
    planned.add_argument("--at", type=_moment, required=True, metavar="TIME", help=_A_MOMENT)
    planned.add_argument("--text", required=True, metavar="TEXT", help="what it says")


def _id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F-]{4,36}", text):
        raise argparse.ArgumentTypeError("an id has 4 to 36 of 0-9, a-f and -, as `queue` shows it")
    return text


def _moment(text: str) -> str:
    if text == "now":
        return text
    try:
        datetime.fromisoformat(text)
    except ValueError:
        given = as_given(text, near=("now",))
        raise argparse.ArgumentTypeError(f"{given} is no moment like '2026-12-24 18:00'") from None
    return text


def _about_setting_up(made: _Parser) -> None:
    made.add_argument("--handle", type=_handle, help="the account's handle on X")
    made.add_argument("--timezone", type=_zone, metavar="ZONE", help="of its slots, like Europe/Berlin")
    made.add_argument("--mode", choices=[*Mode], help="how far it goes on its own")
    made.add_argument("--topics", metavar="TOPIC,...", help="what to write about")
    made.add_argument("--posts-per-day", type=_posts, metavar="N", help="how many its plan wants")
    made.add_argument(
        "--user",
        type=_user,
        metavar="UUID",
        help="whose profile it is, by the id they sign in with",
    )


def _user(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give the id that the person signs in with, a UUID") from None


def _about_accounts(
    commands: argparse._SubParsersAction[_Parser], *, placed: _Parser, shared: _Parser
) -> None:
    what = "several X accounts: their keys, encrypted by BOT_SECRET_KEY"
    whole = commands.add_parser("accounts", help=what, description=what)
    whole.set_defaults(show_help=whole.print_help)
    actions = whole.add_subparsers(dest="action", metavar="ACTION")

    def add(name: str, what: str, parent: _Parser = placed) -> _Parser:
        return actions.add_parser(name, help=what, description=what, parents=[parent])

    _about_adding(
        add(
            "add",
            "save an account's keys, in place of those it had; they are asked for, or read from standard "
            "input, a line each: API key, API secret, access token, access token secret",
        )
    )
    add("list", "every account, and where its keys come from")
    gone = add("remove", "delete an account's saved keys; its other rows stay")
    gone.add_argument("HANDLE", type=_handle, help="whose")
    tried = add("test", "ask X with each account's keys whose they are, which X bills as a read")
    tried.add_argument("HANDLE", type=_handle, nargs="?", help="this one alone")
    add("rotate", "encrypt all saved keys anew, by the first key of BOT_SECRET_KEY")
    add("new-key", "print a key for BOT_SECRET_KEY", shared)


def _about_adding(added: _Parser) -> None:
    whence = added.add_mutually_exclusive_group()
    whence.add_argument("--from-env", action="store_true", help="save X_API_KEY and so on")
    whence.add_argument(
        "--account", type=_handle, metavar="HANDLE", help="with --sandbox: an account of the local X"
    )
    added.add_argument(
        "--timezone", type=_zone, metavar="ZONE", help="of its slots, like Europe/Berlin; BOT_TIMEZONE's"
    )
    added.add_argument("--mode", choices=[*Mode], help="how far it goes on its own; BOT_MODE's")
    added.add_argument(
        "--posts-per-day", type=_posts, metavar="N", help="how many its plan wants; BOT_POSTS_PER_DAY's"
    )


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, OSError, ValueError):
        given = as_given(text, near=sorted(available_timezones()))
        raise argparse.ArgumentTypeError(f"{given} is no IANA time zone like Europe/Berlin") from None
    return text


def _posts(text: str) -> int:
    if not text.isdecimal() or int(text) > 100:  # noqa: PLR2004 - the plan's own bound
        raise argparse.ArgumentTypeError(f"{as_given(text)} is not a whole number from 0 to 100")
    return int(text)


def _pace(text: str) -> int:
    if not text.isdecimal() or not 15 <= int(text) <= 3600:  # noqa: PLR2004 - a plan's spacing, an hour
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
    if not text.isdecimal() or not 1 <= int(text) <= 1000:  # noqa: PLR2004 - a page of rows
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

"""What can be said on the command line, and how `--help` says it."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from bot import __version__
from bot.cli import values
from bot.core.states import Mode
from bot.redaction import Redaction, without_keys

_MODES = [mode.value for mode in Mode]
_A_PLAN = "as `plan list` shows it; the beginning will do"
_A_MOMENT = "like '2026-12-24 18:00' on the profile's wall clock, with an offset like +01:00, or now"


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
        "--every",
        type=values.pace,
        metavar="SECONDS",
        help="in the sandbox: between posts, 15 to 3600; 60",
    )
    _about_run_once(add("run-once", "one post now, through the whole pipeline", picked))
    add("status", "how the bot stands: last and next post, mode, what is open", picked)
    add("usage", "what was used of each limit, what it cost, where the month ends", picked)
    asked = add("why", "what was decided lately, and because of what", picked)
    asked.add_argument("--last", type=values.count, default=20, metavar="N", help="how many decisions; 20")
    add("reconcile", "settle unknown outcomes now, and compare the timeline with the tables", picked)
    text = add("check", "what the guard says of a text", shared)
    text.add_argument("TEXT", help="the text of a post; - reads it from standard input")
    checked = add("doctor", "check database, schema, Redis, X keys, language model and clock", placed)
    checked.add_argument(
        "--attest",
        type=values.attested,
        default=(),
        metavar="NAME,...",
        help=f"state what no API shows: {', '.join(values.ATTESTED)}",
    )
    _about_accounts(commands, placed=placed, shared=shared)
    what = "set the profile and its plan up, or change them; asks, or takes flags"
    _about_setting_up(add("init", what, placed))
    _about_queue(commands, picked)
    _about_plans(commands, picked)
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
        "--profile",
        type=values.handle,
        metavar="HANDLE",
        help="which profile, if there are several",
        **unsaid,
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
        named.add_argument("ID", type=values.identity, help="as `queue` shows it; the beginning will do")
        return named

    queue = add("queue", "what is not sent yet: text, source, price and moment of each post")
    actions = queue.add_subparsers(dest="action", metavar="ACTION")
    about_one("show", "one post alone", of_queue=True)
    moved = about_one("move", "give a post's slot another moment", of_queue=True)
    moved.add_argument("--to", type=values.moment, required=True, metavar="TIME", help=_A_MOMENT)
    about_one("skip", "give a slot up; its post goes out at the next free one", of_queue=True)
    about_one("drop", "throw a post away, and give its slot up", of_queue=True)
    about_one("approve", "let a post go out, with the very text that it has now")
    because = about_one("reject", "keep a post from going out; for its slot another is written")
    because.add_argument("--because", type=values.reason, required=True, metavar="TEXT", help="why")
    changed = about_one("edit", "change a post's text; an approval of it falls")
    changed.add_argument("--text", required=True, metavar="TEXT", help="the new text, checked as any other")
    planned = add("schedule", "queue a text of your own for a moment")
    planned.add_argument("--at", type=values.moment, required=True, metavar="TIME", help=_A_MOMENT)
    planned.add_argument("--text", required=True, metavar="TEXT", help="what it says")


def _about_setting_up(made: _Parser) -> None:
    made.add_argument("--handle", type=values.handle, help="the account's handle on X")
    made.add_argument("--timezone", type=values.zone, metavar="ZONE", help="of its slots, like Europe/Berlin")
    made.add_argument("--mode", choices=_MODES, help="how far it goes on its own")
    made.add_argument("--topics", metavar="TOPIC,...", help="what to write about")
    made.add_argument("--posts-per-day", type=values.posts, metavar="N", help="how many its plan wants")
    made.add_argument(
        "--user",
        type=values.user,
        metavar="UUID",
        help="whose profile it is, by the id they sign in with",
    )


def _about_plans(commands: argparse._SubParsersAction[_Parser], picked: _Parser) -> None:
    """`plan` with its actions."""
    *_, kept = _common_options(default=argparse.SUPPRESS)
    what = "what the profile posts about and how often: its plans, the one in force first"
    actions = commands.add_parser("plan", help=what, description=what, parents=[picked]).add_subparsers(
        dest="action", metavar="ACTION"
    )

    def add(name: str, what: str, *, named: str | None = None) -> _Parser:
        made = actions.add_parser(name, help=what, description=what, parents=[kept])
        if named is not None:
            made.add_argument("ID", type=values.identity, nargs=named, help=_A_PLAN)
        return made

    add("list", "every plan")
    add("show", "one plan; the one in force unless an id is given", named="?")
    changed = add("set", "change a plan; the one in force unless an id is given", named="?")
    made = add("add", "make a further plan like the one in force, with what is given; not in force yet")
    for each in (changed, made):
        _about_one_plan(each)
    for name, what in {
        "activate": "put a plan in force and archive the one that was; slots to come are planned anew",
        "archive": "put a plan away; without one in force, no slots are planned",
    }.items():
        add(name, what).add_argument("ID", type=values.identity, help=_A_PLAN)


def _about_one_plan(plan: _Parser) -> None:
    plan.add_argument("--topics", metavar="TOPIC,...", help="what to write about")
    plan.add_argument("--posts-per-day", type=values.posts, metavar="N", help="how many slots a day")
    plan.add_argument("--day-starts", type=values.clock_time, metavar="TIME", help="no slot before it")
    plan.add_argument("--day-ends", type=values.clock_time, metavar="TIME", help="no slot after")
    plan.add_argument("--late-policy", choices=["move", "expire"], help="what becomes of a late slot's draft")
    plan.add_argument("--late-tolerance", type=values.seconds, metavar="SECONDS", help="how late one may be")
    plan.add_argument("--spacing", type=values.seconds, metavar="SECONDS", help="least time between posts")
    plan.add_argument("--include-links", choices=["yes", "no"], help="whether posts link to their source")


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
    gone.add_argument("HANDLE", type=values.handle, help="whose")
    tried = add("test", "ask X with each account's keys whose they are, which X bills as a read")
    tried.add_argument("HANDLE", type=values.handle, nargs="?", help="this one alone")
    add("rotate", "encrypt all saved keys anew, by the first key of BOT_SECRET_KEY")
    add("new-key", "print a key for BOT_SECRET_KEY", shared)


def _about_adding(added: _Parser) -> None:
    whence = added.add_mutually_exclusive_group()
    whence.add_argument("--from-env", action="store_true", help="save X_API_KEY and so on")
    whence.add_argument(
        "--account", type=values.handle, metavar="HANDLE", help="with --sandbox: an account of the local X"
    )
    added.add_argument(
        "--timezone",
        type=values.zone,
        metavar="ZONE",
        help="like Europe/Berlin; BOT_TIMEZONE's",
    )
    added.add_argument("--mode", choices=_MODES, help="how far it goes on its own; BOT_MODE's")
    added.add_argument(
        "--posts-per-day", type=values.posts, metavar="N", help="how many its plan wants; BOT_POSTS_PER_DAY's"
    )
    added.add_argument(
        "--user",
        type=values.user,
        metavar="UUID",
        help="for the profile that this person set up",
    )


def _about_run_once(once: _Parser) -> None:
    wish = once.add_mutually_exclusive_group()
    wish.add_argument(
        "--text", action="append", metavar="TEXT", help="your own text; more than once: a thread"
    )
    wish.add_argument("--topic", help="what the post is to be about")
    once.add_argument(
        "--queue", action="store_true", help="if it has to wait, the worker posts it as soon as it may"
    )

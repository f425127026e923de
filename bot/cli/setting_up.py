"""`init`: a profile and its plan, set up in one step."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bot.cli.codes import DONE
from bot.cli.terminal import printable
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.core.model import Profile

# What is asked for, in this order, and how.
_QUESTIONS = {
    "handle": "the account's handle on X",
    "timezone": "its time zone, like Europe/Berlin",
    "mode": "auto, review (you approve every post) or dry-run",
    "topics": "topics to write about, separated by commas",
    "posts_per_day": "posts a day",
}
_OF_PLAN = frozenset({"topics", "posts_per_day"})
_USUAL = {"handle": "", "timezone": "UTC", "mode": "auto", "topics": "", "posts_per_day": "4"}


def init(settings: Settings, options: argparse.Namespace) -> int:
    """Sets the environment's own profile up, or changes it: what is not said stays as it is."""
    from bot.bootstrap import open_bot
    from bot.engine.onboarding import set_up
    from bot.views.plain import to_json

    with open_bot(settings, sandbox=options.sandbox) as bot:
        known = bot.own_profile()
        wanted: Mapping[str, Any] = {name: getattr(options, name) for name in _QUESTIONS}
        if not any(value is not None for value in wanted.values()) and _may_ask(options):
            wanted = _ask(known)
        user = options.user or (known.auth_user_id if known is not None else uuid4())
        answer = set_up(bot.services, _payload(wanted), user=user, known=known)
    if options.json:
        sys.stdout.write(to_json({**answer, "user": str(user)}) + "\n")
    else:
        _tell(answer, settings)
        given, called = (options.handle or "").removeprefix("@"), str(answer["profile"]["handle"])
        if given and given != called:
            sys.stdout.write(f"X calls the account @{called}, so --handle changes nothing\n")
        if options.user:
            sys.stdout.write(f"it belongs to {user} now\n")
    return DONE


def _may_ask(options: argparse.Namespace) -> bool:
    return not options.json and sys.stdin.isatty() and sys.stderr.isatty()


def _ask(known: Profile | None) -> Mapping[str, str | None]:
    """What a person answers; nothing said keeps what is shown in brackets."""
    usual = dict(_USUAL)
    if known is not None:
        usual |= {"handle": known.handle, "timezone": known.timezone, "mode": known.mode.value}
    said = {}
    for name, question in _QUESTIONS.items():
        stays = "as it is" if known is not None and name in _OF_PLAN else usual[name]
        sys.stderr.write(f"{question} [{stays}]: " if stays else f"{question}: ")
        sys.stderr.flush()
        said[name] = sys.stdin.readline().strip() or None
    return said


def _payload(wanted: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in wanted.items() if value is not None}
    plan = {name: given.pop(name) for name in _OF_PLAN & given.keys()}
    return given | {"plan": plan}


def _tell(answer: Mapping[str, Any], settings: Settings) -> None:
    profile, plan = answer["profile"], answer["plan"]
    sys.stdout.write(
        f"@{profile['handle']}: {profile['mode']}, {plan['posts_per_day']} posts a day between "
        f"{plan['day_starts']} and {plan['day_ends']}, {profile['timezone']}\n"
    )
    if plan["topics"]:
        sys.stdout.write(printable(f"topics: {', '.join(plan['topics'])}") + "\n")
    for name in ("bot_timezone", "bot_mode", "bot_posts_per_day"):
        if settings.said(name) is not None:
            sys.stdout.write(f"{name.upper()} is set, and goes before what `init` says\n")

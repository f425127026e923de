"""`run-once`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bot.cli.codes import AFTER
from bot.core.errors import BotError, SettingError
from bot.settings import Settings
from bot.terminal import console, progress, say_error

if TYPE_CHECKING:
    from bot.core.model import Profile
    from bot.engine.parts import Outcome, Stopwatch


def run_once(settings: Settings, options: argparse.Namespace) -> int:
    """One post now."""
    from bot.answers import outcome_json, to_json
    from bot.engine.parts import Stopwatch
    from bot.show import show_outcome

    watch = Stopwatch(time.perf_counter)
    with watch.measure("total"), progress(options) as say:
        profile, outcome = _post_once(settings, options, watch=watch, say=say)
    if options.json:
        sys.stdout.write(to_json(outcome_json(outcome, profile, watch.spent)) + "\n")
    elif profile is not None:
        show_outcome(console(), outcome, profile)
    return AFTER[outcome.kind.value]


def _post_once(
    settings: Settings, options: argparse.Namespace, *, watch: Stopwatch, say: Callable[[str], None]
) -> tuple[Profile | None, Outcome]:
    """The outcome and whose it is, also when nothing could be decided.

    Raises:
        SettingError: the call itself was wrong.
    """
    from bot.bootstrap import open_bot
    from bot.engine.parts import Outcome, OutcomeKind
    from bot.engine.posting_once import Wish, post_once

    profile = None
    try:
        say("opening the database")
        with open_bot(settings, sandbox=options.sandbox, needs_x=True) as bot:
            if not options.sandbox and settings.bot_mode != "dry-run":
                settings.require_keys()
            bot.announce()
            profile = bot.identify(options.profile)
            wish = Wish(texts=tuple(options.text or ()), topic=options.topic)
            outcome = post_once(bot.engine, profile, wish, watch=watch, say=say)
            watch.spent["store"] = bot.manager.spent_ms
    except SettingError:
        raise
    except BotError as error:
        say_error(options, error)
        outcome = Outcome(kind=OutcomeKind.FAILED, reason=error.code, detail=error.line)
    return profile, outcome

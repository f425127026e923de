"""`run-once`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.cli.codes import AFTER
from bot.cli.looking import zone_of
from bot.cli.terminal import console, progress, say_error
from bot.core.errors import BotError, SettingError
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.bootstrap import Bot
    from bot.core.model import Profile
    from bot.engine.outcomes import Outcome
    from bot.engine.stopwatch import Stopwatch


def run_once(settings: Settings, options: argparse.Namespace) -> int:
    """One post now."""
    from bot.cli.show import show_outcome
    from bot.engine.stopwatch import Stopwatch
    from bot.views.plain import to_json
    from bot.views.posts import outcome_json

    watch = Stopwatch(time.perf_counter)
    with watch.measure("total"), progress(options) as say:
        done = _post_once(settings, options, watch=watch, say=say)
    outcome, profile = done.outcome, done.profile
    if options.json:
        sys.stdout.write(to_json(outcome_json(outcome, profile, watch.spent)) + "\n")
    elif profile is not None:
        zone = zone_of(settings, done.known, named=bool(options.profile))
        show_outcome(console(), outcome, profile, zone=zone, room=done.room)
    return AFTER[outcome.kind.value]


@dataclass(frozen=True)
class _Done:
    """The outcome, whose it is, as the tables know it too, and what the tightest limit has left."""

    outcome: Outcome
    profile: Profile | None = None
    known: Profile | None = None
    room: str | None = None


def _room_left(bot: Bot, profile: Profile) -> str:
    """What the limits say of one more post."""
    from bot.engine.reports import report_usage

    usage = report_usage(bot.manager, bot.limits, profile.id, now=bot.clock.now(), spaced=False)
    return usage.verdict.reason


def _post_once(
    settings: Settings, options: argparse.Namespace, *, watch: Stopwatch, say: Callable[[str], None]
) -> _Done:
    """What became of the wish, also when nothing could be decided.

    Raises:
        SettingError: the call itself was wrong.
    """
    from bot.bootstrap import open_bot
    from bot.core.posting.post import Post
    from bot.core.states import Mode
    from bot.engine.outcomes import Outcome, OutcomeKind
    from bot.engine.posting.posting_once import Wish, post_once

    profile = known = None
    try:
        say("opening the database")
        with open_bot(settings, sandbox=options.sandbox, needs_x=True) as bot:
            handle = bot.meant(options.profile)
            if not options.sandbox and settings.bot_mode != "dry-run":
                bot.require_keys(handle)
            bot.announce()
            profile = bot.identify(handle)
            if profile.mode is not Mode.DRY_RUN:
                # Before anything is written: a language model is paid for each draft.
                bot.accounts.require_usable(profile)
            known = bot.known_profile(handle)
            posts = tuple(Post(text=text) for text in options.text or ())
            wish = Wish(posts=posts, topic=options.topic, queue=options.queue)
            outcome = post_once(bot.engine, profile, wish, watch=watch, say=say)
            told = outcome.kind is OutcomeKind.POSTED and not options.json
            room = _room_left(bot, profile) if told else None
            watch.spent["store"] = bot.manager.spent_ms
        return _Done(replace(outcome, detail=options.redact(outcome.detail)), profile, known, room)
    except SettingError:
        raise
    except BotError as error:
        if profile is None or options.json:  # else the answer says it
            say_error(options, error)
        return _Done(
            Outcome(kind=OutcomeKind.FAILED, reason=error.code, detail=options.redact(error.line)),
            profile,
            known,
        )

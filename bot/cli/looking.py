"""`status`, `usage` and `why`."""

from __future__ import annotations

import argparse
import sys

from bot.cli.codes import DONE
from bot.settings import Settings
from bot.terminal import console


def status(settings: Settings, options: argparse.Namespace) -> int:
    """How the bot stands."""
    from bot.answers import status_json, to_json
    from bot.bootstrap import open_bot
    from bot.engine.looking import report_status
    from bot.show import show_status

    with open_bot(settings, sandbox=options.sandbox) as bot:
        report = report_status(
            bot.manager, bot.limits, bot.known_profile(options.profile), now=bot.clock.now()
        )
    if options.json:
        sys.stdout.write(to_json(status_json(report)) + "\n")
    else:
        show_status(console(), report)
    return DONE


def usage(settings: Settings, options: argparse.Namespace) -> int:
    """What was used and what is left."""
    from bot.answers import to_json, usage_json
    from bot.bootstrap import open_bot
    from bot.engine.looking import report_usage
    from bot.show import show_usage

    with open_bot(settings, sandbox=options.sandbox) as bot:
        profile = bot.known_profile(options.profile)
        report = report_usage(bot.manager, bot.limits, profile.id if profile else None, now=bot.clock.now())
    if options.json:
        sys.stdout.write(to_json(usage_json(report)) + "\n")
    else:
        show_usage(console(), report)
    return DONE


def why(settings: Settings, options: argparse.Namespace) -> int:
    """What was decided, and because of what."""
    from bot.answers import decisions_json, to_json
    from bot.bootstrap import open_bot
    from bot.show import show_decisions

    with open_bot(settings, sandbox=options.sandbox) as bot:
        profile = bot.known_profile(options.profile)
        with bot.manager.transaction() as tx:
            decisions = tx.decisions.last(profile.id if profile else None, limit=options.last)
    if options.json:
        sys.stdout.write(to_json(decisions_json(decisions)) + "\n")
    else:
        show_decisions(console(), decisions)
    return DONE

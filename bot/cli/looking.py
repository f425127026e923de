"""`status`, `usage` and `why`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.cli.codes import DONE
from bot.cli.terminal import console
from bot.core.states import Mode
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.core.model import Profile


def zone_of(settings: Settings, profile: Profile | None, *, named: bool = False) -> ZoneInfo:
    """The zone that moments are shown in: the environment's where it names one, else the profile's.

    A profile that a person names goes by its own.

    A profile's row may name none that there is. What was done is shown all the same, in UTC.
    """
    if profile is None or (settings.said("bot_timezone") and not named):
        return ZoneInfo(settings.bot_timezone)
    try:
        return ZoneInfo(profile.timezone)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _mode_of(settings: Settings, profile: Profile | None, *, named: bool) -> Mode:
    """The mode in force: the environment's, else what a person chose for the profile.

    A profile that a person names goes by its own; in a dry run, all run dry.
    """
    said = settings.said("bot_mode")
    if profile is None or said == Mode.DRY_RUN:
        return Mode(settings.bot_mode)
    if named:
        return profile.mode
    return Mode(said or str(profile.chosen.get("mode", settings.bot_mode)))


def status(settings: Settings, options: argparse.Namespace) -> int:
    """How the bot stands."""
    from bot.bootstrap import open_bot
    from bot.cli.show import show_status
    from bot.engine.reports import report_status
    from bot.views.plain import to_json
    from bot.views.status import status_json

    with open_bot(settings, sandbox=options.sandbox) as bot:
        profile = bot.known_profile(options.profile)
        report = report_status(
            bot.manager,
            bot.limits,
            profile,
            now=bot.clock.now(),
            mode=_mode_of(settings, profile, named=bool(options.profile)),
        )
    if options.json:
        sys.stdout.write(to_json(status_json(report)) + "\n")
    else:
        show_status(console(), report, zone=zone_of(settings, profile, named=bool(options.profile)))
    return DONE


def usage(settings: Settings, options: argparse.Namespace) -> int:
    """What was used and what is left."""
    from bot.bootstrap import open_bot
    from bot.cli.show import show_usage
    from bot.engine.reports import report_usage
    from bot.views.limits import usage_json
    from bot.views.plain import to_json

    with open_bot(settings, sandbox=options.sandbox) as bot:
        profile = bot.known_profile(options.profile)
        report = report_usage(bot.manager, bot.limits, profile.id if profile else None, now=bot.clock.now())
    if options.json:
        sys.stdout.write(to_json(usage_json(report)) + "\n")
    else:
        show_usage(console(), report, zone=zone_of(settings, profile, named=bool(options.profile)))
    return DONE


def why(settings: Settings, options: argparse.Namespace) -> int:
    """What was decided, and because of what."""
    from bot.bootstrap import open_bot
    from bot.cli.show import show_decisions
    from bot.engine.reports import report_decisions
    from bot.views.decisions import decisions_json
    from bot.views.plain import to_json

    with open_bot(settings, sandbox=options.sandbox) as bot:
        profile = bot.known_profile(options.profile)
        decisions = [
            replace(one, reason=options.redact(one.reason))
            for one in report_decisions(bot.manager, profile, limit=options.last)
        ]
    if options.json:
        sys.stdout.write(to_json(decisions_json(decisions)) + "\n")
    else:
        show_decisions(console(), decisions, zone=zone_of(settings, profile, named=bool(options.profile)))
    return DONE

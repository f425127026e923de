"""The commands: one file a group, one short function each. Rules live elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from bot.cli.accounts import accounts, new_key
from bot.cli.arguments import parser
from bot.cli.checking import check, doctor
from bot.cli.codes import FAILED, WRONG_CALL
from bot.cli.looking import status, usage, why
from bot.cli.planning import plan
from bot.cli.posting import run_once
from bot.cli.queueing import approve, edit, queue, reject, schedule
from bot.cli.setting_up import init
from bot.cli.steering import pause, reconcile, resume
from bot.cli.terminal import fail
from bot.cli.worker import run
from bot.core.errors import BotError, SettingError
from bot.redaction import Redaction
from bot.settings import Settings, read_settings, unknown_variables


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = parser().parse_args(arguments)
    if options.command is None or (options.command == "accounts" and options.action is None):
        options.show_help(sys.stderr)
        return WRONG_CALL
    options.redact = Redaction(())
    try:
        if getattr(options, "action", None) == "new-key":
            # A setting that can't be read may be the very one that it is for.
            return new_key(options)
        settings = read_settings()
        options.redact = Redaction(settings.secrets)
        _configure_logs(settings)
        return _COMMANDS[options.command](settings, options)
    except SettingError as error:
        return fail(options, error, WRONG_CALL)
    except BotError as error:
        return fail(options, error, FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED


def _configure_logs(settings: Settings) -> None:
    from bot.logs import configure, get_logger

    configure(
        level=settings.log_level,
        style=settings.log_format,
        secrets=settings.secrets,
        quiet=("oauthlib", "requests_oauthlib", "tweepy"),
    )
    for name, near in unknown_variables().items():
        guess = {} if near is None else {"did_you_mean": near}
        get_logger().warning("setting_unknown", variable=name, **guess)


_COMMANDS: dict[str, Callable[[Settings, argparse.Namespace], int]] = {
    "run": run,
    "run-once": run_once,
    "status": status,
    "usage": usage,
    "why": why,
    "reconcile": reconcile,
    "check": check,
    "doctor": doctor,
    "init": init,
    "plan": plan,
    "queue": queue,
    "approve": approve,
    "reject": reject,
    "edit": edit,
    "schedule": schedule,
    "pause": pause,
    "resume": resume,
    "accounts": accounts,
}

"""`check` and `doctor`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from bot.cli.codes import DECIDED_NOT_TO, DONE, FAILED
from bot.cli.terminal import console, progress
from bot.core.errors import BotError, SettingError
from bot.settings import Settings

# Far more than any post; the rest would change nothing.
_LONGEST_TEXT = 100_000


def check(settings: Settings, options: argparse.Namespace) -> int:  # noqa: ARG001 - a command's signature
    """What the guard says of a text."""
    from bot.cli.show import show_judgement
    from bot.core.content.guard import judge
    from bot.views.plain import to_json
    from bot.views.posts import judgement_json

    judgement = judge(_standard_input() if options.TEXT == "-" else options.TEXT)
    if options.json:
        sys.stdout.write(to_json(judgement_json(judgement)) + "\n")
    else:
        show_judgement(console(), judgement)
    return DONE if judgement.valid else DECIDED_NOT_TO


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read(_LONGEST_TEXT).decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise SettingError("standard input is not UTF-8", fix="give the text in UTF-8") from None


def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """Every part checked."""
    from bot.bootstrap import open_bot
    from bot.cli.show import show_checks
    from bot.doctor import examine, failed_database
    from bot.views.plain import to_json
    from bot.views.status import doctor_json

    with progress(options) as say:
        say("checking")
        try:
            with open_bot(settings, sandbox=options.sandbox, needs_x=True, check_schema=False) as bot:
                with bot.manager.transaction() as tx:
                    for name in options.attest:
                        tx.config.put(name, True)
                checks = list(examine(bot))
        except BotError as error:
            checks = [failed_database(error)]
    checks = [replace(one, detail=options.redact(one.detail)) for one in checks]
    if options.json:
        sys.stdout.write(to_json(doctor_json(checks)) + "\n")
    else:
        show_checks(console(), checks)
    return FAILED if any(one.status == "fail" for one in checks) else DONE

"""`pause`, `resume` and `reconcile`."""

from __future__ import annotations

import argparse
import sys

from bot.cli.codes import DONE, FAILED, UNKNOWN
from bot.cli.queueing import opened
from bot.cli.terminal import console, progress
from bot.settings import Settings


def pause(settings: Settings, options: argparse.Namespace) -> int:
    """Stops posting until `resume`."""
    return _set_paused(settings, options, paused=True)


def resume(settings: Settings, options: argparse.Namespace) -> int:
    """Lets posting go on, and lifts blocks that X's refusals set."""
    return _set_paused(settings, options, paused=False)


def _set_paused(settings: Settings, options: argparse.Namespace, *, paused: bool) -> int:
    from bot.views.plain import to_json

    with opened(settings, options) as at:
        if paused:
            reason = options.redact(options.reason) if options.reason else None
            profile, lifted = at.steering.pause(reason), 0
        else:
            profile, lifted = at.steering.resume()
    if options.json:
        answer = {"profile": profile.handle, "paused": profile.paused, "blocks_lifted": lifted}
        sys.stdout.write(to_json(answer) + "\n")
    else:
        word = "paused" if paused else "posting goes on"
        sys.stdout.write(f"@{profile.handle.removeprefix('@')}: {word}\n")
    return DONE


def reconcile(settings: Settings, options: argparse.Namespace) -> int:
    """Settles what is unknown, and compares the live timeline with the tables."""
    from bot.bootstrap import open_bot
    from bot.cli.show import show_reconciled
    from bot.engine.posting.auditing import audit
    from bot.engine.posting.posting_once import settle_all
    from bot.views.plain import to_json
    from bot.views.status import reconciled_json

    with (
        progress(options) as say,
        open_bot(settings, sandbox=options.sandbox, needs_x=True) as bot,
    ):
        handle = bot.meant(options.profile)
        if not options.sandbox:
            bot.require_keys(handle)
        profile = bot.identify(handle)
        unknown = settle_all(bot.engine, profile, say).tweets
        found = audit(bot.accounts.context(profile))
    if options.json:
        sys.stdout.write(to_json(reconciled_json(profile, unknown, found)) + "\n")
    else:
        show_reconciled(console(), unknown, found)
    if unknown:
        return UNKNOWN
    return DONE if found is not None else FAILED

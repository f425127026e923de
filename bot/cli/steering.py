"""`pause`, `resume` and `reconcile`."""

from __future__ import annotations

import argparse
import sys

from bot.cli.codes import DONE, FAILED, UNKNOWN
from bot.core.errors import SettingError
from bot.settings import Settings
from bot.terminal import console, progress


def pause(settings: Settings, options: argparse.Namespace) -> int:
    """Stops posting until `resume`."""
    return _set_paused(settings, options, paused=True)


def resume(settings: Settings, options: argparse.Namespace) -> int:
    """Lets posting go on, and lifts blocks that X's refusals set."""
    return _set_paused(settings, options, paused=False)


def _set_paused(settings: Settings, options: argparse.Namespace, *, paused: bool) -> int:
    from bot.answers import to_json
    from bot.bootstrap import open_bot
    from bot.engine.noting import noted

    with open_bot(settings, sandbox=options.sandbox) as bot:
        profile = bot.known_profile(options.profile)
        if profile is None:
            raise SettingError("there is no profile yet", fix="the first `run` or `run-once` makes it")
        with bot.manager.transaction() as tx:
            reason = getattr(options, "reason", None)
            profile = tx.profiles.pause(profile.id, paused=paused, reason=reason if paused else None)
            lifted = 0 if paused else tx.rates.lift_blocks(profile.id)
            if not paused:
                tx.tweets.retry_now(profile.id)
            said = (reason or "paused by the operator") if paused else f"resumed; blocks lifted: {lifted}"
            verdict, now = ("paused" if paused else "resumed"), bot.clock.now()
            tx.decisions.record(noted(verdict, said, now=now, kind="operator", profile=profile))
    if options.json:
        answer = {"profile": profile.handle, "paused": profile.paused, "blocks_lifted": lifted}
        sys.stdout.write(to_json(answer) + "\n")
    else:
        word = "paused" if paused else "posting goes on"
        sys.stdout.write(f"@{profile.handle.removeprefix('@')}: {word}\n")
    return DONE


def reconcile(settings: Settings, options: argparse.Namespace) -> int:
    """Settles what is unknown, and compares the live timeline with the tables."""
    from bot.answers import reconciled_json, to_json
    from bot.bootstrap import open_bot
    from bot.engine.auditing import audit
    from bot.engine.posting_once import settle_all
    from bot.show import show_reconciled

    with (
        progress(options) as say,
        open_bot(settings, sandbox=options.sandbox, needs_x=True) as bot,
    ):
        if not options.sandbox:
            settings.require_keys()
        profile = bot.identify(options.profile)
        unknown = settle_all(bot.engine, profile, say).tweets
        found = audit(bot.engine.parts, profile)
    if options.json:
        sys.stdout.write(to_json(reconciled_json(profile, unknown, found)) + "\n")
    else:
        show_reconciled(console(), unknown, found)
    if unknown:
        return UNKNOWN
    return DONE if found is not None else FAILED

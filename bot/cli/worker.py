"""`run`."""

from __future__ import annotations

import argparse
import gc
import sys

from bot.cli.codes import DONE, FAILED, INTERRUPTED
from bot.cli.terminal import fail
from bot.core.errors import BotError
from bot.settings import Settings


def run(settings: Settings, options: argparse.Namespace) -> int:
    """The worker."""
    from bot.signals import Watch, guard, leave

    # Before anything that takes time is loaded: from here on a signal ends it in time.
    watch = Watch()
    watch.listen()
    guard(settings.bot_drain_seconds)
    gc.freeze()
    gc.enable()

    def work() -> bool:
        from bot.pace import open_paced
        from bot.worker import Worker

        with open_paced(
            settings, sandbox=options.sandbox, seconds=options.every, stop=watch.stop, quiet=options.json
        ) as bot:
            if not options.sandbox and settings.bot_mode != "dry-run":
                bot.require_keys()
            return Worker(bot, begun=watch.begun).run()

    code = DONE
    try:
        watch.over(work, drain=settings.bot_drain_seconds)
    except BotError as error:
        if not watch.stop.is_set():
            raise
        code = fail(options, error, FAILED)
    if options.json and code == DONE:
        from bot.views.plain import to_json

        sys.stdout.write(to_json({"stopped": True}) + "\n")
    if watch.interrupted:
        sys.stderr.write("stopped\n")
        code = INTERRUPTED
    leave(code)

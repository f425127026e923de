"""The commands: one short function each. Rules live elsewhere."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from bot.arguments import parser
from bot.core.errors import BotError, SettingError
from bot.settings import Settings, read_settings
from bot.terminal import console, fail, progress, say_error

if TYPE_CHECKING:
    from bot.bootstrap import Bot
    from bot.core.model import Profile
    from bot.engine.parts import Outcome, Stopwatch

DONE, FAILED, WRONG_CALL, DECIDED_NOT_TO, UNKNOWN = range(5)
_EXIT = {
    "posted": DONE,
    "dry_run": DONE,
    "awaiting_approval": DONE,
    "waiting": DECIDED_NOT_TO,
    "rejected": DECIDED_NOT_TO,
    "unknown": UNKNOWN,
    "failed": FAILED,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        settings = read_settings()
        _configure_logs(settings)
        return _COMMANDS[options.command](settings, options)
    except SettingError as error:
        return fail(options, error, WRONG_CALL)
    except BotError as error:
        return fail(options, error, FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED


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

        with open_paced(settings, sandbox=options.sandbox, seconds=options.every, stop=watch.stop) as bot:
            return Worker(bot, begun=watch.begun).run()

    code = DONE
    try:
        watch.over(work, drain=settings.bot_drain_seconds)
    except BotError as error:
        if not watch.stop.is_set():
            raise
        code = fail(options, error, FAILED)
    leave(code)


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
    return _EXIT[outcome.kind.value]


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
            bot.announce()
            profile = bot.identify(options.profile)
            wish = Wish(texts=tuple(options.text or ()), topic=options.topic)
            outcome = post_once(bot.engine, profile, wish, watch=watch, say=say)
            watch.spent["store"] = bot.manager.spent_ms
    except SettingError:
        raise
    except BotError as error:
        if options.json or profile is None:  # else the answer says it
            say_error(options, error)
        outcome = Outcome(kind=OutcomeKind.FAILED, reason=error.code, detail=error.line)
    return profile, outcome


def status(settings: Settings, options: argparse.Namespace) -> int:
    """How the bot stands."""
    from bot.answers import status_json, to_json
    from bot.engine.looking import report_status
    from bot.show import show_status

    with _looking(settings, options) as bot:
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
    from bot.engine.looking import report_usage
    from bot.show import show_usage

    with _looking(settings, options) as bot:
        profile = bot.known_profile(options.profile)
        report = report_usage(bot.manager, bot.limits, profile.id if profile else None, now=bot.clock.now())
    if options.json:
        sys.stdout.write(to_json(usage_json(report)) + "\n")
    else:
        show_usage(console(), report)
    return DONE


def check(settings: Settings, options: argparse.Namespace) -> int:  # noqa: ARG001 - a command's signature
    """What the guard says of a text."""
    from bot.answers import judgement_json, to_json
    from bot.core.guard import judge
    from bot.show import show_judgement

    judgement = judge(options.TEXT)
    if options.json:
        sys.stdout.write(to_json(judgement_json(judgement)) + "\n")
    else:
        show_judgement(console(), judgement)
    return DONE if judgement.valid else DECIDED_NOT_TO


def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """Every part checked."""
    from bot.answers import doctor_json, to_json
    from bot.bootstrap import open_bot
    from bot.doctor import examine, failed_database
    from bot.show import show_checks

    with progress(options) as say:
        say("checking")
        try:
            with open_bot(settings, sandbox=options.sandbox, needs_x=True, check_schema=False) as bot:
                checks = list(examine(bot))
        except BotError as error:
            checks = [failed_database(error)]
    if options.json:
        sys.stdout.write(to_json(doctor_json(checks)) + "\n")
    else:
        show_checks(console(), checks)
    return FAILED if any(one.status == "fail" for one in checks) else DONE


def why(settings: Settings, options: argparse.Namespace) -> int:
    """What was decided, and because of what."""
    from bot.answers import decisions_json, to_json
    from bot.show import show_decisions

    with _looking(settings, options) as bot:
        profile = bot.known_profile(options.profile)
        with bot.manager.transaction() as tx:
            decisions = tx.decisions.last(profile.id if profile else None, limit=options.last)
    if options.json:
        sys.stdout.write(to_json(decisions_json(decisions)) + "\n")
    else:
        show_decisions(console(), decisions)
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


def pause(settings: Settings, options: argparse.Namespace) -> int:
    """Stops posting until `resume`."""
    return _set_paused(settings, options, paused=True)


def resume(settings: Settings, options: argparse.Namespace) -> int:
    """Lets posting go on, and lifts blocks that X's refusals set."""
    return _set_paused(settings, options, paused=False)


def _set_paused(settings: Settings, options: argparse.Namespace, *, paused: bool) -> int:
    from bot.answers import to_json
    from bot.engine.noting import noted

    with _looking(settings, options) as bot:
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


def _looking(settings: Settings, options: argparse.Namespace) -> AbstractContextManager[Bot]:
    from bot.bootstrap import open_bot

    return open_bot(settings, sandbox=options.sandbox)


def _configure_logs(settings: Settings) -> None:
    from bot.logs import configure

    configure(
        level=settings.log_level,
        style=settings.log_format,
        secrets=settings.secrets,
        quiet=("oauthlib", "requests_oauthlib", "tweepy"),
    )


_COMMANDS: dict[str, Callable[[Settings, argparse.Namespace], int]] = {
    "run": run,
    "run-once": run_once,
    "status": status,
    "usage": usage,
    "why": why,
    "reconcile": reconcile,
    "check": check,
    "doctor": doctor,
    "pause": pause,
    "resume": resume,
}

"""`queue`, `approve`, `reject`, `edit` and `schedule`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bot.cli.codes import DECIDED_NOT_TO, DONE
from bot.cli.looking import zone_of
from bot.cli.terminal import console
from bot.core.errors import SettingError
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.bootstrap import Bot
    from bot.core.model import Profile
    from bot.engine.queue import Queued
    from bot.engine.steering import Steering


@dataclass(frozen=True)
class _At:
    """The bot that is open, whose queue it is about, and the zone that its moments are shown in."""

    bot: Bot
    profile: Profile
    zone: ZoneInfo

    @property
    def steering(self) -> Steering:
        """A person's acts on it."""
        from bot.engine.steering import Steering

        return Steering(services=self.bot.services, profile=self.profile)

    def moment(self, said: str) -> datetime:
        """What a person means by a moment; without an offset, it is on the wall of the zone."""
        if said == "now":
            return self.bot.clock.now()
        moment = datetime.fromisoformat(said)
        try:
            return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(UTC)
        except OverflowError as error:
            raise SettingError("there is no such moment", fix="name one within ten years") from error


@contextmanager
def opened(settings: Settings, options: argparse.Namespace) -> Iterator[_At]:
    """The bot and the profile that is meant; asks nobody.

    Raises:
        SettingError: there is no profile yet, or it is not clear which is meant.
    """
    from bot.bootstrap import open_bot

    with open_bot(settings, sandbox=options.sandbox) as bot:
        profile = bot.known_profile(bot.meant(options.profile))
        if profile is None:
            raise SettingError("there is no profile yet", fix="the first `run` or `run-once` makes it")
        yield _At(bot, profile, zone_of(settings, profile, named=bool(options.profile)))


def queue(settings: Settings, options: argparse.Namespace) -> int:
    """What is not sent yet, or an act on one of it."""
    return _ACTIONS[options.action or "list"](settings, options)


def approve(settings: Settings, options: argparse.Namespace) -> int:
    """Lets a text go out."""
    return _act(settings, options, lambda at: at.steering.approve(options.ID), done="approved")


def reject(settings: Settings, options: argparse.Namespace) -> int:
    """Keeps a text from going out."""
    because = options.redact(options.because)
    return _act(
        settings, options, lambda at: at.steering.reject(options.ID, because=because), done="rejected"
    )


def edit(settings: Settings, options: argparse.Namespace) -> int:
    """Changes a text."""
    return _act(settings, options, lambda at: at.steering.edit(options.ID, options.text), done="changed")


def schedule(settings: Settings, options: argparse.Namespace) -> int:
    """Queues a text for a moment."""
    from bot.engine.queue import Queued
    from bot.views.posts import problems_json

    with opened(settings, options) as at:
        done = at.steering.schedule(options.text, at=at.moment(options.at))
    if isinstance(done, Queued):
        return _tell(options, done, at.zone, "scheduled")
    _answer(
        options,
        {"drafts": [], "problems": problems_json(done)},
        "not scheduled: " + "; ".join(one.message for one in done),
    )
    return DECIDED_NOT_TO


def _list(settings: Settings, options: argparse.Namespace) -> int:
    from bot.cli.show_queue import show_queue
    from bot.engine.queue import read_queue
    from bot.views.plain import to_json
    from bot.views.queue import queue_json

    with opened(settings, options) as at:
        found = read_queue(at.bot.services, at.profile)
    if options.json:
        sys.stdout.write(to_json(queue_json(found)) + "\n")
    else:
        show_queue(console(), found, zone=at.zone)
    return DONE


def _show(settings: Settings, options: argparse.Namespace) -> int:
    from bot.engine.queue import read_queued

    return _act(settings, options, lambda at: read_queued(at.bot.services, at.profile, options.ID), done="")


def _drop(settings: Settings, options: argparse.Namespace) -> int:
    return _act(settings, options, lambda at: at.steering.drop(options.ID), done="dropped")


def _move(settings: Settings, options: argparse.Namespace) -> int:
    from bot.cli.show import moment
    from bot.views.queue import slot_json

    with opened(settings, options) as at:
        slot = at.steering.move(options.ID, to=at.moment(options.to))
    _answer(options, slot_json(slot), f"moved to {moment(slot.due_at, at.zone)}")
    return DONE


def _skip(settings: Settings, options: argparse.Namespace) -> int:
    from bot.cli.show import moment
    from bot.views.queue import slot_json

    with opened(settings, options) as at:
        slot = at.steering.skip(options.ID)
    _answer(options, slot_json(slot), f"skipped: {moment(slot.due_at, at.zone)} stays empty")
    return DONE


def _act(settings: Settings, options: argparse.Namespace, act: Callable[[_At], Queued], *, done: str) -> int:
    with opened(settings, options) as at:
        queued = act(at)
    return _tell(options, queued, at.zone, done)


def _tell(options: argparse.Namespace, queued: Queued, zone: ZoneInfo, done: str) -> int:
    """What became of a post; that nothing did, where the guard has anything against it."""
    from bot.cli.show_queue import show_queued
    from bot.views.plain import to_json
    from bot.views.queue import draft_json

    refused = bool(queued.problems and done)
    if options.json:
        sys.stdout.write(to_json(draft_json(queued)) + "\n")
    else:
        said = f"not {done}: the guard refuses the text" if refused else done
        if said:
            console().print(said, style="yellow" if refused else "green")
        show_queued(console(), queued, zone=zone)
    return DECIDED_NOT_TO if refused else DONE


def _answer(options: argparse.Namespace, answer: dict[str, Any], line: str) -> None:
    from bot.views.plain import to_json

    sys.stdout.write((to_json(answer) if options.json else line) + "\n")


_ACTIONS: dict[str, Callable[[Settings, argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "move": _move,
    "skip": _skip,
    "drop": _drop,
}

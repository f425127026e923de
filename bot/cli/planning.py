"""`plan`: what a profile posts about, and how often."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bot.cli.codes import DONE
from bot.cli.queueing import opened
from bot.cli.terminal import printable
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.core.model import Plan
    from bot.core.plans import PlanChange
    from bot.engine.plan_steering import PlanSteering

_SHORT = 8


def plan(settings: Settings, options: argparse.Namespace) -> int:
    """The action that was asked for."""
    from bot.engine.plan_steering import PlanSteering
    from bot.views.plain import to_json
    from bot.views.plans import plan_json, plans_json

    with opened(settings, options) as at:
        plans = _ACTIONS[options.action or "list"](
            PlanSteering(services=at.bot.services, profile=at.profile), options
        )
    if not options.json:
        for one in plans:
            _tell(one)
    else:
        listed = (options.action or "list") == "list"
        sys.stdout.write(to_json(plans_json(plans) if listed else plan_json(plans[0])) + "\n")
    return DONE


def _change(options: argparse.Namespace) -> PlanChange:
    """What the flags say."""
    from bot.core.plans import PlanChange
    from bot.core.states import LatePolicy

    return PlanChange(
        posts_per_day=options.posts_per_day,
        topics=None if options.topics is None else options.topics.split(","),
        day_starts=options.day_starts,
        day_ends=options.day_ends,
        late_policy=None if options.late_policy is None else LatePolicy(options.late_policy),
        late_tolerance=options.late_tolerance,
        spacing=options.spacing,
        include_links=None if options.include_links is None else options.include_links == "yes",
    )


def _tell(one: Plan) -> None:
    links = ", with links" if one.include_links else ""
    sys.stdout.write(
        f"{str(one.id)[:_SHORT]}  {one.status.value}  {one.posts_per_day} posts a day between "
        f"{one.day_starts:%H:%M} and {one.day_ends:%H:%M}{links}; late posts {one.late_policy.value} after "
        f"{one.late_tolerance.total_seconds() / 60:g} min\n"
    )
    if one.topics:
        sys.stdout.write(printable(f"          topics: {', '.join(one.topics)}") + "\n")


_ACTIONS: dict[str, Callable[[PlanSteering, argparse.Namespace], Sequence[Plan]]] = {
    "list": lambda steering, _: steering.all(),
    "show": lambda steering, options: [steering.show(options.ID)],
    "set": lambda steering, options: [steering.change(options.ID, _change(options))],
    "add": lambda steering, options: [steering.add(_change(options))],
    "activate": lambda steering, options: [steering.activate(options.ID)],
    "archive": lambda steering, options: [steering.archive(options.ID)],
}

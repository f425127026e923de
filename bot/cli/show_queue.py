"""The queue on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from bot.cli.show import moment
from bot.cli.terminal import printable
from bot.core.states import Origin, TweetStatus
from bot.engine.queue import Queued
from bot.views.plain import money

if TYPE_CHECKING:
    from rich.console import Console

# Of an id: enough to tell thousands apart.
_SHORT = 8
_COLOURS = {TweetStatus.AWAITING_APPROVAL: "yellow", TweetStatus.APPROVED: "green"}


def show_queue(console: Console, found: Sequence[Queued], *, zone: tzinfo) -> None:
    """Each post that is not sent yet."""
    if not found:
        console.print("nothing is in the queue: drafts come up to two hours ahead of their slots")
    for number, one in enumerate(found):
        if number:
            console.print()
        show_queued(console, one, zone=zone)
    waiting = sum(one.tweet.status is TweetStatus.AWAITING_APPROVAL for one in found)
    if waiting:
        console.print(f"\n{waiting} wait for you: approve ID, reject ID --because T, edit ID --text T")


def show_queued(console: Console, queued: Queued, *, zone: tzinfo) -> None:
    """One of them: its id's beginning, how it stands, its moment, its price, and its text."""
    tweet = queued.tweet
    waits = "as soon as it may" if tweet.origin is Origin.MANUAL else "at the next free slot"
    due = moment(queued.due_at, zone) if queued.due_at else waits
    style = _COLOURS.get(tweet.status, "")
    head = (
        f"{str(tweet.id)[:_SHORT]}  {tweet.status.value.replace('_', ' ')}  {due}  ${money(queued.cost_usd)}"
    )
    console.print(head, style=style, markup=False, highlight=False)
    for part in (tweet, *queued.parts):
        console.print(printable(part.text), markup=False, highlight=False)
    if tweet.source is not None:
        origin = printable(f"{tweet.source.title} ({tweet.source.location})")
        console.print(f"from  {origin}", markup=False, style="dim")
    for problem in queued.problems:
        console.print(f"guard {problem.message}", markup=False, style="yellow")
    if tweet.reason:
        console.print(f"why   {printable(tweet.reason)}", markup=False, style="dim")

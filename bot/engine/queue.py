"""The queue: what a profile means to post and has not sent yet, as a person decides about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Self, TypeVar

from bot.core.content.guard import DUPLICATE_WINDOW, against_all, judge
from bot.core.content.rules import Problem
from bot.core.errors import SettingError
from bot.core.model import Plan, Profile, Slot, Tweet
from bot.core.states import SlotStatus, TweetStatus
from bot.engine.context import Services
from bot.ports import Transaction

IN_QUEUE = (TweetStatus.AWAITING_APPROVAL, TweetStatus.APPROVED, TweetStatus.DRAFTED)
SEE_QUEUE = "`queue` lists what is not sent yet"

_Row = TypeVar("_Row", Tweet, Slot, Plan)


@dataclass(frozen=True, kw_only=True, slots=True)
class Queued:
    """A post that is not sent yet, a thread as one, with what a person decides by.

    Attributes:
        tweet: the post, or the first part of a thread that is not sent yet.
        parts: the parts after it.
        slot: when it is meant to go out; None where it goes as soon as it may, or at the next free slot.
        cost_usd: what X bills for it, links included.
        problems: what the guard has against it.
    """

    tweet: Tweet
    parts: Sequence[Tweet]
    slot: Slot | None
    cost_usd: Decimal
    problems: Sequence[Problem]

    @property
    def due_at(self) -> datetime | None:
        """When its slot is; None without one that is still to come."""
        return self.slot.due_at if self.slot and self.slot.status is SlotStatus.PLANNED else None


def read_queue(services: Services, profile: Profile) -> Sequence[Queued]:
    """What is not sent yet: by its moment, and then by age."""
    with services.database.transaction() as tx:
        rows = _rows(tx, profile)
        said = _Said.beside(tx, profile, rows, now=services.clock.now())
        posts = [_parts(tx, one) for one in rows if _leads(one, rows)]
        found = [queued(services, tx, parts, said.against(parts)) for parts in posts]
    return sorted(found, key=lambda one: (one.due_at is None, one.due_at, one.tweet.created_at))


@dataclass(frozen=True, slots=True)
class _Said:
    """What the profile has said or means to, by fingerprint: read once for a whole queue.

    `queued` counts what is in the queue itself.
    """

    elsewhere: Collection[str]
    queued: Counter[str]

    @classmethod
    def beside(cls, tx: Transaction, profile: Profile, rows: Sequence[Tweet], *, now: datetime) -> Self:
        ids = [row.id for row in rows]
        elsewhere = tx.tweets.fingerprints(profile.id, since=now - DUPLICATE_WINDOW, apart_from=ids)
        return cls(elsewhere, Counter(row.fingerprint for row in rows))

    def against(self, parts: Sequence[Tweet]) -> Sequence[Problem]:
        own = Counter(part.fingerprint for part in parts)
        twice = {one for one in own if one in self.elsewhere or self.queued[one] > own[one]}
        return against_all([judge(part.text, recent_fingerprints=twice) for part in parts])


def read_queued(services: Services, profile: Profile, which: str) -> Queued:
    """One of them.

    Raises:
        SettingError: no id is or begins like this, or several do.
    """
    with services.database.transaction() as tx:
        return queued(services, tx, _parts(tx, find(tx, profile, which)), None)


def queued(
    services: Services, tx: Transaction, parts: Sequence[Tweet], problems: Sequence[Problem] | None
) -> Queued:
    """A post, or a thread's parts, with what a person decides by.

    Args:
        services: what all profiles share.
        tx: in which it is read.
        parts: in their order.
        problems: what is known to stand against it; None asks the guard.
    """
    first = parts[0]
    slots = tx.slots.by_id([first.slot_id] if first.slot_id is not None else [])
    return Queued(
        tweet=first,
        parts=parts[1:],
        slot=next(iter(slots.values()), None),
        cost_usd=sum((services.limits.post_cost(tx, one.text) for one in parts), Decimal(0)),
        problems=against(tx, parts, now=services.clock.now()) if problems is None else problems,
    )


def against(tx: Transaction, parts: Sequence[Tweet], *, now: datetime) -> Sequence[Problem]:
    """What the guard has against a post or a thread's parts, beside what the profile says otherwise.

    Whoever acts on it locks the profile's texts first; who only looks keeps nobody waiting.
    """
    ids = [part.id for part in parts]
    since = now - DUPLICATE_WINDOW
    said = tx.tweets.fingerprints(parts[0].profile_id, since=since, apart_from=ids)
    return against_all([judge(part.text, recent_fingerprints=said) for part in parts])


def find(tx: Transaction, profile: Profile, which: str) -> Tweet:
    """The queued post or part with that id, or the only one whose id begins so.

    Raises:
        SettingError: there is none, or more than one.
    """
    return only(starting(_rows(tx, profile), which), which)


def starting(rows: Sequence[_Row], which: str) -> Sequence[_Row]:
    """Those whose id is that, or begins so."""
    return [row for row in rows if str(row.id).startswith(which.lower())]


def only(found: Sequence[_Row], which: str) -> _Row:
    """The one that is meant.

    Raises:
        SettingError: there is none, or more than one.
    """
    if not found:
        raise SettingError(f"nothing in the queue has the id {which}", fix=SEE_QUEUE)
    if len(found) > 1:
        raise SettingError(f"{len(found)} ids begin with {which}", fix="give more of the one you mean")
    return found[0]


def _rows(tx: Transaction, profile: Profile) -> Sequence[Tweet]:
    """Posts and parts in the queue; a person's draft that goes out now or never is in none."""
    return [row for row in tx.tweets.with_status(profile.id, *IN_QUEUE) if not row.is_wish]


def _parts(tx: Transaction, tweet: Tweet) -> Sequence[Tweet]:
    """The post, or the thread's parts from this one on."""
    if tweet.thread_id is None:
        return [tweet]
    return [one for one in tx.tweets.parts(tweet.thread_id) if one.part >= tweet.part]


def _leads(tweet: Tweet, rows: Sequence[Tweet]) -> bool:
    """Whether it is a single post, or the first part of its thread that is not sent yet."""
    if tweet.thread_id is None:
        return True
    return not any(other.thread_id == tweet.thread_id and other.part < tweet.part for other in rows)

"""When: wall-clock wishes to moments, and what becomes of slots whose moment has passed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.errors import SettingError
from bot.core.model import Plan, Slot, SlotId, Tweet
from bot.core.states import Origin, TweetStatus

# A tick comes every few seconds and a call may take half a minute: that isn't late yet.
ON_TIME = timedelta(minutes=2)
# How late a slot without a plan may be posted.
DEFAULT_TOLERANCE = timedelta(minutes=20)


@dataclass(frozen=True, kw_only=True, slots=True)
class SlotWish:
    """A slot that the plan wants: the wall-clock wish, and the moment it means."""

    local_date: date
    local_time: time
    timezone: str
    due_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Missed:
    """A slot that is given up, and why."""

    slot: Slot
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overdue:
    """What to do about all slots whose moment has come: at most one is posted now.

    That is `due`, or one of those `behind` it, in their order, while `due` has nothing to post.
    """

    due: Slot | None
    missed: tuple[Missed, ...]
    behind: tuple[Slot, ...] = ()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingError(
            f"{name!r} is no time zone", fix="set the profile's timezone to a name like Europe/Berlin"
        ) from error


def moment(day: date, clock_time: time, zone: str) -> datetime:
    """The UTC moment of a wall-clock time.

    A time that a DST change skips means the moment as far after the change as the wish was
    after its start; a time that comes twice means the first of the two. So each comes once.

    Raises:
        SettingError: there is no such zone.
    """
    return datetime.combine(day, clock_time, tzinfo=_zone(zone)).replace(fold=0).astimezone(UTC)


def wishes(plan: Plan, *, zone: str, day: date) -> tuple[SlotWish, ...]:
    """The day's slots: evenly spaced between the plan's first and last hour, whole minutes."""
    start = timedelta(hours=plan.day_starts.hour, minutes=plan.day_starts.minute)
    length = timedelta(hours=plan.day_ends.hour, minutes=plan.day_ends.minute) - start
    found = []
    for index in range(plan.posts_per_day):
        offset = start + length * (2 * index + 1) / (2 * plan.posts_per_day)
        minutes = int(offset.total_seconds() // 60)
        clock_time = time(hour=minutes // 60, minute=minutes % 60)
        found.append(
            SlotWish(
                local_date=day, local_time=clock_time, timezone=zone, due_at=moment(day, clock_time, zone)
            )
        )
    return tuple(found)


def days_to_plan(*, zone: str, now: datetime, days: int) -> tuple[date, ...]:
    """Today and the days after it, on the wall of the zone."""
    today = now.astimezone(_zone(zone)).date()
    return tuple(today + timedelta(days=offset) for offset in range(days))


def next_day(*, zone: str, now: datetime) -> datetime:
    """When the next day begins on the wall of the zone."""
    return moment(days_to_plan(zone=zone, now=now, days=2)[1], time(), zone)


def settle_overdue(overdue: Sequence[Slot], *, now: datetime, tolerance: timedelta) -> Overdue:
    """Decides about every slot whose moment has come. Never a burst, never a catch-up.

    A slot is on time for two minutes. A single late slot is posted within the tolerance. Two or
    more late slots mean an outage: all that is overdue is given up, so that the hours after it
    hold what was planned for them and nothing else.
    """
    waiting = sorted(overdue, key=lambda slot: slot.due_at)
    late = [slot for slot in waiting if now - slot.due_at > ON_TIME]
    if len(late) > 1:
        return Overdue(
            due=None,
            missed=tuple(
                Missed(slot=slot, reason=f"outage: {len(waiting)} slots were due at once") for slot in waiting
            ),
        )
    on_time = [slot for slot in waiting if now - slot.due_at <= ON_TIME]
    if late and (on_time or now - late[0].due_at > tolerance):
        minutes = int((now - late[0].due_at).total_seconds() // 60)
        return Overdue(
            due=on_time[0] if on_time else None,
            missed=(Missed(slot=late[0], reason=f"late by {minutes} min"),),
            behind=tuple(on_time[1:]),
        )
    return Overdue(due=waiting[0] if waiting else None, missed=(), behind=tuple(waiting[1:]))


def tolerance(plan: Plan | None) -> timedelta:
    """How late a slot may be posted."""
    return plan.late_tolerance if plan else DEFAULT_TOLERANCE


def is_on_its_way(tweet: Tweet, claimed: Collection[SlotId]) -> bool:
    """Whether a tick has to look at it: an intent was made, it follows in a thread, or a person queued it.

    A draft whose slot was missed is on no way: it waits for a slot that has none.

    Args:
        tweet: an open tweet.
        claimed: the slots whose tweet is on its way.
    """
    if tweet.status in {TweetStatus.PUBLISHING, TweetStatus.UNKNOWN}:
        return True
    if tweet.status is not TweetStatus.APPROVED:
        return False
    if tweet.part > 1 or tweet.origin is Origin.MANUAL:
        return True
    return tweet.slot_id in claimed


def is_too_late(tweet: Tweet, late: Collection[SlotId], *, now: datetime, tolerance: timedelta) -> bool:
    """Whether a tweet that was tried before is given up instead of being tried again.

    A resend is late some time after its intent; a text that a person queued goes when it may, and a
    thread's part when the one before it is live.

    Args:
        tweet: an open tweet.
        late: claimed slots that are late beyond the tolerance.
        now: when.
        tolerance: how late a post may be.
    """
    if tweet.status is not TweetStatus.APPROVED or tweet.part > 1:
        return False
    if tweet.slot_id in late:
        return True
    resent = tweet.origin is Origin.MANUAL and tweet.resends > 0
    return resent and now - (tweet.intent_at or now) > tolerance

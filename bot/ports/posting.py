"""Rows of what is posted: profiles and plans, slots, tweets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from bot.core.model import (
    KnownPost,
    Lease,
    Made,
    Plan,
    PlanId,
    Profile,
    ProfileId,
    Ready,
    Slot,
    SlotId,
    Tweet,
    TweetId,
)
from bot.core.posting.schedule import SlotWish
from bot.core.states import TweetStatus


class Profiles(Protocol):
    """Accounts."""

    def all(self) -> Sequence[Profile]:
        """Every profile, oldest first."""
        ...

    def with_keys(self, only: Sequence[ProfileId] | None = None) -> Sequence[tuple[Profile, str | None]]:
        """Every profile or those named, oldest first, with its encrypted keys where it has some."""
        ...

    def create(self, *, handle: str, x_user_id: str | None, timezone: str, mode: str) -> Profile:
        """Adds a profile."""
        ...

    def finalize(self, payload: Mapping[str, Any], *, auth_user_id: UUID) -> Mapping[str, Any]:
        """Sets a person's profile and plan up, or changes them: all or nothing; raises SettingError."""
        ...

    def give(self, profile_id: ProfileId, *, auth_user_id: UUID) -> None:
        """Makes a profile a person's; raises SettingError where they have another."""
        ...

    def adopt(self, auth_user_id: UUID) -> Profile:
        """Lets the environment's keys serve the person's profile."""
        ...

    def bind(self, profile_id: ProfileId, *, x_user_id: str, handle: str) -> Profile:
        """Remembers whose keys serve the profile."""
        ...

    def use_app(self, profile_id: ProfileId, app_id: str) -> None:
        """Remembers which X app the profile's keys belong to, by the app's fingerprint."""
        ...

    def configure(self, profile_id: ProfileId, *, timezone: str, mode: str) -> Profile:
        """Takes the environment's zone and mode over."""
        ...

    def choose(self, profile_id: ProfileId, **chosen: Any) -> None:
        """Remembers what a person chose: it holds where the environment says nothing."""
        ...

    def pause(self, profile_id: ProfileId, *, paused: bool, reason: str | None) -> Profile:
        """Stops or resumes posting."""
        ...


class Plans(Protocol):
    """What profiles post about, and how often."""

    def all(self, profile_id: ProfileId) -> Sequence[Plan]:
        """Every plan of a profile: the active one first, then drafts, then archived ones, newest first."""
        ...

    def add(self, plan: Plan) -> Plan:
        """Adds a row."""
        ...

    def save(self, plan: Plan) -> Plan:
        """Writes a row's next state; the active one is archived before another becomes so."""
        ...

    def active(self, profile_id: ProfileId) -> Plan | None:
        """The one plan that fills slots."""
        ...

    def start(self, profile_id: ProfileId, *, posts_per_day: int) -> Plan:
        """Makes a new plan the active one; future slots of the old one go."""
        ...

    def planned_days(self, profile_id: ProfileId, plan: Plan, *, since: date) -> Collection[date]:
        """Days from one on for which the plan has slots that are still to come."""
        ...

    def forget_planned(self, plan_id: PlanId, *, after: datetime) -> int:
        """Deletes a plan's slots that are still to come; returns how many."""
        ...


class Slots(Protocol):
    """The posting schedule."""

    def add(self, profile_id: ProfileId, plan: Plan, wishes: Sequence[SlotWish]) -> int:
        """Adds wishes that are not there yet; returns how many."""
        ...

    def overdue(self, profile_id: ProfileId, *, now: datetime) -> Sequence[Slot]:
        """Planned slots whose moment has come, oldest first."""
        ...

    def claimed(self, profile_id: ProfileId) -> Sequence[Slot]:
        """Slots whose tweet is on its way."""
        ...

    def upcoming(
        self, profile_id: ProfileId, *, after: datetime, before: datetime, limit: int | None = None
    ) -> Sequence[Slot]:
        """Planned slots in an interval, oldest first."""
        ...

    def to_write(self, profile_id: ProfileId, *, after: datetime, before: datetime) -> Slot | None:
        """The first planned slot of an interval without a tweet that nobody writes for or has put off."""
        ...

    def claim_writing(self, slot_id: SlotId, *, by: str, span: timedelta) -> bool:
        """Takes the slot to write for it, for so long; False when another has it, or it has a tweet."""
        ...

    def still_to_write(self, slot_id: SlotId) -> bool:
        """Whether it is planned and has no tweet; its row stays locked to the transaction's end."""
        ...

    def put_off_writing(self, slot_id: SlotId, *, first: timedelta, longest: timedelta) -> None:
        """Lets nobody write for the slot for a while: the first pause, doubled with each try."""
        ...

    def give_back_writing(self, *, by: str) -> int:
        """Lets others write where this worker was writing."""
        ...

    def add_by_hand(self, profile_id: ProfileId, *, due_at: datetime) -> Slot:
        """Adds a slot that no plan wants; raises NotPossibleNow where another has that moment."""
        ...

    def by_id(self, slot_ids: Collection[SlotId]) -> Mapping[SlotId, Slot]:
        """Those of them that there are."""
        ...

    def planned(self, profile_id: ProfileId) -> Sequence[Slot]:
        """Every slot that is still planned, oldest first."""
        ...

    def lock(self, slot_id: SlotId) -> Slot:
        """One row, locked to the transaction's end."""
        ...

    def reschedule(self, slot: Slot) -> Slot:
        """Writes a locked row's new moment; raises RowChanged, and NotPossibleNow where another has it."""
        ...

    def save(self, slot: Slot) -> Slot:
        """Writes a locked row's next state; raises RowChanged, ForbiddenTransition."""
        ...


class Tweets(Protocol):
    """Tweets from draft to live."""

    def add(self, tweet: Tweet) -> Tweet:
        """Adds a row."""
        ...

    def get(self, tweet_id: TweetId) -> Tweet:
        """One row."""
        ...

    def of_slot(self, slot_id: SlotId) -> Tweet | None:
        """The slot's root tweet."""
        ...

    def with_status(self, profile_id: ProfileId, *statuses: TweetStatus) -> Sequence[Tweet]:
        """Open tweets in these states, oldest intent first."""
        ...

    def open(self, profile_id: ProfileId) -> Sequence[Tweet]:
        """Every tweet that is not at an end."""
        ...

    def counts(self, profile_id: ProfileId) -> dict[str, int]:
        """How many tweets are in each open state."""
        ...

    def last_posted(self, profile_id: ProfileId) -> Tweet | None:
        """The newest live tweet."""
        ...

    def retry_now(self, profile_id: ProfileId) -> int:
        """Lets what waits for another try go at the next tick; returns how many."""
        ...

    def last_live(self, profile_id: ProfileId, *, limit: int) -> Sequence[Tweet]:
        """The newest tweets that say posted."""
        ...

    def left_over(self, profile_id: ProfileId) -> Tweet | None:
        """The oldest draft without a slot: its slot was missed, or went with an older plan."""
        ...

    def parts(self, thread_id: TweetId) -> Sequence[Tweet]:
        """A thread's parts in order."""
        ...

    def lock(self, tweet_id: TweetId) -> Tweet:
        """One row, locked to the transaction's end."""
        ...

    def save(self, tweet: Tweet) -> Tweet:
        """Writes a locked row's next state; raises RowChanged, ForbiddenTransition, IdTaken."""
        ...

    def lock_texts(self, profile_id: ProfileId) -> None:
        """Lets one transaction at a time judge and keep the profile's texts."""
        ...

    def fingerprints(
        self, profile_id: ProfileId, *, since: datetime, apart_from: Collection[TweetId] = ()
    ) -> Collection[str]:
        """Of all texts that are live, on their way, meant to be, or that a person turned down for a slot."""
        ...

    def recent_texts(self, profile_id: ProfileId, *, limit: int) -> Sequence[str]:
        """The newest texts, drafts included, newest first."""
        ...

    def known_ids(self, x_tweet_ids: Sequence[str]) -> Collection[str]:
        """Those of the ids that a row holds already, whosever."""
        ...


class Sending(Protocol):
    """Posts that are ready, sent and made, many at a time."""

    def claim(
        self,
        profile_ids: Sequence[ProfileId],
        *,
        holder: str,
        asked_at: float,
        lasts: timedelta,
        now: datetime,
    ) -> Sequence[Ready]:
        """The single posts that go out now with nothing else to be settled, at most one a profile."""
        ...

    def last_known(self, profile_id: ProfileId) -> Sequence[KnownPost]:
        """An account's newest posts that rows hold, newest first."""
        ...

    def begin(
        self, leases: Mapping[TweetId, Lease], after: Mapping[TweetId, str | None], *, now: datetime
    ) -> None:
        """Marks tweets as being sent, and their slots as taken; raises ForbiddenTransition."""
        ...

    def made(self, posts: Sequence[Made], *, now: datetime) -> Collection[TweetId]:
        """Says of tweets that are being sent that X made them, and gives their leases back; returns those."""
        ...

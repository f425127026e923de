"""The bot's words as frozen values.

Every moment is an aware datetime in UTC; every amount of money is a Decimal in US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import NewType
from uuid import UUID

from bot.core.moments import aware
from bot.core.rates import RateWindow
from bot.core.states import CallKind, CallState, LatePolicy, Mode, Origin, PlanStatus, SlotStatus, TweetStatus

ProfileId = NewType("ProfileId", UUID)
PlanId = NewType("PlanId", UUID)
SlotId = NewType("SlotId", UUID)
TweetId = NewType("TweetId", UUID)
CallId = NewType("CallId", UUID)

# Between the headings of a note's title.
PATH_MARK = " › "  # noqa: RUF001


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One X account that the bot runs.

    `app` is the fingerprint of the X app that its keys belong to, None while that isn't known; keys come
    and go, and the profile stays the same. `adoptable` says whether the environment's keys may serve it
    before it has an account: not one that a signed-in person set up. `chosen` is what a
    person chose, `mode`, `timezone` and `posts_per_day`: it holds where the environment says nothing.
    """

    id: ProfileId
    auth_user_id: UUID
    handle: str
    x_user_id: str | None
    timezone: str
    mode: Mode
    paused: bool
    pause_reason: str | None
    app: str | None = field(default=None, compare=False)
    adoptable: bool = field(default=True, compare=False)
    chosen: Mapping[str, object] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a profile posts about and how often."""

    id: PlanId
    profile_id: ProfileId
    status: PlanStatus
    posts_per_day: int
    topics: tuple[str, ...]
    day_starts: time
    day_ends: time
    late_policy: LatePolicy
    late_tolerance: timedelta
    spacing: timedelta
    include_links: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A planned moment to post.

    `due_at` is the moment in UTC; `local_date`, `local_time` and `timezone` are the wall-clock
    wish it came from (None for a slot written by hand). `revision` is as a tweet's.
    """

    id: SlotId
    profile_id: ProfileId
    due_at: datetime
    status: SlotStatus = SlotStatus.PLANNED
    plan_id: PlanId | None = None
    local_date: date | None = None
    local_time: time | None = None
    timezone: str | None = None
    topic: str | None = None
    format: str | None = None
    reason: str | None = None
    revision: str | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "due_at", aware(self.due_at))


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a text comes from: the exact item, so that a reader can check.

    `location` is the URL or path the operator named; `url` is the item's own public address, if
    it has one; `id` is stable over reads of the same item.
    """

    id: str
    kind: str
    title: str
    location: str
    url: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """The item as `--json` and the tweet row name it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "location": self.location,
            "url": self.url,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Tweet:
    """One post, or one part of a thread, from draft to live.

    `thread_id` is the root part's id (None for a single post); `part` counts from 1.
    `first_intent_at` and `intent_at` are when a call was first and last about to be made, by the
    clock of the process that made it. `after_x_id` is the account's newest post that was known at
    the first of them, where its id is believed: a call of this tweet made a younger one.
    `fencing` is the lease number of the last, `resends` how often a proven absence led to a second call.
    `absent_reads` counts looks at the timeline that were complete and did not show the text,
    `inconclusive_reads` those in a row that proved nothing. `revision` names the row as it was
    locked, over which the next state may be saved; what was only read has none.
    """

    id: TweetId
    profile_id: ProfileId
    idempotency_key: str
    text: str
    fingerprint: str
    status: TweetStatus
    slot_id: SlotId | None = None
    thread_id: TweetId | None = None
    part: int = 1
    origin: Origin = Origin.SLOT
    topic: str | None = None
    source: Source | None = None
    writer: str | None = None
    x_tweet_id: str | None = None
    posted_at: datetime | None = None
    first_intent_at: datetime | None = None
    after_x_id: str | None = None
    intent_at: datetime | None = None
    fencing: int | None = None
    attempts: int = 0
    resends: int = 0
    absent_reads: int = 0
    inconclusive_reads: int = 0
    looked_at: datetime | None = None
    next_attempt_at: datetime | None = None
    reason: str | None = None
    created_at: datetime | None = None
    revision: str | None = field(default=None, compare=False, repr=False)

    @property
    def is_wish(self) -> bool:
        """Whether it is a person's draft that goes out now or never, and counts as said only then."""
        return self.origin is Origin.MANUAL and self.status is TweetStatus.DRAFTED


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Whose keys these are, as X says."""

    x_user_id: str
    username: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Posted:
    """X's yes: the post exists under this id."""

    x_tweet_id: str
    text: str
    rates: tuple[RateWindow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LivePost:
    """A post as the account's timeline or a look-up shows it.

    `links` maps each t.co address in the text to what it stands for; media links map to "".
    """

    x_tweet_id: str
    text: str
    created_at: datetime | None
    reply_to: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """A read of posts: what was there, and how many resources it cost.

    `complete` is False when the read's page limit cut the answer off. `whole` is False when a page
    did not say how many posts it has, or spoke of errors: what it doesn't show may be there.
    """

    posts: tuple[LivePost, ...]
    complete: bool = True
    whole: bool = True
    rates: tuple[RateWindow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right to act for a profile, with its fencing number.

    `ends` is a moment of the holder's own monotonic clock, counted from before the lease was asked
    for: the database gives it to nobody else before then. `began` is a moment of the database's
    clock, which all workers share.
    """

    profile_id: ProfileId
    holder: str
    fencing: int
    began: datetime
    ends: float


@dataclass(frozen=True, slots=True)
class KnownPost:
    """A live post of an account's by X's id, and when a row says that it was posted."""

    x_tweet_id: str
    posted_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A post that goes out now, and what it is weighed and sent with.

    Attributes:
        tweet: the post.
        lease: the right under which it is sent.
        plan: the profile's active plan.
        known: the account's newest posts that rows hold, newest first.
    """

    tweet: Tweet
    lease: Lease
    plan: Plan | None
    known: tuple[KnownPost, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A post that X made: of which tweet, by which call, and under which lease."""

    tweet_id: TweetId
    x_tweet_id: str
    call_id: CallId
    fencing: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A ledger row: what one call to a paid service reserves or spent."""

    id: CallId
    api: str
    kind: CallKind
    endpoint: str
    units: int
    cost_usd: Decimal
    at: datetime
    state: CallState = CallState.RESERVED
    tokens: int = 0
    profile_id: ProfileId | None = None
    tweet_id: TweetId | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRecord:
    """What one tick decided for one profile, with the numbers it saw."""

    at: datetime
    kind: str
    verdict: str
    reason: str
    profile_id: ProfileId | None = None
    limit: str | None = None
    used: Decimal | None = None
    cap: Decimal | None = None
    until: datetime | None = None
    slot_id: SlotId | None = None
    tweet_id: TweetId | None = None
    numbers: Mapping[str, object] = field(default_factory=dict)
    repeated: int = 1
    last_at: datetime | None = None

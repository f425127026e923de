"""`run --sandbox`: a slot every so many seconds, and on the terminal what became of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.bootstrap import Bot, open_bot
from bot.core.codes import DecisionKind, ErrorCode, Ruling
from bot.core.content.drafts import Draft, DraftRequest
from bot.core.content.guard import judge
from bot.core.errors import BotError, SettingError, WriterFailed
from bot.core.model import Plan, Profile, TweetId
from bot.core.posting.schedule import SlotWish
from bot.core.spending.usage import ModelUsage
from bot.core.states import SlotStatus
from bot.engine.slots import move_slot
from bot.ports import Transaction, Writer
from bot.settings import Settings

EVERY_SECONDS = 60
LOOK_SECONDS = 0.5
_TRIES = 20
# Rulings that say why there is no post.
_AGAINST = frozenset({Ruling.WAIT, Ruling.FAILED, Ruling.REJECTED, Ruling.EXPIRED})


def paced(settings: Settings) -> Settings:
    """The settings of a sandbox whose slots come from here: no others, and a day's cap only if it is set."""
    changes: dict[str, object] = {"bot_posts_per_day": 0}
    if "x_posts_per_24h" not in settings.model_fields_set:
        changes["x_posts_per_24h"] = None
    return settings.model_copy(update=changes)


@contextmanager
def open_paced(
    settings: Settings,
    *,
    sandbox: bool,
    seconds: int | None,
    stop: threading.Event,
    quiet: bool = False,
) -> Iterator[Bot]:
    """Opens the worker's bot; the sandbox's has a slot every so many seconds, and tells unless it is quiet.

    Raises:
        SettingError, DatabaseUnavailable, SchemaOutdated: nothing was done.
    """
    if not sandbox:
        if seconds:
            raise SettingError("--every is for the sandbox", fix="add --sandbox, or set BOT_POSTS_PER_DAY")
        with open_bot(settings, needs_x=True, stop=stop) as bot:
            yield bot
        return
    with (
        open_bot(paced(settings), sandbox=True, needs_x=True, stop=stop) as bot,
        keeping_pace(bot, seconds=seconds or EVERY_SECONDS, say=_keep_quiet if quiet else _print),
    ):
        yield bot


@contextmanager
def keeping_pace(bot: Bot, *, seconds: int, say: Callable[[str], None]) -> Iterator[None]:
    """Adds slots beside the worker, which knows nothing of it, and says what was posted and what wasn't."""
    if bot.adapters.writer.name == "offline":
        bot.adapters.writer = Endless(bot.adapters.writer, bot.clock.now)
    pace = _Pace(bot, timedelta(seconds=seconds), say)
    ended = threading.Event()

    def go_on() -> None:
        while not (ended.is_set() or bot.clock.stop.is_set()):
            try:
                pace.look()
            except BotError as error:
                bot.log.warning("pace_kept_waiting", code=error.code, error=error.line)
            ended.wait(LOOK_SECONDS)

    say(f"a post every {seconds} seconds to a local X; Ctrl-C ends it")
    thread = threading.Thread(target=go_on, name="pace", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Pace:
    """One look: the next slot, the newest post, the newest reason against one."""

    def __init__(self, bot: Bot, every: timedelta, say: Callable[[str], None]) -> None:
        self._bot = bot
        self._every = every
        self._say = say
        self._since = bot.clock.now()
        self._next: datetime | None = None
        self._shown: TweetId | None = None
        self._told: tuple[str, datetime | None] | None = None

    def look(self) -> None:
        """Adds the next slot once it is time to, and tells what is new."""
        profile = self._bot.known_profile()
        if profile is None:
            return
        now = self._bot.clock.now()
        with self._bot.manager.transaction() as tx:
            plan = tx.plans.active(profile.id)
            # A plan that wants posts of its own is one that the worker has yet to replace.
            if plan is None or plan.posts_per_day:
                return
            if self._next is None:
                self._forget_old_slots(tx, profile, now)
                last = tx.tweets.last_posted(profile.id)
                self._shown = last.id if last else None
            if self._next is None or now >= self._next:
                self._next = now + self._every
                _add_slot(tx, profile, plan, now)
            self._tell(tx, profile)

    def _forget_old_slots(self, tx: Transaction, profile: Profile, now: datetime) -> None:
        """Gives up what an earlier run left: it isn't an outage when somebody stops a sandbox."""
        far = now + timedelta(days=60)
        for slot in (
            *tx.slots.overdue(profile.id, now=now),
            *tx.slots.upcoming(profile.id, after=now, before=far),
        ):
            if slot.plan_id is not None:  # else a person scheduled it
                move_slot(tx, slot.id, SlotStatus.EXPIRED, reason="left by an earlier run of the sandbox")

    def _tell(self, tx: Transaction, profile: Profile) -> None:
        last = tx.tweets.last_posted(profile.id)
        if last is not None and last.id != self._shown and last.posted_at is not None:
            self._shown, self._told, self._since = last.id, None, last.posted_at
            source = f"\n  from {last.source.title}" if last.source else ""
            self._say(f"{last.posted_at:%H:%M:%S} posted {last.x_tweet_id}\n  {last.text}{source}")
        for one in tx.decisions.last(profile.id, limit=5, kinds=(DecisionKind.PUBLISH, DecisionKind.PREPARE)):
            if (one.last_at or one.at) < self._since or one.verdict not in _AGAINST:
                continue
            if (one.reason, one.until) != self._told:
                self._told = (one.reason, one.until)
                until = f", until {one.until:%d %b %H:%M:%S} UTC" if one.until else ""
                self._say(f"{one.last_at or one.at:%H:%M:%S} not posted: {one.reason}{until}")
            return


class Endless:
    """A writer that says things again, with the time, once everything was said."""

    def __init__(self, inner: Writer, now: Callable[[], datetime]) -> None:
        self._inner = inner
        self._now = now
        self.name = inner.name

    def estimate(self, request: DraftRequest) -> ModelUsage | None:
        """What the inner writer would use."""
        return self._inner.estimate(request)

    def write(self, request: DraftRequest) -> Draft:
        """The inner writer's draft, or an old one marked as said again.

        Raises:
            WriterFailed: there is nothing to say at all.
        """
        if not request.feedback:
            try:
                return self._inner.write(request)
            except WriterFailed as error:
                if error.code != ErrorCode.SOURCES_USED_UP:
                    raise
        # The guard knows more old texts than a request names.
        avoid: tuple[str, ...] = ()
        for _ in range(_TRIES):
            draft = self._inner.write(replace(request, avoid=avoid))
            text = f"Said again at {self._now():%H:%M:%S on %d %b}: {draft.text}"
            if judge(text).valid:
                return replace(draft, text=text)
            avoid = (draft.text, *avoid)
        raise WriterFailed("every sentence is too long to be said again", code=ErrorCode.SOURCES_USED_UP)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _keep_quiet(text: str) -> None:
    del text


def _add_slot(tx: Transaction, profile: Profile, plan: Plan, now: datetime) -> None:
    local = now.astimezone(ZoneInfo(profile.timezone))
    wish = SlotWish(
        local_date=local.date(),
        local_time=local.time().replace(microsecond=0),
        timezone=profile.timezone,
        due_at=now,
    )
    tx.slots.add(profile.id, plan, [wish])

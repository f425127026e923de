"""What the worker's crew does: one job for one profile, as its row says now; and whom it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.bootstrap import Bot
from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import BotError, Fatal, ServiceError
from bot.core.model import Profile, ProfileId
from bot.core.work import Work
from bot.engine.context import ProfileContext
from bot.engine.decisions import DecisionRecorder
from bot.engine.jobs import JOBS, forget
from bot.engine.learning.planning import ensure_plan, fill_schedule
from bot.engine.posting.batches import publish_ready
from bot.engine.reports import report_usage

LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What became of a job.

    Attributes:
        again: when it wants to act next, where no row tells.
        wrote: whether a draft is there now that a tick may wait for.
        gone: whether the profile is run no more.
    """

    again: datetime | None = None
    wrote: bool = False
    gone: bool = False


class Acting:
    """Carries work out. A fault in one job ends neither the worker nor another job."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._own: Profile | None = None
        self._ask_pause = timedelta(seconds=bot.settings.bot_tick_seconds)
        self._calls = ThreadPoolExecutor(bot.settings.bot_calls_at_once, thread_name_prefix="call")

    @property
    def met(self) -> bool:
        """Whether it is known whose keys the environment holds, or that it holds none."""
        return self._own is not None or not self._bot.accounts.has_own

    @property
    def own(self) -> Sequence[ProfileId]:
        """The profile that the environment's keys serve, once it is known."""
        return () if self._own is None else (self._own.id,)

    def do(self, work: Work) -> Done:
        """Does one job."""
        begun = self._bot.clock.now()
        try:
            return self._do(work)
        except BotError as error:
            self._bot.log.warning("job_failed", job=work.kind, code=error.code, error=error.line)
            self._leave_row(work, Ruling.FAILED, error.line, begun=begun)
        except Exception as error:
            # The one catch-all: a fault in one job must not end a worker that is left alone for months.
            self._bot.log.exception("job_broke", job=work.kind)
            self._leave_row(work, Ruling.BROKE, f"{type(error).__name__}: see the log", begun=begun)
        retry = JOBS[work.kind].retry if work.kind in JOBS else self._ask_pause
        return Done(again=None if retry is None else self._bot.clock.now() + retry)

    def publish(self, works: Sequence[Work]) -> Iterator[tuple[Work, Done | None]]:
        """Publishes what goes out as it stands, for all of these profiles together.

        Yields:
            Each work as soon as it is done, and with None what a tick of its own has to do.
        """
        left = {work.profile_id: work for work in works}
        try:
            for context, outcome in publish_ready(
                self._bot.services,
                self._contexts(works),
                self._calls,
                at_once=self._bot.settings.bot_calls_at_once,
            ):
                yield left.pop(context.profile.id), None if outcome is None else Done()
        except Exception:
            # Each finds out alone what is wrong with one of them.
            self._bot.log.exception("batch_broke", profiles=len(left))
        for work in left.values():
            yield work, None

    def close(self) -> None:
        """Lets go of the threads that X is called on; what still hangs there is not waited for."""
        self._calls.shutdown(wait=False, cancel_futures=True)

    def meet(self) -> datetime | None:
        """Asks X whose keys the environment holds.

        Returns:
            When to ask again, where X could not be reached: ever more seldom, for an answer that is
            lost may be billed.

        Raises:
            Fatal, SettingError: an operator has to mend something first.
        """
        if self.met:
            return None
        again = self._bot.clock.now() + self._ask_pause
        self._ask_pause = min(self._ask_pause * 2, LONGEST_PAUSE)
        try:
            profile = self._bot.identify(keep=True)
        except Fatal:
            raise
        except ServiceError as error:
            self._bot.log.warning("account_not_identified", code=error.code, error=error.line)
            return again
        context = self._bot.accounts.context(profile)
        settings = self._bot.settings
        wanted = settings.said("bot_posts_per_day")
        if wanted is None:
            wanted = profile.chosen.get("posts_per_day", settings.bot_posts_per_day)
        ensure_plan(context, posts_per_day=wanted)
        fill_schedule(context)
        self._bot.log.info("profile_ready", handle=profile.handle, mode=profile.mode.value)
        self._foretell(profile)
        self._own = profile
        return None

    def abandon(self, left: Sequence[Work]) -> None:
        """Marks what was being sent unknown: the answer comes too late for this process."""
        for work in left:
            if work.kind is DecisionKind.PUBLISH and (profile := self._fresh(work)) is not None:
                self._bot.engine.abandon(profile)

    def _do(self, work: Work) -> Done:
        if work.kind is DecisionKind.START:
            return Done(again=self.meet())
        if work.kind is DecisionKind.FORGET:
            return Done(again=forget(self._bot.services))
        profile = self._fresh(work)
        if profile is None:
            return Done(gone=True)
        again = JOBS[work.kind].act(self._bot.accounts.context(profile))
        return Done(again=again, wrote=work.kind is DecisionKind.PREPARE)

    def _fresh(self, work: Work) -> Profile | None:
        """The profile as its row says now, while this worker runs it."""
        if work.profile_id is None:
            return None
        with self._bot.manager.transaction() as tx:
            return next(iter(self._bot.accounts.those(tx, [work.profile_id], own=self.own)), None)

    def _contexts(self, works: Sequence[Work]) -> Sequence[ProfileContext]:
        ids = [work.profile_id for work in works if work.profile_id is not None]
        with self._bot.manager.transaction() as tx:
            profiles = self._bot.accounts.those(tx, ids, own=self.own)
        return [self._bot.accounts.context(profile) for profile in profiles]

    def _foretell(self, profile: Profile) -> None:
        """Says where the month ends, and when a crash loop makes the first post wait."""
        bot = self._bot
        report = report_usage(bot.manager, bot.limits, profile.id, now=bot.clock.now())
        bot.log.info(
            "forecast",
            spent_usd=str(report.usage.cost_month),
            month_end_usd=str(report.forecast.cost_usd),
            posts_left=report.forecast.posts_left,
            days_left=report.forecast.days_left,
        )
        brake = next((gauge for gauge in report.gauges if gauge.name == "restarts"), None)
        if brake is not None:
            bot.log.warning("crash_loop_brake", starts=int(brake.used), first_post_not_before=brake.frees_at)

    def _leave_row(self, work: Work, ruling: Ruling, reason: str, *, begun: datetime) -> None:
        """Says why a job failed, where rows can be written and the job has not said so itself."""
        if work.profile_id is None:
            return
        with suppress(BotError), self._bot.manager.transaction() as tx:
            profile = next((one for one in tx.profiles.all() if one.id == work.profile_id), None)
            if profile is None:
                return
            last = next(iter(tx.decisions.last(profile.id, limit=1, kinds=(work.kind,))), None)
            if last is None or last.reason != reason or (last.last_at or last.at) < begun:
                # Without the profile's adapters: making one of them may be what failed.
                DecisionRecorder(tx=tx, kind=work.kind, profile=profile, now=self._bot.clock.now()).note(
                    ruling, reason
                )

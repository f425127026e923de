"""The metronome: APScheduler beats time, rows say what is due."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from types import FrameType

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from bot.bootstrap import Bot
from bot.core.errors import BotError, Fatal, ServiceError
from bot.core.model import DecisionRecord, Profile
from bot.engine.auditing import audit_if_due
from bot.engine.looking import report_usage
from bot.engine.planning import ensure_plan, fill_schedule
from bot.engine.preparing import prepare_next

WAKE_SECONDS = 0.25
LONGEST_PAUSE = timedelta(minutes=15)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Watch:
    """Hears the system's signals while the work is done in a thread of its own.

    A handler that raised would break whatever it met: a library's half-opened connection as well.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.begun = threading.Event()

    def over(self, work: Callable[[], bool], *, patience: float) -> bool | None:
        """What `work` returns; None when it was asked to stop before it had begun, and came to nothing.

        Until it has begun, nothing is half done that the next start would not find. It is waited for
        `patience` seconds, and then left where it waits, for a database or for X: signals do again
        what they do to any program, which has only to end.

        Raises:
            Exception: whatever `work` raised, unless it was asked to stop before it had begun.
        """
        for number in SIGNALS:
            signal.signal(number, self._heard)
        ended: Future[bool] = Future()

        def carry_out() -> None:
            try:
                ended.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
                ended.set_exception(error)

        threading.Thread(target=carry_out, name="worker", daemon=True).start()
        patient_until = None
        # The system may hand a signal to any thread, and Python runs its handler only once the main
        # thread wakes up: one that waits for ever would sleep through it.
        while not wait([ended], timeout=WAKE_SECONDS).done:
            if not self._given_up:
                continue
            patient_until = patient_until or monotonic() + patience
            if monotonic() > patient_until:
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_DFL)
                return None
        return None if self._given_up and ended.exception() else ended.result()

    @property
    def _given_up(self) -> bool:
        return self.stop.is_set() and not self.begun.is_set()

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.stop.set()


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Something that is looked after every so often."""

    name: str
    every: timedelta
    act: Callable[[Bot, Profile], object]


def jobs(tick: timedelta) -> tuple[Job, ...]:
    """The job table: the same for the worker and for a rehearsal."""
    return (
        Job(name="tick", every=tick, act=lambda bot, profile: bot.engine.tick(profile)),
        Job(
            name="prepare",
            every=max(tick, timedelta(seconds=30)),
            act=lambda bot, profile: prepare_next(bot.engine.parts, profile),
        ),
        Job(
            name="audit",
            every=timedelta(hours=1),
            act=lambda bot, profile: audit_if_due(bot.engine.parts, profile),
        ),
        Job(
            name="plan",
            every=timedelta(hours=1),
            act=lambda bot, profile: fill_schedule(bot.engine.parts, profile),
        ),
    )


class Worker:
    """Runs the jobs one at a time until it is asked to stop."""

    def __init__(self, bot: Bot, *, begun: threading.Event) -> None:
        self._bot = bot
        self._begun = begun
        self._profile: Profile | None = None
        self._ask_pause = timedelta(seconds=bot.settings.bot_tick_seconds)
        self._ask_at = bot.clock.now()
        self._idle = threading.Condition()
        self._running = False

    def run(self) -> bool:
        """Works until it is asked to stop.

        Returns:
            False when a call outlasted the draining time, and still hangs in its thread.

        Raises:
            BotError: it could not start, or an operator has to mend something first.
        """
        for step in (self._bot.announce, self._note_start, self._meet_account):
            if self._bot.clock.stop.is_set():
                return True
            step()
        self._begun.set()
        scheduler = self._scheduler()
        scheduler.start()
        self._bot.log.info("worker_started", pid=os.getpid())
        self._bot.clock.stop.wait()
        scheduler.remove_all_jobs()
        drained = self._drain()
        scheduler.shutdown(wait=drained)
        self._bot.log.info("worker_stopped", drained=drained)
        if not drained:
            self._abandon()
        return drained

    def _note_start(self) -> None:
        now = self._bot.clock.now()
        with self._bot.manager.transaction() as tx:
            tx.decisions.record(
                DecisionRecord(at=now, kind="start", verdict="started", reason="the worker started")
            )

    def _meet_account(self) -> None:
        self._profile = self._identify()
        if self._profile is not None:
            self._foretell(self._profile)

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

    def _identify(self) -> Profile | None:
        """The profile, or None while X can't be reached; wrong keys end the worker."""
        # Ever more seldom, whatever comes of it: an answer that is lost may be billed.
        self._ask_at = self._bot.clock.now() + self._ask_pause
        self._ask_pause = min(self._ask_pause * 2, LONGEST_PAUSE)
        try:
            profile = self._bot.identify(keep=True)
        except Fatal:
            raise
        except ServiceError as error:
            self._bot.log.warning("account_not_identified", code=error.code, error=error.line)
            return None
        ensure_plan(self._bot.engine.parts, profile, posts_per_day=self._bot.settings.bot_posts_per_day)
        fill_schedule(self._bot.engine.parts, profile)
        self._bot.log.info("profile_ready", handle=profile.handle, mode=profile.mode.value)
        return profile

    def _scheduler(self) -> BackgroundScheduler:
        scheduler = BackgroundScheduler(timezone="UTC", executors={"default": ThreadPoolExecutor(1)})
        now = self._bot.clock.now()
        for job in jobs(timedelta(seconds=self._bot.settings.bot_tick_seconds)):
            scheduler.add_job(
                self._beat,
                "interval",
                args=[job],
                id=job.name,
                seconds=job.every.total_seconds(),
                next_run_time=now,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=max(1, int(job.every.total_seconds())),
            )
        return scheduler

    def _beat(self, job: Job) -> None:
        with self._idle:
            if self._bot.clock.stop.is_set():
                return
            self._running = True
        try:
            self._act(job)
        except BotError as error:
            self._bot.log.warning("job_failed", job=job.name, code=error.code, error=error.line)
        except Exception:
            # The one catch-all: a fault in one beat must not end a worker that is left alone for months.
            self._bot.log.exception("job_broke", job=job.name)
        finally:
            with self._idle:
                self._running = False
                self._idle.notify_all()

    def _act(self, job: Job) -> None:
        profile = self._profile or self._ask_again()
        if profile is None:
            return
        with self._bot.manager.transaction() as tx:
            fresh = next(one for one in tx.profiles.all() if one.id == profile.id)
        job.act(self._bot, fresh)

    def _ask_again(self) -> Profile | None:
        """Asks X whose keys these are, once it is time to."""
        now = self._bot.clock.now()
        if now < self._ask_at <= now + LONGEST_PAUSE:
            return None
        self._profile = self._identify()
        return self._profile

    def _drain(self) -> bool:
        """Waits for the running beat, up to the draining time."""
        limit = self._bot.settings.bot_drain_seconds
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, timeout=limit)

    def _abandon(self) -> None:
        """Leaves a call that outlasts the draining time: its outcome is unknown, and rows say so."""
        try:
            if self._profile is not None:
                self._bot.engine.abandon(self._profile)
        except BotError as error:
            # The next worker finds the intent without an outcome, and settles it.
            self._bot.log.warning("outcome_not_saved", code=error.code, error=error.line)

"""The metronome: APScheduler beats time, rows say what is due, and no job waits for another."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from bot.bootstrap import Bot
from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import BotError, Fatal, ServiceError
from bot.core.model import DecisionRecord, Profile
from bot.engine.decisions import DecisionRecorder
from bot.engine.jobs import Job, jobs
from bot.engine.learning.planning import ensure_plan, fill_schedule
from bot.engine.reports import report_usage

LONGEST_PAUSE = timedelta(minutes=15)
# Of the draining time, for writing down what is left; half of it where that is less.
LAST_SECONDS = 1.0


class Worker:
    """Runs the jobs side by side until it is asked to stop."""

    def __init__(self, bot: Bot, *, begun: threading.Event) -> None:
        self._bot = bot
        self._begun = begun
        self._profile: Profile | None = None
        self._ask_pause = timedelta(seconds=bot.settings.bot_tick_seconds)
        self._ask_at = bot.clock.now()
        self._idle = threading.Condition()
        # Since when which job is under way.
        self._running: dict[str, float] = {}

    def run(self) -> bool:
        """Works until it is asked to stop.

        Returns:
            False when a job outlasted its part of the draining time, and still hangs in its thread.

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
        left = self._drain()
        scheduler.shutdown(wait=False)
        # Said before it is written: the database may be what hangs.
        self._bot.log.info("worker_stopped", drained=not left, left=left)
        self._note_stop(left)
        return not left

    def _note_start(self) -> None:
        self._note(DecisionKind.START, Ruling.STARTED, "the worker started")

    def _note_stop(self, left: Sequence[str]) -> None:
        """Leaves what outlasts the draining time to the next worker, with rows that say so."""
        reason = f"left under way: {', '.join(left)}" if left else "nothing was under way any more"
        try:
            if left and self._profile is not None:
                self._bot.engine.abandon(self._profile)
            with self._bot.manager.transaction() as tx:
                tx.slots.give_back_writing(by=self._bot.services.settings.holder)
            ruling = Ruling.LEFT if left else Ruling.STOPPED
            self._note(DecisionKind.STOP, ruling, reason, left=list(left))
        except BotError as error:
            # The next worker finds the intent without an outcome, and settles it.
            self._bot.log.warning("stop_not_saved", code=error.code, error=error.line)

    def _note(self, kind: DecisionKind, ruling: Ruling, reason: str, **numbers: object) -> None:
        who = {
            "holder": self._bot.services.settings.holder,
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        now = self._bot.clock.now()
        with self._bot.manager.transaction() as tx:
            tx.decisions.record(
                DecisionRecord(at=now, kind=kind, verdict=ruling, reason=reason, numbers=who | numbers)
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
        context = self._bot.accounts.context(profile)
        ensure_plan(context, posts_per_day=self._bot.settings.bot_posts_per_day)
        fill_schedule(context)
        self._bot.log.info("profile_ready", handle=profile.handle, mode=profile.mode.value)
        return profile

    def _scheduler(self) -> BackgroundScheduler:
        # It would warn at every beat that a job is still under way: that is nothing unusual here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        table = jobs(timedelta(seconds=self._bot.settings.bot_tick_seconds))
        # A pool each, so that what hangs in one job holds no other up.
        pools = {job.kind: ThreadPoolExecutor(1) for job in table}
        scheduler = BackgroundScheduler(timezone="UTC", executors=pools)
        now = self._bot.clock.now()
        for job in table:
            scheduler.add_job(
                self._beat,
                "interval",
                args=[job],
                id=job.kind,
                executor=job.kind,
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
            self._running[job.kind] = monotonic()
        begun = self._bot.clock.now()
        try:
            self._act(job)
        except BotError as error:
            self._bot.log.warning("job_failed", job=job.kind, code=error.code, error=error.line)
            self._leave_row(job, Ruling.FAILED, error.line, begun=begun)
        except Exception as error:
            # The one catch-all: a fault in one beat must not end a worker that is left alone for months.
            self._bot.log.exception("job_broke", job=job.kind)
            self._leave_row(job, Ruling.BROKE, f"{type(error).__name__}: see the log", begun=begun)
        finally:
            with self._idle:
                del self._running[job.kind]
                self._idle.notify_all()

    def _leave_row(self, job: Job, ruling: Ruling, reason: str, *, begun: datetime) -> None:
        """Says why a beat failed, where rows can be written and the job has not said so itself."""
        profile = self._profile
        if profile is None:
            return
        with suppress(BotError), self._bot.manager.transaction() as tx:
            last = next(iter(tx.decisions.last(profile.id, limit=1, kinds=(job.kind,))), None)
            if last is None or last.reason != reason or (last.last_at or last.at) < begun:
                # Without the profile's adapters: making one of them may be what failed.
                DecisionRecorder(tx=tx, kind=job.kind, profile=profile, now=self._bot.clock.now()).note(
                    ruling, reason
                )

    def _act(self, job: Job) -> None:
        profile = self._profile
        if profile is None and job.kind is DecisionKind.PUBLISH:
            # One asks for all: an answer may be billed.
            profile = self._ask_again()
        if profile is None:
            return
        with self._bot.manager.transaction() as tx:
            fresh = next(one for one in tx.profiles.all() if one.id == profile.id)
        job.act(self._bot.accounts.context(fresh))

    def _ask_again(self) -> Profile | None:
        """Asks X whose keys these are, once it is time to."""
        now = self._bot.clock.now()
        if now < self._ask_at <= now + LONGEST_PAUSE:
            return None
        self._profile = self._identify()
        return self._profile

    def _drain(self) -> list[str]:
        """Waits for the jobs that are under way; returns those that outlast their time."""
        drain = self._bot.settings.bot_drain_seconds
        with self._idle:
            self._idle.wait_for(lambda: not self._running, timeout=drain - min(LAST_SECONDS, drain / 2))
            return [f"{name} ({monotonic() - since:.0f} s)" for name, since in self._running.items()]

"""The worker: APScheduler beats time, rows say what is due, and no job waits for another."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from bot.acting import Acting, Done
from bot.bootstrap import Bot
from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import BotError
from bot.core.model import DecisionRecord
from bot.core.work import LookAhead, Work
from bot.crew import Crew
from bot.engine.agenda import Agenda
from bot.store.listening import Listener

# Of the draining time, for writing down what is left; half of it where that is less.
LAST_SECONDS = 1.0
# Rows are asked at least so often, whoever wakes the worker in between.
LOOK_EVERY = timedelta(seconds=60)
# Plans that were changed so long before a look are looked at again: a transaction may take a while.
OVERLAP = timedelta(minutes=5)
EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
# How many profiles' work of a kind is done side by side, beside publishing.
WRITERS, AUDITORS = 4, 2
_BEATS = "beats"


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]  # it has no types
    """APScheduler's, whose thread breaks where it is shut down between a job's start and its removal."""

    def remove_job(self, job_id: str, jobstore: str | None = None) -> None:
        """Removes a job; one that is gone is removed."""
        with suppress(JobLookupError):
            super().remove_job(job_id, jobstore)


class Worker:
    """Runs all profiles until it is asked to stop: looks what is due, and sends it to its crew."""

    def __init__(self, bot: Bot, *, begun: threading.Event) -> None:
        settings = bot.settings
        self._bot = bot
        self._begun = begun
        self._agenda = Agenda(pause=timedelta(seconds=settings.bot_tick_seconds))
        self._acting = Acting(bot)
        self._crew = Crew(
            {
                DecisionKind.START: 1,
                DecisionKind.PUBLISH: settings.bot_calls_at_once,
                DecisionKind.PREPARE: WRITERS,
                DecisionKind.AUDIT: AUDITORS,
                DecisionKind.PLAN: 1,
                DecisionKind.FORGET: 1,
            }
        )
        # Over the agenda, and over what follows.
        self._lock = threading.Lock()
        self._look_at = EPOCH
        self._looked_at = EPOCH
        self._scheduler = _Scheduler(timezone="UTC", executors={_BEATS: ThreadPoolExecutor(1)})
        self._queued = False

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
        listener = Listener(self._bot.manager.engine.url, heard=self.wake, log=self._bot.log)
        self._start_beating()
        listener.start()
        self._bot.log.info("worker_started", pid=os.getpid())
        self._bot.clock.stop.wait()
        listener.stop()
        left = self._drain()
        self._acting.close()
        # A beat that was about to begin is refused by executors that have ended, which is as it should be.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._scheduler.shutdown(wait=False)
        said = [f"{work.kind} ({seconds:.0f} s)" for work, seconds in left.items()]
        # Said before it is written: the database may be what hangs.
        self._bot.log.info("worker_stopped", drained=not left, left=said)
        self._note_stop(list(left), said)
        return not left

    def wake(self) -> None:
        """Has rows asked at once, whoever changed them."""
        with self._lock:
            self._look_at = EPOCH
        self._beat_soon()

    def _start_beating(self) -> None:
        # It would warn of a beat that comes late because the one before took long.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        now = self._bot.clock.now()
        with self._lock:
            self._agenda.add(Work(DecisionKind.FORGET), now)
        self._scheduler.start()
        self._beat_soon()

    def _beat_soon(self) -> None:
        """Beats now; what asks for it while that is still to come asks for the same beat."""
        with self._lock:
            if self._queued or self._bot.clock.stop.is_set():
                return
            self._queued = True
        self._scheduler.add_job(self._beat, executor=_BEATS, misfire_grace_time=None)

    def _beat(self) -> None:
        """Asks rows if it is time to, sends what is due, and has itself called at the next moment."""
        now = self._bot.clock.now()
        following = now + self._agenda.pause
        try:
            following = self._send_due(now)
        except Exception:
            # Nobody else beats: whatever broke, there is a next beat.
            self._bot.log.exception("beat_broke")
        self._scheduler.add_job(
            self._beat,
            "date",
            run_date=following,
            id="next",
            replace_existing=True,
            executor=_BEATS,
            misfire_grace_time=None,
        )

    def _send_due(self, now: datetime) -> datetime:
        """Has the crew do what is due; returns when something is due next."""
        with self._lock:
            self._queued = False
            looks = now >= self._look_at
            if looks:
                self._look_at = now + LOOK_EVERY
        if looks:
            self._look(now)
        with self._lock:
            begun = self._agenda.begin(now=now)
            due = [work for work in begun if work.kind is DecisionKind.PUBLISH]
            if due:
                self._crew.send(due, self._publish)
            for work in begun:
                if work.kind is not DecisionKind.PUBLISH:
                    self._crew.send([work], self._do)
            return min(self._look_at, self._agenda.next_moment() or self._look_at)

    def _look(self, now: datetime) -> None:
        settings = self._bot.services.settings
        ahead = LookAhead(
            until=now + LOOK_EVERY, prepare_ahead=settings.prepare_ahead, settle_delay=settings.settle_delay
        )
        try:
            with self._bot.manager.transaction() as tx:
                found = tx.due_work.find(
                    holder=settings.holder,
                    own=self._acting.own,
                    ahead=ahead,
                    changed_since=max(EPOCH, self._looked_at - OVERLAP),
                )
        except BotError as error:
            self._bot.log.warning("look_failed", code=error.code, error=error.line)
            with self._lock:
                self._look_at = now + self._agenda.pause
            return
        self._looked_at = now
        with self._lock:
            self._agenda.look(found)

    def _publish(self, works: Sequence[Work]) -> None:
        """Publishes for all of them together, and ticks side by side for those that take more."""
        for work, done in self._acting.publish(works):
            if done is None:
                self._crew.send([work], self._do)
            else:
                self._end(work, done)

    def _do(self, works: Sequence[Work]) -> None:
        for work in works:
            self._end(work, self._acting.do(work))

    def _end(self, work: Work, done: Done) -> None:
        with self._lock:
            if done.gone:
                self._agenda.forget(work.profile_id)
            self._agenda.end(work, again=done.again)
            if done.wrote:
                self._agenda.hurry(Work(DecisionKind.PUBLISH, work.profile_id))
        self.wake()

    def _drain(self) -> Mapping[Work, float]:
        drain = self._bot.settings.bot_drain_seconds
        return self._crew.drain(drain - min(LAST_SECONDS, drain / 2))

    def _meet_account(self) -> None:
        again = self._acting.meet()
        if again is not None:
            self._agenda.add(Work(DecisionKind.START), again)

    def _note_start(self) -> None:
        with self._bot.manager.transaction() as tx:
            tx.workers.begin(
                holder=self._bot.services.settings.holder, host=socket.gethostname(), pid=os.getpid()
            )
        self._note(DecisionKind.START, Ruling.STARTED, "the worker started")

    def _note_stop(self, left: Sequence[Work], said: Sequence[str]) -> None:
        """Leaves what outlasts the draining time to the next worker, with rows that say so."""
        reason = f"left under way: {', '.join(said)}" if left else "nothing was under way any more"
        try:
            self._acting.abandon(left)
            with self._bot.manager.transaction() as tx:
                tx.slots.give_back_writing(by=self._bot.services.settings.holder)
                tx.workers.end(holder=self._bot.services.settings.holder)
            ruling = Ruling.LEFT if left else Ruling.STOPPED
            self._note(DecisionKind.STOP, ruling, reason, left=list(said))
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

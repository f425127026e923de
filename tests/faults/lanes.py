"""Lanes: one account each, on which cases are played one after another without a pause."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from uuid import UUID

from sqlalchemy import URL

from bot.core.posting.settling import DUPLICATE
from bot.sandbox import Sandbox
from tests.faults.cases import CLOSED, UNFINDABLE, Case, Cell, Way
from tests.faults.gate import Gate
from tests.faults.rig import Rig, until

# On a machine that others use too.
LONGEST_LANE = 1200.0
NewDatabase = Callable[[], AbstractContextManager[URL]]


class Stage:
    """An account with its workers up, good until a case goes wrong."""

    def __init__(self, way: Way, folder: Path, new_database: NewDatabase) -> None:
        self._way = way
        self._stack = ExitStack()
        folder.mkdir(parents=True)
        try:
            url = self._stack.enter_context(new_database())
            x = self._stack.enter_context(Sandbox())
            self._gate = None if way is Way.GOES_ON else self._stack.enter_context(Gate(x.base_url))
            self.rig = Rig(url=url, x=x, folder=folder, address=self._gate.address if self._gate else None)
            self._stack.callback(self.rig.close)
            number = 2 if way is Way.SECOND else 1
            self._workers = [self.rig.start() for _ in range(number)]
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def play(self, case: Case) -> Cell:
        begun = monotonic()
        for worker in self._workers:
            self.rig.wait_ready(worker)
        heard = self.rig.heard
        self.rig.x.arm(**case.fault)
        if self._gate is not None:
            self._gate.hold(after=case.struck - 1)
        ids = self.rig.add_slot(parts=case.parts)
        until(lambda: self.rig.heard >= heard + case.struck, what="the struck call reaches X", step=0.005)
        problems: list[str] = []
        if self._gate is not None:
            problems += self._kill(ids[case.struck - 1])
            self._gate.open()
        if case.kind in CLOSED:
            self._mend(ids[case.struck - 1], CLOSED[case.kind])
        if case.kind == UNFINDABLE:
            self._let_a_day_pass(ids[case.struck - 1])
        self.rig.wait_rest(ids)
        self.rig.x.disarm()
        problems += self._compare(case, ids) + self.rig.problems()
        return Cell(self._end(ids[case.struck - 1]), monotonic() - begun, tuple(problems))

    def _kill(self, tweet_id: UUID) -> list[str]:
        """Kills the process that waits for X, and starts another in its place.

        Its lease runs out only after the others have looked: until then the row is nobody else's.
        """
        victim = self.rig.actor(self._workers)
        self.rig.kill(victim, lease_lasts=True)
        self._workers.remove(victim)
        # A process that has yet to start may take longer than the lease.
        if self._workers:
            self.rig.have_look(workers=len(self._workers))
        status = self.rig.tweet(tweet_id)["status"]
        self._workers.append(self.rig.start())
        self.rig.end_lease_of(victim)
        return [] if status == "publishing" else [f"the killed call's row was {status}, not publishing"]

    def _mend(self, tweet_id: UUID, reason: str) -> None:
        """What an operator does once the bot says that X will have nothing more."""
        until(lambda: self._stands(tweet_id) == ("approved", reason), what=f"the row says {reason}")
        self.rig.x.disarm()
        result = self.rig.command("resume", "--json")
        assert result.code == 0, result.err
        assert result.json["blocks_lifted"] >= 1, result.out

    def _let_a_day_pass(self, tweet_id: UUID) -> None:
        """What X calls a duplicate is looked for for so long."""
        until(lambda: self._stands(tweet_id) == ("unknown", DUPLICATE), what="X calls it a duplicate")
        self.rig.execute(
            "UPDATE tweets SET intent_at = intent_at - interval '1 day', next_attempt_at = NULL "
            "WHERE id = :id",
            id=tweet_id,
        )

    def _stands(self, tweet_id: UUID) -> tuple[str, str | None]:
        row = self.rig.tweet(tweet_id)
        return row["status"], row["reason"]

    def _compare(self, case: Case, ids: Sequence[UUID]) -> list[str]:
        ended = [self._stands(tweet_id) for tweet_id in ids]
        # A posted row's reason says how it got its id, which no case fixes.
        shown = [(status, None if status == "posted" else reason) for status, reason in ended]
        return [] if shown == case.ending else [f"ended as {ended}, not {case.ending}"]

    def _end(self, tweet_id: UUID) -> str:
        row = self.rig.tweet(tweet_id)
        if row["status"] != "posted":
            return f"{row['status']} {row['reason']}"
        if row["reason"] == "adopted":
            return "adopted"
        return "resent" if row["resends"] else "posted"


class Board:
    """Where lanes pin up what became of their cases, for tests in any process of the run.

    Args:
        folder: shared by all processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def claim(self, name: str) -> bool:
        """Whether this is the first to ask."""
        try:
            (self._folder / f"{name}.claimed").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def pin(self, case: Case, cell: Cell) -> None:
        written = self._folder / f"{case}.writing"
        written.write_text(json.dumps(asdict(cell)))
        written.replace(self._folder / f"{case}.json")

    def read(self, case: Case) -> Cell:
        """The case's cell, as soon as there is one."""
        pinned = self._folder / f"{case}.json"
        until(pinned.exists, what=f"{case} is played", within=LONGEST_LANE)
        told = json.loads(pinned.read_text())
        return Cell(told["end"], told["seconds"], tuple(told["problems"]))


class Lane:
    """Plays its cases in a thread; a case that goes wrong costs the next one a fresh account."""

    def __init__(
        self, cases: Sequence[Case], *, board: Board, folder: Path, new_database: NewDatabase
    ) -> None:
        self._cases = cases
        self._board = board
        self._folder = folder
        self._new_database = new_database
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lane-{folder.name}")
        self._thread.start()

    def join(self, *, stop: bool) -> None:
        """Waits for the last case, or for the present one."""
        if stop:
            self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        stage: Stage | None = None
        for number, case in enumerate(self._cases):
            if self._stopped.is_set():
                break
            begun = monotonic()
            try:
                stage = stage or Stage(case.way, self._folder / str(number), self._new_database)
                cell = stage.play(case)
            except Exception as error:  # noqa: BLE001 - told by the case's own test
                cell = Cell("broke", monotonic() - begun, (f"{type(error).__name__}: {error}",))
            self._board.pin(case, cell)
            if cell.problems and stage is not None:
                stage.close()
                stage = None
        if stage is not None:
            stage.close()

"""Streets: accounts side by side in one batch, each with another fault, and one without any."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

from sqlalchemy import URL

from bot.core.posting.settling import DUPLICATE
from bot.sandbox import Sandbox
from bot.sandbox.faults import UNREAD
from tests.faults.cases import Case, Cell, Form, Way
from tests.faults.gate import Gate
from tests.faults.rig import PATIENCE, now, until
from tests.faults.town_rig import Resident, TownRig
from tests.support.warm import WarmProcess

# All calls are under way at once, so that one death meets all of them.
AT_ONCE: Final = {"BOT_CALLS_AT_ONCE": "64"}
# A call that hangs is given up; one that is kept back is not, however long the others take to come.
GIVES_UP: Final = {"X_TIMEOUT_SECONDS": "2"}
HOLDS_ON: Final = {"X_TIMEOUT_SECONDS": "40", "BOT_LEASE_SECONDS": "120"}


@dataclass
class House:
    """Where one case is played."""

    case: Case
    resident: Resident
    draft: Sequence[Mapping[str, Any]] = ()
    problems: list[str] = field(default_factory=list)
    rested: float | None = None

    @property
    def struck(self) -> Mapping[str, Any]:
        """The part that the fault strikes."""
        return self.draft[self.case.struck - 1]


class Street:
    """Plays one column of the matrix.

    Args:
        cases: of one form and one way, each with another fault.
        folder: for what the program writes.
        url: an empty database.
        stack: closes what is opened here.

    Attributes:
        cells: what became of each case.
        heard: how many posts X was asked for, whatever became of them.
    """

    cells: dict[Case, Cell]
    heard: int

    def __init__(self, cases: Sequence[Case], folder: Path, url: URL, stack: ExitStack) -> None:
        self._way = cases[0].way
        x = stack.enter_context(Sandbox())
        self._gate = None if self._way is Way.GOES_ON else stack.enter_context(Gate(x.base_url))
        self.rig = TownRig(
            url=url,
            x=x,
            folder=folder,
            address=self._gate.address if self._gate else None,
            knobs=AT_ONCE | (HOLDS_ON if self._gate else GIVES_UP),
            profiles=len(cases) + 1,
        )
        stack.callback(self.rig.close)
        self._well, *others = self.rig.residents
        self._houses = [House(case, one) for case, one in zip(cases, others, strict=True)]
        self._workers = [self.rig.start() for _ in range(2 if self._way is Way.SECOND else 1)]

    def play(self) -> None:
        """Plays all cases, and says in `cells` what became of each."""
        # One fault strikes before it is known whose call it is: its turn comes when nobody else calls.
        for alone in (False, True):
            houses = [house for house in self._houses if (house.case.kind == UNREAD) is alone]
            if houses:
                self._play(houses)
        found = [*self.rig.problems(), *self._alone()]
        self.cells = {house.case: self._cell(house, found) for house in self._houses}
        self.heard = self.rig.heard

    def _play(self, houses: Sequence[House]) -> None:
        begun = monotonic()
        for worker in self._workers:
            self.rig.wait_ready(worker)
        # A first audit reads a timeline too, and would meet a fault of its reads.
        until(lambda: self._audited == len(self.rig.residents), what="the first audits")
        until(lambda: self.rig.calm, what="nobody acts")
        for house in houses:
            whose = None if house.case.kind == UNREAD else house.resident.x_user_id
            for fault in house.case.faults:
                self.rig.x.arm(**fault, account=whose)
        self._fall_due(houses)
        for house in houses:
            if house.case.lasts_a_day:
                self._let_a_day_pass(house)
        self._wait_rest([house for house in houses if not house.case.closes], begun)
        closed = [house for house in houses if house.case.closes]
        for house in closed:
            self._wait_closed(house)
        self.rig.x.disarm()
        for house in closed:
            self._resume(house)
        self._wait_rest(closed, begun)
        self.rig.wait_rest()

    @property
    def _audited(self) -> int:
        (row,) = self.rig.select("SELECT count(DISTINCT profile_id) AS n FROM decisions WHERE kind = 'audit'")
        return int(row["n"])

    def _fall_due(self, houses: Sequence[House]) -> None:
        """Has everyone's slot come at one moment; where a process is to die, it dies in all its calls."""
        whose = [house.resident for house in houses]
        if houses[0].case.kind != UNREAD:
            whose.append(self._well)
        planned = self.rig.plan(whose, now(), parts=houses[0].case.parts)
        for house in houses:
            house.draft = planned.drafts[house.resident]
        if self._gate is None:
            self.rig.come(planned)
            return
        # One calls for all of them, and dies; the others are awake again before it does.
        gate, (caller, *others) = self._gate, self._workers
        gate.hold({house.struck["text"] for house in houses})
        with self._stopped(others):
            self.rig.come(planned)
            until(lambda: gate.kept == len(houses), what="every struck call reaches X", step=0.02)
        self._kill(caller, houses)
        gate.open()

    @contextmanager
    def _stopped(self, workers: Sequence[WarmProcess]) -> Iterator[None]:
        """Keeps processes from doing anything for the block; none is stopped while it holds something."""
        _signal(workers, signal.SIGSTOP)
        while not self.rig.calm:
            _signal(workers, signal.SIGCONT)
            until(lambda: self.rig.calm, what="nobody acts", step=0.02)
            _signal(workers, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(workers, signal.SIGCONT)

    def _kill(self, caller: WarmProcess, houses: Sequence[House]) -> None:
        """Kills the process that waits for X, and starts another in its place.

        Its leases run out only after the others have looked: until then the rows are nobody else's.
        """
        self.rig.kill(caller, lease_lasts=True)
        self._workers.remove(caller)
        # A process that has yet to start may take longer than the leases.
        if self._workers:
            self.rig.have_look(workers=len(self._workers))
        for house in houses:
            status, _ = self._stands(house)
            if status != "publishing":
                house.problems.append(f"the killed call's row was {status}, not publishing")
        self._workers.append(self.rig.start())
        self.rig.end_lease_of(caller)

    def _let_a_day_pass(self, house: House) -> None:
        """What X calls a duplicate is looked for for so long."""
        self._wait_until(house, "unknown", DUPLICATE)
        self.rig.execute(
            "UPDATE tweets SET intent_at = intent_at - interval '1 day', next_attempt_at = NULL "
            "WHERE id = :id",
            id=house.struck["id"],
        )

    def _wait_closed(self, house: House) -> None:
        if house.case.closed_as is not None:
            self._wait_until(house, "approved", house.case.closed_as)
            return
        shut = "SELECT 1 FROM rate_windows WHERE remaining = 0 AND profile_id = :whose"
        whose = house.resident.profile_id
        until(lambda: self.rig.select(shut, whose=whose), what="reading is closed")

    def _wait_until(self, house: House, *wanted: str) -> None:
        try:
            until(lambda: self._stands(house) == wanted, what=f"the row is {wanted}")
        except AssertionError as error:
            house.problems.append(f"{error}, but {self._stands(house)}")

    def _resume(self, house: House) -> None:
        """What an operator does once the bot says that X will have nothing more."""
        result = self.rig.command("resume", "--profile", house.resident.handle, "--json")
        if result.code or result.json["blocks_lifted"] < 1:
            house.problems.append(f"resume lifted nothing: {result.out}{result.err}")

    def _wait_rest(self, houses: Sequence[House], begun: float) -> None:
        """Waits until all of them are at their ends; what is not is told by its house."""

        def all_rest() -> bool:
            still = self.rig.open_ids()
            for house in houses:
                if house.rested is None and still.isdisjoint(part["id"] for part in house.draft):
                    house.rested = monotonic() - begun
            return all(house.rested for house in houses)

        try:
            until(all_rest, what="all are at their ends", step=0.2)
        except AssertionError:
            for house in houses:
                if house.rested is None:
                    house.problems.append(f"not at its end: {self.rig.unsettled()}")

    def _alone(self) -> list[str]:
        """What is wrong with a street of single posts that share no batch; threads go by themselves."""
        if self._houses[0].case.form is Form.THREAD:
            return []
        intents = Counter(row["first_intent_at"] for row in self.rig.tweets() if row["part"] == 1)
        (_, together), *_ = intents.most_common()
        return [] if together > len(self._houses) // 2 else [f"at most {together} shared a batch"]

    def _cell(self, house: House, found: Sequence[str]) -> Cell:
        others = tuple(f"{one.resident.handle}: " for one in self._houses if one is not house)
        # What is not one account's fault is told by each.
        problems = [*house.problems, *self._compare(house), *(p for p in found if not p.startswith(others))]
        return Cell(self._end(house), house.rested or PATIENCE, tuple(problems))

    def _compare(self, house: House) -> list[str]:
        rows = [self.rig.tweet(part["id"]) for part in house.draft]
        # A posted row's reason says how it got its id, which no case fixes.
        shown = [(row["status"], None if row["status"] == "posted" else row["reason"]) for row in rows]
        return [] if shown == house.case.ending else [f"ended as {shown}, not {house.case.ending}"]

    def _stands(self, house: House) -> tuple[str, str | None]:
        row = self.rig.tweet(house.struck["id"])
        return row["status"], row["reason"]

    def _end(self, house: House) -> str:
        row = self.rig.tweet(house.struck["id"])
        if row["status"] != "posted":
            return f"{row['status']} {row['reason']}"
        if row["reason"] == "adopted":
            return "adopted"
        return "resent" if row["resends"] else "posted"


def _signal(workers: Sequence[WarmProcess], number: int) -> None:
    for worker in workers:
        worker.send_signal(number)

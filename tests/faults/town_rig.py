"""Several accounts under test: one database, one X, and the processes that act for all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from bot.encryption import Cipher, new_secret_key
from bot.sandbox import Post
from bot.store.rows.access import CREDENTIALS
from bot.store.rows.posting import SLOTS, TWEETS
from tests.faults import truth
from tests.faults.rig import FLAVOURS, PATIENCE, Rig
from tests.support import unwritable
from tests.support.warm import WarmProcess

# No key of the test's reads this.
_UNREADABLE = "saved with a key that is lost"


@dataclass(frozen=True)
class Resident:
    """One of the accounts."""

    profile_id: UUID
    plan_id: UUID
    x_user_id: str
    handle: str


@dataclass(frozen=True)
class Planned:
    """Rows of slots and of their drafts, all for one moment."""

    slots: Sequence[Mapping[str, Any]]
    drafts: Mapping[Resident, Sequence[Mapping[str, Any]]]


@dataclass
class TownRig(Rig):
    """A rig with so many profiles: the environment's own, and others whose keys are saved."""

    profiles: int = 3
    secret_key: str = field(default_factory=new_secret_key)
    residents: list[Resident] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.knobs = {"BOT_SECRET_KEY": self.secret_key, **self.knobs}
        self.residents = [Resident(self.profile_id, self.plan_id, self.x.user_id, self.x.username)]
        self.residents += [self._settle(f"resident_{number}") for number in range(2, self.profiles + 1)]
        with self.engine.begin() as connection:
            unwritable.install(connection)

    def _settle(self, handle: str) -> Resident:
        account = self.x.add_account(handle)
        one = Resident(uuid4(), uuid4(), account.user_id, handle)
        with self.engine.begin() as connection:
            self.make_profile(connection, one.profile_id, one.plan_id, one.handle, one.x_user_id)
            keys = self._encrypted(one)
            connection.execute(insert(CREDENTIALS).values(profile_id=one.profile_id, encrypted_keys=keys))
        return one

    def _encrypted(self, one: Resident) -> str:
        return Cipher([self.secret_key]).encrypt(asdict(self.x.keys_of(one.handle)))

    # What is due

    def all_due(self, at: datetime, *, plain: bool = False) -> dict[Resident, str]:
        """A slot with its draft for everyone, all at the same moment; their texts.

        Plain ones hold no link, and all cost the same.
        """
        planned = self.plan(self.residents, at, plain=plain)
        self.come(planned)
        return {one: draft[0]["text"] for one, draft in planned.drafts.items()}

    def plan(
        self, whose: Sequence[Resident], at: datetime, *, parts: int = 1, plain: bool = False
    ) -> Planned:
        """A slot with a draft of so many parts for each of these, not yet in the tables."""
        slots = {one: self._slot_of(one.profile_id, one.plan_id, at) for one in whose}
        numbers = {one: next(self.numbers) * (len(FLAVOURS) if plain else 1) for one in whose}
        drafts = {one: self._drafts_for(slots[one], numbers[one], parts) for one in whose}
        return Planned(list(slots.values()), drafts)

    def come(self, planned: Planned) -> None:
        """Puts all that is planned into the tables at once, and wakes the workers."""
        with self.engine.begin() as connection:
            connection.execute(insert(SLOTS), planned.slots)
            for part in zip(*planned.drafts.values(), strict=True):
                connection.execute(insert(TWEETS), part)
            connection.execute(text("SELECT pg_notify('bot_work', '')"))

    def rows_of(self, texts: Collection[str]) -> dict[str, dict[str, Any]]:
        """The rows with these texts, by them."""
        found = self.select("SELECT * FROM tweets WHERE text = ANY(:texts)", texts=list(texts))
        return {row["text"]: row for row in found}

    def acting(self, workers: Sequence[WarmProcess]) -> list[WarmProcess]:
        """The workers that hold leases now."""
        held = self.select("SELECT DISTINCT holder FROM leases WHERE expires_at > clock_timestamp()")
        return [worker for worker in workers if any(f":{worker.pid}:" in row["holder"] for row in held)]

    # What breaks, and is mended

    def forbid(self, words: str) -> None:
        """Has the database refuse to mark a text as posted."""
        with self.engine.begin() as connection:
            unwritable.forbid(connection, words)

    def lose_keys(self, one: Resident) -> None:
        """Leaves the account keys that nobody can read."""
        self.execute(
            "UPDATE credentials SET encrypted_keys = :lost WHERE profile_id = :id",
            lost=_UNREADABLE,
            id=one.profile_id,
        )

    def mend(self) -> None:
        """What an operator does for all accounts: keys that are read, rows that are written, `resume`."""
        self.x.disarm()
        with self.engine.begin() as connection:
            unwritable.allow_all(connection)
        for one in self.residents[1:]:
            self.execute(
                "UPDATE credentials SET encrypted_keys = :keys "
                "WHERE profile_id = :id AND encrypted_keys = :lost",
                keys=self._encrypted(one),
                id=one.profile_id,
                lost=_UNREADABLE,
            )
        # One profile and one table at a time: workers write many at once, in an order of their own.
        for one in self.residents:
            self.execute(
                "UPDATE rate_windows SET resets_at = seen_at WHERE profile_id = :id", id=one.profile_id
            )
            self.execute(
                "UPDATE tweets SET next_attempt_at = NULL WHERE status = 'approved' AND profile_id = :id",
                id=one.profile_id,
            )

    def wait_mended(self) -> None:
        """Mends, until every post is at its end: a refusal may be saved only after that was done.

        One that was heard late closes the account, with its post unknown and not approved.
        """
        closed = (
            "SELECT id FROM tweets WHERE status = 'approved' AND reason IN ('keys_invalid', 'keys_missing') "
            "UNION ALL SELECT profile_id FROM rate_windows "
            "WHERE name = 'keys' AND resets_at > clock_timestamp()"
        )
        self.mend()
        end = monotonic() + PATIENCE
        while not self.rests():
            assert monotonic() < end, self.unsettled()
            if self.select(closed):
                self.mend()
            sleep(0.1)

    # Truth

    def posts_of(self, one: Resident) -> tuple[Post, ...]:
        return self.x.posts(one.x_user_id)

    @property
    def spent(self) -> Decimal:
        """What the ledger says that all accounts together have spent or may have spent."""
        (row,) = self.select(
            "SELECT coalesce(sum(cost_usd), 0) AS usd FROM api_calls WHERE state <> 'released'"
        )
        return Decimal(row["usd"])

    def events(self) -> list[Mapping[str, Any]]:
        """What all workers have logged so far."""
        return [line for worker in self.program.running for line in self.program.log(worker)]

    def problems(self) -> list[str]:
        found = truth.different_days(self.select)
        for one in self.residents:
            own = truth.problems(self.select, self.posts_of(one), profile_id=one.profile_id)
            found += [f"{one.handle}: {problem}" for problem in own]
        charged = Decimal(self.x.state()["charged"])
        if charged > self.spent:
            found.append(f"X charged {charged}, the ledger says {self.spent}")
        return found

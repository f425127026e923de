"""A town for batches: several profiles on one database, each with an X of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import timedelta
from typing import Any

from sqlalchemy import text as sql

from bot.core.content.text import fingerprint
from bot.core.errors import DatabaseUnavailable
from bot.core.model import Profile, ProfileId
from bot.core.spending.limits import Limits
from bot.engine.context import ProfileContext
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.batches import publish_ready
from bot.engine.posting.posting_engine import tick
from bot.store.manager import DatabaseManager
from tests.engine.world import Killed, ScriptedX, World

# Something that is done twice is done so soon after it seemed to be over.
ROUNDS_AT_REST = 3


class AtOnce(Executor):
    """Does what is submitted at once, on the thread that asks."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            done.set_exception(error)
        return done


class Town(World):
    """A world with several profiles, each with an X of its own."""

    def __init__(self, manager: DatabaseManager, *, profiles: int, caps: Limits | None = None) -> None:
        super().__init__(manager, caps=caps)
        self.xs: dict[ProfileId, ScriptedX] = {self.profile_id: self.x}
        with manager.transaction() as tx:
            for number in range(2, profiles + 1):
                made = tx.profiles.create(
                    handle=f"tester{number}", x_user_id=str(number), timezone="UTC", mode="auto"
                )
                tx.plans.start(made.id, posts_per_day=0)
                self.xs[made.id] = ScriptedX(self.clock, x_user_id=str(number), first_id=number * 1_000_000)
            tx.connection.execute(sql("UPDATE plans SET spacing_seconds = 0"))

    @property
    def profiles(self) -> Sequence[Profile]:
        with self.manager.transaction() as tx:
            found = {one.id: one for one in tx.profiles.all()}
        return [found[one] for one in self.xs]

    def context_of(self, profile: Profile) -> ProfileContext:
        return ProfileContext.of(
            self.engine.services,
            profile=profile,
            x=self.xs[profile.id],
            sources=self.sources,
            writer=self.writer,
            rng=random.Random(0),  # noqa: S311 - jitter
        )

    @property
    def contexts(self) -> list[ProfileContext]:
        return [self.context_of(profile) for profile in self.profiles]

    def due(self, profile: Profile, text: str, *, ago: float = 0, **tweet: object) -> None:
        """A slot that came so many seconds ago, and its draft."""
        values = {"text": text, "fingerprint": fingerprint(text), "status": "drafted"} | tweet
        with self.manager.transaction() as tx:
            slot = tx.connection.scalar(
                sql("INSERT INTO posting_schedule (profile_id, due_at) VALUES (:p, :at) RETURNING id"),
                {"p": profile.id, "at": self.clock.now() - timedelta(seconds=ago)},
            )
            columns = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            tx.connection.execute(
                sql(f"INSERT INTO tweets (profile_id, slot_id, {columns}) VALUES (:p, :slot, {marks})"),
                {"p": profile.id, "slot": slot, **values},
            )

    def publish(self) -> dict[str, OutcomeKind | None]:
        """One batch over everybody; what became of each, by handle."""
        done = publish_ready(self.engine.services, self.contexts, AtOnce(), at_once=2)
        return {context.profile.handle: outcome.kind if outcome else None for context, outcome in done}

    def go_on(self, seconds: float, *, every: float = 5) -> None:
        """Workers that publish in batches and tick, started again where they are killed.

        For so long, or until all has been at rest for a few rounds.
        """
        end, rests = self.clock.true + timedelta(seconds=seconds), 0
        while self.clock.true < end and rests < ROUNDS_AT_REST:
            try:
                for context, outcome in publish_ready(
                    self.engine.services, self.contexts, AtOnce(), at_once=2
                ):
                    if outcome is None:
                        tick(context)
            except DatabaseUnavailable:
                pass
            except Killed:
                self.engine = self.new_engine()
            self.clock.pass_time(every)
            rests = rests + 1 if self.at_rest() else 0

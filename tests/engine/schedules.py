"""Random fault schedules for the engine, and what must hold after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from bot.core.states import TweetStatus
from bot.store.manager import DatabaseManager
from tests.engine.world import POST_SCRIPT, World

# Most transactions go well, so that faults fall into the midst of what a tick does.
DATABASE_FAULTS = (
    *["ok"] * 20,
    "down",
    "kill_before",
    "kill_after",
    "lost_at_commit",
    "lost_after_commit",
)
# Seconds; the fault-free time that follows is longer.
LAST_SLOT = 300
# Refusals keep a slot waiting until it is too late for it: an unheard answer has more to go wrong.
ANSWERS = (*POST_SCRIPT, *["lost_before", "lost_after", "error_after"] * 4)
SETTLED = {
    TweetStatus.POSTED,
    TweetStatus.FAILED,
    TweetStatus.DRAFTED,
    TweetStatus.APPROVED,
    TweetStatus.REJECTED,
}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A plan of slots and threads, and what goes wrong."""

    slots: Sequence[tuple[int, int]]
    script: Sequence[str]
    reads: Sequence[str]
    database: Sequence[str]
    visibility: int
    refuses_duplicates: bool
    jitter: int
    jump: int


def scenario(rng: Random) -> Scenario:
    """One of all that may happen, each as likely as the others."""
    moments = rng.sample(range(LAST_SLOT), rng.randint(1, 4))
    return Scenario(
        slots=[(moment, rng.randint(1, 3)) for moment in moments],
        script=rng.choices(ANSWERS, k=rng.randint(0, 8)),
        reads=rng.choices(("ok", "fail", "lost"), k=rng.randint(0, 4)),
        database=rng.choices(DATABASE_FAULTS, k=rng.randint(0, 80)),
        # At once, by the next tick, or only after a look that comes too early to count.
        visibility=rng.choice((0, 15, 28)),
        refuses_duplicates=rng.random() < 0.5,
        jitter=rng.randrange(2**16),
        jump=rng.choice((0, 0, 0, 3600, -3600)),
    )


def play_many(manager: DatabaseManager, *, examples: int, number: int) -> None:
    """Plays so many schedules drawn from a seed: the same number gives the same ones again.

    One that goes wrong is told whole, and `play` plays it again.
    """
    rng = Random(number)  # noqa: S311 - repeatable on purpose
    for _ in range(examples):
        drawn = scenario(rng)
        try:
            play(manager, drawn)
        except BaseException as error:
            error.add_note(f"seed {number}: {drawn}")
            raise


def play(manager: DatabaseManager, scenario: Scenario) -> World:
    """Runs one scenario and checks what must hold after it."""
    world = World(manager, seed=scenario.jitter)
    for number, (due_in, parts) in enumerate(scenario.slots):
        world.slot(due_in, *(f"slot {number} part {part}" for part in range(1, parts + 1)))
    world.x.script = [*scenario.script]
    world.x.reads = [*scenario.reads]
    world.x.visibility = timedelta(seconds=scenario.visibility)
    world.x.refuses_duplicates = scenario.refuses_duplicates
    world.database.failures = [*scenario.database]
    world.run(160, every=20)
    # An operator mends what closes the account.
    world.change("UPDATE rate_windows SET resets_at = seen_at")
    world.clock.jump(scenario.jump)
    world.run(300, every=30)
    world.database.failures.clear()
    world.x.script.clear()
    world.x.reads.clear()
    world.change("UPDATE rate_windows SET resets_at = seen_at")
    # Two hours at most: what waits longer than minutes waits for a clock that was set back an hour.
    for pause in (*[120] * 5, *[600] * 11):
        world.run(pause, every=pause)
        if world.at_rest():
            break
    for tweet in world.tweets():
        assert tweet.status in SETTLED, (tweet.text, tweet.status)
        expected = 1 if tweet.status is TweetStatus.POSTED else 0
        assert world.x.count(tweet.text) == expected, (tweet.text, tweet.status, tweet.reason)
        if tweet.status is TweetStatus.FAILED:
            assert tweet.reason
    by_text = {post.text: post.x_tweet_id for post in world.x.posts}
    assert all(by_text[one.text] == one.x_tweet_id for one in world.tweets() if one.x_tweet_id)
    world.check_books()
    return world

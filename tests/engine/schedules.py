"""Random fault schedules for the engine, and what must hold after each."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bot.core.states import TweetStatus
from bot.store.manager import DatabaseManager
from tests.engine.world import POST_SCRIPT, World

DATABASE_FAULTS = (
    "ok",
    "ok",
    "ok",
    "ok",
    "down",
    "kill_before",
    "kill_after",
    "lost_at_commit",
    "lost_after_commit",
)
SETTLED = {
    TweetStatus.POSTED,
    TweetStatus.FAILED,
    TweetStatus.DRAFTED,
    TweetStatus.APPROVED,
    TweetStatus.REJECTED,
}


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, object]:
    """A plan of slots and threads, and what goes wrong."""
    return {
        "slots": draw(
            st.lists(
                st.tuples(st.integers(0, 300), st.integers(1, 3)),
                min_size=1,
                max_size=4,
                unique_by=lambda one: one[0],
            )
        ),
        "script": draw(st.lists(st.sampled_from(POST_SCRIPT), max_size=8)),
        "reads": draw(st.lists(st.sampled_from(("ok", "fail", "lost")), max_size=4)),
        "database": draw(st.lists(st.sampled_from(DATABASE_FAULTS), max_size=25)),
        "visibility": draw(st.integers(0, 29)),
        "refuses_duplicates": draw(st.booleans()),
        "jitter": draw(st.integers(0, 2**16)),
        "jump": draw(st.sampled_from((0, 0, 0, 3600, -3600))),
    }


def play_many(manager: DatabaseManager, *, examples: int, number: int) -> None:
    """Plays so many schedules drawn from a seed: the same number gives the same ones again.

    A schedule that goes wrong is printed whole, and replays as it is; shrinking it takes minutes.
    """

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(scenario=scenarios())
    def holds(scenario: dict[str, object]) -> None:
        play(manager, scenario)

    holds()


def play(manager: DatabaseManager, scenario: dict[str, object]) -> World:
    """Runs one scenario and checks what must hold after it."""
    world = World(manager, seed=int(scenario["jitter"]))  # type: ignore[call-overload]  # of scenarios()
    for number, (due_in, parts) in enumerate(scenario["slots"]):  # type: ignore[arg-type,var-annotated]  # of scenarios()
        world.slot(due_in, *(f"slot {number} part {part}" for part in range(1, parts + 1)))
    world.x.script = list(scenario["script"])  # type: ignore[call-overload]  # of scenarios()
    world.x.reads = list(scenario["reads"])  # type: ignore[call-overload]  # of scenarios()
    world.x.visibility = timedelta(seconds=int(scenario["visibility"]))  # type: ignore[call-overload]  # of scenarios()
    world.x.refuses_duplicates = bool(scenario["refuses_duplicates"])
    world.database.failures = list(scenario["database"])  # type: ignore[call-overload]  # of scenarios()
    world.run(160, every=20)
    world.clock.jump(float(scenario["jump"]))  # type: ignore[arg-type]  # of scenarios()
    world.run(300, every=30)
    world.database.failures.clear()
    world.x.script.clear()
    world.x.reads.clear()
    world.change("UPDATE rate_windows SET resets_at = seen_at")
    for _ in range(60):
        world.run(120, every=120)
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

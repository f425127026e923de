"""Random fault schedules over batches, what must hold after each, and what each must sometimes meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random

from bot.core.states import TweetStatus
from bot.store.manager import DatabaseManager
from tests.engine.schedules import ANSWERS, DATABASE_FAULTS, SETTLED
from tests.engine.town import Town

# What a run that means anything has met: a schedule that never gets there shows nothing.
SOMETIMES = {
    "tweet_posted",
    "batch_left_to_ticks",
    "batch_recorded_singly",
    "outcome_not_saved",
    "outcome_unknown",
    "post_refused",
    "orphan_found",
    "tweet_adopted",
    "tweet_absent",
}


@dataclass(frozen=True, kw_only=True)
class TownScenario:
    """When each profile's slots come, and what goes wrong with whom."""

    slots: Sequence[Sequence[int]]
    scripts: Sequence[Sequence[str]]
    database: Sequence[str]
    visibility: int
    refuses_duplicates: bool


def drawn(rng: Random, profiles: int) -> TownScenario:
    """One of all that may happen; every other profile has an X that is well."""
    # Often the very first batch breaks as it is recorded, and then the first that is recorded alone:
    # two transactions write its intents.
    early = rng.random() < 0.5
    together = 0 if early else rng.randrange(60)
    return TownScenario(
        slots=[sorted({together, *rng.sample(range(60, 300), rng.randint(0, 1))}) for _ in range(profiles)],
        scripts=[
            rng.choices(ANSWERS, k=rng.randint(0, 4)) if number % 2 else [] for number in range(profiles)
        ],
        database=[
            *(("ok", "ok", rng.choice(DATABASE_FAULTS[20:]), "down") if early else ()),
            *rng.choices(DATABASE_FAULTS, k=rng.randint(0, 40)),
        ],
        visibility=rng.choice((0, 15, 28)),
        refuses_duplicates=rng.random() < 0.5,
    )


def play_many(manager: DatabaseManager, *, examples: int, number: int, profiles: int) -> Counter[str]:
    """Plays so many schedules drawn from a seed; the events that they met.

    One that goes wrong is told whole, and `play` plays it again.
    """
    rng = Random(number)  # noqa: S311 - repeatable on purpose
    met = Counter[str]()
    for _ in range(examples):
        scenario = drawn(rng, profiles)
        try:
            met += play(manager, scenario)
        except BaseException as error:
            error.add_note(f"seed {number}: {scenario}")
            raise
    return met


def play(manager: DatabaseManager, scenario: TownScenario) -> Counter[str]:
    """Plays one, checks what must hold after it, and tells which events it met."""
    town = Town(manager, profiles=len(scenario.slots))
    for profile, moments, script in zip(town.profiles, scenario.slots, scenario.scripts, strict=True):
        x = town.xs[profile.id]
        x.script, x.visibility = [*script], timedelta(seconds=scenario.visibility)
        x.refuses_duplicates = scenario.refuses_duplicates
        for moment in moments:
            town.due(profile, f"{profile.handle} at {moment}", ago=-moment)
    town.database.failures = [*scenario.database]
    town.go_on(400, every=15)
    town.database.failures.clear()
    for x in town.xs.values():
        x.script.clear()
    # An operator mends what closes an account.
    town.change("UPDATE rate_windows SET resets_at = seen_at")
    for _ in range(20):
        town.go_on(120, every=60)
        if town.at_rest():
            break
    check(town)
    return Counter(name for name, _ in town.log.events)


def check(town: Town) -> None:
    """Each text is live once where its row says so, and nowhere otherwise; the books say the same."""
    for tweet in town.tweets():
        live = town.xs[tweet.profile_id].count(tweet.text)
        assert tweet.status in SETTLED, (tweet.text, tweet.status)
        assert live == (tweet.status is TweetStatus.POSTED), (tweet.text, tweet.status, tweet.reason)
        assert tweet.status is not TweetStatus.FAILED or tweet.reason
    ids = {(post.text, post.x_tweet_id) for x in town.xs.values() for post in x.posts}
    assert {(one.text, one.x_tweet_id) for one in town.tweets() if one.x_tweet_id} == ids
    settled = town.rows(
        "SELECT coalesce(sum(units), 0), coalesce(sum(cost_usd), 0) FROM api_calls "
        "WHERE kind = 'post' AND state = 'settled'"
    )[0]
    assert tuple(settled) == (len(ids), len(ids) * Decimal("0.015"))

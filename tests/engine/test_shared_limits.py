"""Limits that profiles share, on real rows, where profiles race for the last place on every path."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.codes import DecisionKind
from bot.core.model import LivePost, Profile, Timeline
from bot.core.posting.post import Post
from bot.core.rates import RateWindow
from bot.core.spending.limits import CREATE_POST, Limits, SharedCaps
from bot.engine.context import ProfileContext, Services
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.batches import publish_ready
from bot.engine.posting.posting_engine import PostingEngine, tick
from bot.engine.posting.posting_once import Wish, post_once
from bot.engine.reports import report_usage
from bot.engine.spending.paid_reads import PaidRead, buy_posts
from bot.engine.stopwatch import Stopwatch
from bot.store.manager import DatabaseManager
from bot.views.limits import usage_json
from tests.engine.town import AtOnce, Town
from tests.engine.world import NOON

FREE = Limits(posts_24h=None, posts_15min=None)
PRICE = Decimal("0.015")
COUNTING = "FROM api_calls WHERE state <> 'released'"
# Four profiles: three of an app, one of another.
APPS = ("one", "one", "one", "two")
# The cap, and how many of the four may post under it.
LAST_PLACE = {
    "the app's day": (replace(FREE, app=SharedCaps(posts_24h=1)), 2),
    "the app's month": (replace(FREE, app=SharedCaps(posts_month=2)), 3),
    "all day": (replace(FREE, in_all=SharedCaps(posts_24h=1)), 1),
    "all month": (replace(FREE, in_all=SharedCaps(posts_month=3)), 3),
    "all money": (replace(FREE, budget_usd=2 * PRICE), 2),
    "a profile's money": (replace(FREE, profile_budget_usd=PRICE), 4),
    "no money for a profile": (replace(FREE, profile_budget_usd=PRICE / 2), 0),
}


def build(manager: DatabaseManager, caps: Limits) -> Town:
    town = Town(manager, profiles=len(APPS), caps=caps)
    for profile, app in zip(town.profiles, APPS, strict=True):
        town.change("UPDATE profiles SET app = :app WHERE id = :id", app=app, id=profile.id)
    return town


@dataclass(frozen=True)
class Worker:
    """A process that runs some of a town's profiles."""

    town: Town
    services: Services
    numbers: Sequence[int]

    @property
    def contexts(self) -> list[ProfileContext]:
        profiles = self.town.profiles
        return [
            ProfileContext.of(
                self.services,
                profile=profiles[number],
                x=self.town.xs[profiles[number].id],
                sources=self.town.sources,
                writer=self.town.writer,
                rng=random.Random(number),  # noqa: S311 - jitter
            )
            for number in self.numbers
        ]

    def one_by_one(self) -> None:
        for context in self.contexts:
            tick(context)

    def in_a_batch(self) -> None:
        list(publish_ready(self.services, self.contexts, AtOnce(), at_once=2))

    def once(self) -> None:
        for context in self.contexts:
            engine = PostingEngine(context=partial(_the_one, context))
            wish = Wish(posts=[Post(text=f"A wish of {context.profile.handle}")])
            watch = Stopwatch(lambda: 0.0)
            post_once(engine, context.profile, wish, watch=watch, say=lambda _what: None)


def _the_one(context: ProfileContext, _profile: Profile) -> ProfileContext:
    return context


Path = Callable[[Worker], None]
PATHS: dict[str, Sequence[Path]] = {
    "one by one": [Worker.one_by_one] * 4,
    "in batches": [Worker.in_a_batch] * 4,
    "persons": [Worker.once] * 4,
    "all ways": [Worker.one_by_one, Worker.in_a_batch, Worker.once, Worker.in_a_batch],
}


def race(town: Town, paths: Sequence[Path], shares: Sequence[Sequence[int]]) -> None:
    """Workers that act at the same moment, each for its share of the profiles."""
    workers = [Worker(town, town.new_engine().services, share) for share in shares]
    start = Barrier(len(workers))

    def run(worker: Worker, path: Path) -> None:
        start.wait(timeout=30)
        path(worker)

    with ThreadPoolExecutor(len(workers)) as threads:
        for done in [threads.submit(run, *one) for one in zip(workers, paths, strict=False)]:
            done.result()


RACES = [(name, path) for name in LAST_PLACE for path in ("one by one", "in batches")]
RACES += [(name, path) for name in ("the app's day", "all money") for path in ("persons", "all ways")]


@pytest.mark.parametrize(("name", "path"), RACES)
def test_profiles_that_race_for_the_last_place_never_pass_it(
    shared: DatabaseManager, name: str, path: str
) -> None:
    caps, room = LAST_PLACE[name]
    town = build(shared, caps)
    for profile in town.profiles:
        town.due(profile, f"Tide of {profile.handle}")
    race(town, PATHS[path], [[0], [1], [2], [3]])

    assert sum(len(x.posts) for x in town.xs.values()) == room
    assert town.rows("SELECT coalesce(sum(units), 0) FROM api_calls WHERE state <> 'released'") == [(room,)]


@pytest.mark.parametrize("name", LAST_PLACE)
def test_one_batch_weighs_each_after_those_before_it(shared: DatabaseManager, name: str) -> None:
    caps, room = LAST_PLACE[name]
    town = build(shared, caps)
    for profile in town.profiles:
        town.due(profile, f"Tide of {profile.handle}")
    worker = Worker(town, town.engine.services, range(4))
    done = [kind for _, kind in publish_ready(worker.services, worker.contexts, AtOnce(), at_once=4)]

    assert sum(outcome is not None and outcome.kind is OutcomeKind.POSTED for outcome in done) == room
    assert sum(len(x.posts) for x in town.xs.values()) == room


def test_reads_that_race_share_what_the_app_may_read(shared: DatabaseManager) -> None:
    town = build(shared, replace(FREE, app=SharedCaps(reads_month=150)))
    read = PaidRead(kind=DecisionKind.AUDIT, endpoint="GET /2/tweets", price="post_read", units=100)
    page = Timeline(posts=(LivePost(x_tweet_id="1", text="Tide", created_at=NOON),) * 100)
    bought: list[bool] = []

    def buy(worker: Worker) -> None:
        (context,) = worker.contexts
        bought.append(buy_posts(context, read, lambda: page) is not None)

    race(town, [buy] * 3, [[0], [1], [2]])

    assert sorted(bought) == [False, False, True]
    assert town.rows(f"SELECT sum(units) {COUNTING}") == [(100,)]


def test_why_and_usage_name_whose_limit_it_is(shared: DatabaseManager) -> None:
    town = build(shared, replace(FREE, app=SharedCaps(posts_24h=1), profile_budget_usd=Decimal(1)))
    for profile in town.profiles[:2]:
        town.due(profile, f"Tide of {profile.handle}")
    for context in town.contexts[:2]:
        tick(context)

    reasons = town.rows("SELECT reason, limit_name FROM decisions WHERE verdict = 'wait'")
    assert [tuple(row) for row in reasons] == [
        ("app_posts_24h: 1 of 1 used (24h, the app's)", "app_posts_24h")
    ]
    agent = town.engine.services.limits
    report = report_usage(town.database, agent, town.profiles[1].id, now=town.clock.now())
    shown = usage_json(report)
    assert [(one["name"], one["used"], one["cap"]) for one in shown["limits"] if one["scope"] == "app"] == [
        ("app_posts_24h", 1, 1)
    ]
    assert (shown["month"]["cost_usd"], shown["month"]["profile_cost_usd"]) == ("0.015", "0.00")
    assert (shown["month"]["budget_usd"], shown["month"]["profile_budget_usd"]) == (None, "1.00")


def test_xs_window_of_the_app_closes_it_for_every_profile_of_the_app(shared: DatabaseManager) -> None:
    town = build(shared, FREE)
    first, *others, other = town.profiles
    resets_at = NOON + timedelta(hours=5)
    town.xs[first.id].rates = (RateWindow(name="24h_app", limit=9, remaining=1, resets_at=resets_at),)
    for profile in town.profiles:
        town.due(profile, f"Tide of {profile.handle}")
    tick(town.context_of(first))
    town.clock.pass_time(1)
    services, contexts = town.engine.services, town.contexts[1:]
    batch = publish_ready(services, contexts, AtOnce(), at_once=4)
    posted = {context.profile.id for context, outcome in batch if outcome is not None}

    assert other.id in posted
    (left,) = (profile for profile in others if profile.id not in posted)
    tick(town.context_of(left))
    (waits,) = town.rows("SELECT reason, until FROM decisions WHERE verdict = 'wait'")
    assert waits.reason == f"x_24h_app: 9 of 9 used ({CREATE_POST}, as X counts, the app's)"
    assert waits.until == resets_at


limits_of_all_kinds = st.builds(
    Limits,
    posts_15min=st.none(),
    posts_24h=st.none(),
    app=st.builds(SharedCaps, posts_24h=st.none() | st.integers(0, 4)),
    in_all=st.builds(SharedCaps, posts_24h=st.none() | st.integers(0, 6)),
    budget_usd=st.none() | st.sampled_from([Decimal("0.03"), Decimal("0.05"), Decimal("0.08")]),
    profile_budget_usd=st.none() | st.sampled_from([PRICE, 2 * PRICE]),
)
# How each of two workers acts, for which profiles, and whose calls are lost.
rounds_of_all_kinds = st.tuples(
    st.lists(st.sampled_from([Worker.one_by_one, Worker.in_a_batch]), min_size=2, max_size=2),
    st.sampled_from([([0, 1], [2, 3]), ([3, 0], [1, 2]), ([0, 1, 2], [3])]),
    st.lists(st.integers(0, 3), max_size=4, unique=True),
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(caps=limits_of_all_kinds, rounds=st.lists(rounds_of_all_kinds, min_size=2, max_size=3))
def test_no_campaign_of_two_workers_exceeds_a_limit(
    shared: DatabaseManager,
    caps: Limits,
    rounds: list[tuple[list[Path], tuple[list[int], list[int]], list[int]]],
) -> None:
    town = build(shared, caps)
    for number, (paths, shares, lost) in enumerate(rounds):
        for one, profile in enumerate(town.profiles):
            town.due(profile, f"Tide {number} of {profile.handle}")
            if one in lost:
                town.xs[profile.id].script = ["lost_before"]
        race(town, paths, shares)
        town.clock.pass_time(60)

    posts = dict(town.rows(f"SELECT app, sum(units)::int {COUNTING} AND kind = 'post' GROUP BY app"))
    costs = [row.cost for row in town.rows(f"SELECT sum(cost_usd) AS cost {COUNTING} GROUP BY profile_id")]
    most = caps.app.posts_24h, caps.in_all.posts_24h, caps.budget_usd, caps.profile_budget_usd
    used = max(posts.values(), default=0), sum(posts.values()), sum(costs), max(costs, default=0)
    assert all(cap is None or one <= cap for one, cap in zip(used, most, strict=True))
    assert sum(len(x.posts) for x in town.xs.values()) <= sum(posts.values())

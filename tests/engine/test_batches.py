"""Publishing in batches: the same rows as one at a time, exactly once, and nobody's trouble is another's."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text as sql

from bot.core.model import Posted, Profile
from bot.core.posting.post import Post
from bot.core.rates import RateWindow
from bot.core.spending.limits import Limits
from bot.core.states import Mode
from bot.engine.outcomes import OutcomeKind
from bot.engine.posting.batches import AHEAD, publish_ready
from bot.engine.posting.posting_engine import tick
from bot.store.manager import DatabaseManager
from tests.engine.town import AtOnce, Town
from tests.engine.world import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def town(manager: DatabaseManager) -> Town:
    return Town(manager, profiles=3)


def all_rows(town: Town) -> dict[str, list[dict[str, Any]]]:
    """Everything that publishing writes, without ids and the database's own times."""
    hidden = {"id", "created_at", "updated_at", "slot_id", "tweet_id", "thread_id", "idempotency_key"}
    hidden |= {"expires_at", "holder", "profile_id", "auth_user_id"}
    found = {}
    with town.manager.transaction() as tx:
        for table in (
            *("tweets", "posting_schedule", "api_calls", "api_usage_tracking"),
            *("decisions", "rate_windows", "leases"),
        ):
            rows = [dict(row) for row in tx.connection.execute(sql(f"SELECT * FROM {table}")).mappings()]
            shown = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
            found[table] = sorted(shown, key=str)
    return found


WINDOW = RateWindow(name="24h_user", limit=100, remaining=80, resets_at=NOON + timedelta(hours=20))


def test_a_batch_leaves_the_very_rows_that_ticks_leave(manager: DatabaseManager) -> None:
    left = []
    for in_a_batch in (True, False):
        town = Town(manager, profiles=3, caps=Limits(posts_24h=17, budget_usd=Decimal(5)))
        for number, profile in enumerate(town.profiles):
            town.xs[profile.id].rates = (WINDOW,) if number else ()
            town.due(profile, f"Tide {number}", ago=number)
        if in_a_batch:
            assert set(town.publish().values()) == {OutcomeKind.POSTED}
        else:
            for context in town.contexts:
                tick(context)
        left.append(all_rows(town))
        # Each reservation was weighed after those before it; ticks weigh what is settled the same.
        assert [len(x.posts) for x in town.xs.values()] == [1, 1, 1]
    assert left[0] == left[1]


def _pause(town: Town, one: Profile) -> None:
    town.due(one, "Tide")
    town.change("UPDATE profiles SET paused = true WHERE id = :id", id=one.id)


def _review(town: Town, one: Profile) -> None:
    town.due(one, "Tide")
    town.change("UPDATE profiles SET mode = 'review' WHERE id = :id", id=one.id)


def _dry_run(town: Town, one: Profile) -> None:
    town.due(one, "Tide")
    town.change("UPDATE profiles SET mode = 'dry-run' WHERE id = :id", id=one.id)


def _thread(town: Town, one: Profile) -> None:
    root = uuid.uuid4()
    town.due(one, "Tide", id=root, thread_id=root)


def _unknown(town: Town, one: Profile) -> None:
    town.due(one, "Tide")
    town.change(
        "INSERT INTO tweets (profile_id, text, fingerprint, status, intent_at) "
        "VALUES (:id, 'Before', 'before', 'unknown', :at)",
        id=one.id,
        at=town.clock.now(),
    )


def _queued(town: Town, one: Profile) -> None:
    town.due(one, "Tide")
    town.change(
        "INSERT INTO tweets (profile_id, text, fingerprint, status, origin) "
        "VALUES (:id, 'Before', 'before', 'approved', 'manual')",
        id=one.id,
    )


def _two(town: Town, one: Profile) -> None:
    town.due(one, "Tide")
    town.due(one, "Another", ago=30)


def _leased(town: Town, one: Profile) -> None:
    town.due(one, "Tide")
    with town.database.transaction() as tx:
        tx.leases.acquire(one.id, holder="another", asked_at=0.0, lasts=MINUTE)


def _no_room(town: Town, one: Profile) -> None:
    town.due(one, "Tide")
    town.change(
        "INSERT INTO rate_windows (profile_id, endpoint, name, remaining, resets_at, seen_at) "
        "VALUES (:id, 'POST /2/tweets', '24h_user', 0, :until, :now)",
        id=one.id,
        until=town.clock.now() + MINUTE,
        now=town.clock.now(),
    )


LEFT: dict[str, Callable[[Town, Profile], None]] = {
    "paused": _pause,
    "a draft that nobody saw, in review": _review,
    "dry run": _dry_run,
    "a thread": _thread,
    "an unknown outcome": _unknown,
    "a text that a person queued": _queued,
    "two slots": _two,
    "another worker's": _leased,
    "no room": _no_room,
    "late": lambda town, one: town.due(one, "Tide", ago=121),
    "awaiting approval": lambda town, one: town.due(one, "Tide", status="awaiting_approval"),
    "tried before": lambda town, one: town.due(
        one, "Tide", status="approved", next_attempt_at=town.clock.now()
    ),
    "resent": lambda town, one: town.due(one, "Tide", status="approved", resends=1),
    "not due": lambda town, one: town.due(one, "Tide", ago=-1),
    "nothing": lambda _town, _one: None,
}


@pytest.mark.parametrize("name", LEFT)
def test_what_takes_more_than_a_look_is_left_to_its_tick_and_the_others_go(town: Town, name: str) -> None:
    first, second, third = town.profiles
    LEFT[name](town, second)
    town.due(first, "One")
    town.due(third, "Three", ago=120)
    before = town.rows(f"SELECT status, text FROM tweets WHERE profile_id = '{second.id}' ORDER BY text")

    assert town.publish() == {
        first.handle: OutcomeKind.POSTED,
        second.handle: None,
        third.handle: OutcomeKind.POSTED,
    }
    after = town.rows(f"SELECT status, text FROM tweets WHERE profile_id = '{second.id}' ORDER BY text")
    assert after == before
    assert town.xs[second.id].calls == 0


def test_an_approved_draft_goes_in_review_too(town: Town) -> None:
    one = town.profiles[0]
    town.due(one, "Tide", status="approved")
    town.change("UPDATE profiles SET mode = 'review' WHERE id = :id", id=one.id)
    assert town.publish()[one.handle] is OutcomeKind.POSTED


def test_a_batch_never_goes_over_the_budget_of_all(manager: DatabaseManager) -> None:
    town = Town(manager, profiles=4, caps=Limits(posts_24h=None, budget_usd=Decimal("0.015")))
    town.change("UPDATE plans SET posts_per_day = 1")
    for profile in town.profiles:
        town.due(profile, f"Tide of {profile.handle}")
    done = town.publish()
    assert sorted(map(str, done.values())) == ["None", "None", "None", "posted"]
    assert sum(len(x.posts) for x in town.xs.values()) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        ("error_after", OutcomeKind.UNKNOWN, "unknown"),
        ("lost_before", OutcomeKind.UNKNOWN, "unknown"),
        ("refuse", OutcomeKind.FAILED, "failed"),
        ("keys", OutcomeKind.FAILED, "approved"),
        ("too_many", OutcomeKind.WAITING, "approved"),
    ],
)
def test_what_x_does_not_take_is_recorded_for_its_profile_alone(
    town: Town, answer: str, kind: OutcomeKind, status: str
) -> None:
    first, second, third = town.profiles
    for one in town.profiles:
        town.due(one, f"Tide of {one.handle}")
    town.xs[second.id].script = [answer]
    done = town.publish()
    assert (done[first.handle], done[third.handle]) == (OutcomeKind.POSTED, OutcomeKind.POSTED)
    row = town.rows(f"SELECT status FROM tweets WHERE profile_id = '{second.id}'")[0]
    assert (done[second.handle], row.status) == (kind, status)


def test_a_yes_whose_id_another_row_holds_takes_no_other_with_it(town: Town) -> None:
    for one in town.profiles:
        town.due(one, f"Tide of {one.handle}")
    first, second, _ = town.profiles
    town.xs[second.id].first_id = town.xs[first.id].first_id
    done = town.publish()
    assert sorted(map(str, done.values())) == ["posted", "posted", "unknown"]
    assert ("batch_recorded_singly", {"posts": 3}) in town.log.events


def test_a_call_that_breaks_on_this_side_is_unknown_and_takes_no_other_with_it(town: Town) -> None:
    for one in town.profiles:
        town.due(one, f"Tide of {one.handle}")
    second = town.profiles[1]
    broken = town.contexts
    broken[1] = replace(broken[1], x=None)  # type: ignore[arg-type]  # breaks when it is called
    done = {
        context.profile.handle: outcome.kind if outcome else None
        for context, outcome in publish_ready(town.engine.services, broken, AtOnce(), at_once=2)
    }
    assert done[second.handle] is OutcomeKind.UNKNOWN
    assert list(done.values()).count(OutcomeKind.POSTED) == 2


# The second transaction breaks over the same lines.
@pytest.mark.parametrize("transaction", [0, pytest.param(1, marks=pytest.mark.no_cover)])
@pytest.mark.parametrize("kind", ["down", "kill_before", "lost_at_commit", "lost_after_commit", "kill_after"])
def test_every_text_is_live_once_whatever_breaks_a_batch_and_wherever(
    town: Town, transaction: int, kind: str
) -> None:
    for one in town.profiles:
        town.due(one, f"Tide of {one.handle}")
    town.database.failures = [*["ok"] * transaction, kind]
    town.go_on(600, every=15)
    assert [len(x.posts) for x in town.xs.values()] == [1, 1, 1]
    assert {row.status for row in town.rows("SELECT status FROM tweets")} == {"posted"}
    assert {row.status for row in town.rows("SELECT status FROM posting_schedule")} == {"done"}
    assert town.rows("SELECT count(*) FROM api_calls WHERE kind = 'post' AND state = 'settled'")[0][0] == 3


@pytest.mark.parametrize("kind", ["kill_before", "kill_after"])
def test_a_worker_that_is_killed_between_calls_sends_nothing_twice(town: Town, kind: str) -> None:
    for one in town.profiles:
        town.due(one, f"Tide of {one.handle}")
    town.xs[town.profiles[1].id].script = [kind]
    town.go_on(600, every=15)
    assert [len(x.posts) for x in town.xs.values()] == [1, 1, 1]
    assert {row.status for row in town.rows("SELECT status FROM tweets")} == {"posted"}


def test_an_answer_that_comes_after_another_worker_took_over_is_recorded_alone(town: Town) -> None:
    first = town.profiles[0]
    town.due(first, "Tide")
    town.database.failures = [
        "ok",
        lambda: town.change("UPDATE tweets SET fencing = fencing + 1, status = 'unknown'"),
    ]
    assert town.publish()[first.handle] is OutcomeKind.POSTED
    row = town.rows("SELECT status, reason FROM tweets")[0]
    assert (row.status, row.reason) == ("posted", "adopted")


def test_dry_runs_are_no_batchs_business_even_where_only_the_environment_says_so(town: Town) -> None:
    one = town.profiles[0]
    town.due(one, "Tide")
    dry = town.context_of(replace(one, mode=Mode.DRY_RUN))
    ((context, outcome),) = publish_ready(town.engine.services, [dry], AtOnce(), at_once=2)
    assert (context, outcome) == (dry, None)
    assert town.xs[one.id].calls == 0


def test_no_more_is_intended_than_a_few_rounds_of_calls(manager: DatabaseManager) -> None:
    town = Town(manager, profiles=9)
    under_way = []

    def counts(create_post: Callable[[Post], Posted], post: Post) -> Posted:
        under_way.append(len(town.rows("SELECT 1 FROM tweets WHERE status = 'publishing'")))
        return create_post(post)

    for number, one in enumerate(town.profiles):
        town.due(one, f"Tide {number}")
        x = town.xs[one.id]
        x.create_post = partial(counts, x.create_post)  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as calls:
        done = list(publish_ready(town.engine.services, town.contexts, calls, at_once=2))

    assert [outcome.kind for _, outcome in done if outcome] == [OutcomeKind.POSTED] * 9
    assert max(under_way) <= AHEAD * 2

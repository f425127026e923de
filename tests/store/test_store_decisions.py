"""Every tick leaves a trace; the same decision again only counts up."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from bot.core.model import DecisionRecord, Profile
from bot.core.spending.limits import STARTS_WINDOW
from bot.store.manager import DatabaseManager
from tests.store.rows import HOUR, NOW, a_decision, a_tweet, a_wish

SECOND = timedelta(seconds=1)


def recorded(
    manager: DatabaseManager, profile: Profile | None, *decisions: DecisionRecord
) -> list[DecisionRecord]:
    for decision in decisions:
        with manager.transaction() as tx:
            tx.decisions.record(decision)
    with manager.transaction() as tx:
        return list(tx.decisions.last(profile.id if profile else None, limit=100))


def test_a_decision_comes_back_as_it_was(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        plan = tx.plans.start(profile.id, posts_per_day=1)
        tx.slots.add(profile.id, plan, [a_wish(NOW)])
        (slot,) = tx.slots.overdue(profile.id, now=NOW)
        tweet = tx.tweets.add(a_tweet(profile.id, slot_id=slot.id))
    decision = a_decision(
        profile.id,
        limit="budget_usd",
        used=Decimal("9.990001"),
        cap=Decimal(10),
        until=NOW + HOUR,
        slot_id=slot.id,
        tweet_id=tweet.id,
        numbers={"posts_24h": 3, "cost": "9.99"},
        last_at=NOW,
    )

    assert recorded(manager, profile, decision) == [decision]


def test_a_run_of_the_same_decision_is_one_row_that_counts_and_keeps_both_ends(
    manager: DatabaseManager, profile: Profile
) -> None:
    run = [
        a_decision(profile.id, at=NOW + n * SECOND, used=Decimal(n), numbers={"n": n}, cap=Decimal(17))
        for n in range(4)
    ]

    (row,) = recorded(manager, profile, *run)

    assert row.repeated == 4
    assert (row.at, row.last_at) == (NOW, NOW + 3 * SECOND)
    assert (row.used, row.numbers) == (Decimal(3), {"n": 3})


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "plan"},
        {"verdict": "allow"},
        {"reason": "paused"},
        {"limit": "posts_24h"},
        {"cap": Decimal(16)},
        {"until": NOW + HOUR},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_decision_begins_another_row(
    manager: DatabaseManager, profile: Profile, change: dict[str, Any]
) -> None:
    rows = recorded(
        manager, profile, a_decision(profile.id), a_decision(profile.id, at=NOW + SECOND, **change)
    )

    assert [row.repeated for row in rows] == [1, 1]


def test_a_run_that_was_interrupted_begins_anew(manager: DatabaseManager, profile: Profile) -> None:
    reasons = ["nothing is due", "nothing is due", "posts_24h", "nothing is due"]
    rows = recorded(
        manager,
        profile,
        *(a_decision(profile.id, at=NOW + n * SECOND, reason=why) for n, why in enumerate(reasons)),
    )

    assert [(row.reason, row.repeated) for row in rows] == [
        ("nothing is due", 1),
        ("posts_24h", 1),
        ("nothing is due", 2),
    ]


def test_jobs_side_by_side_do_not_interrupt_each_others_runs(
    manager: DatabaseManager, profile: Profile
) -> None:
    kinds = ["publish", "prepare", "publish", "prepare", "source", "publish"]
    rows = recorded(
        manager, profile, *(a_decision(profile.id, at=NOW + n * SECOND, kind=k) for n, k in enumerate(kinds))
    )

    assert [(row.kind, row.repeated) for row in rows] == [("publish", 3), ("source", 1), ("prepare", 2)]


@pytest.mark.parametrize("kind", ["start", "stop"])
def test_a_worker_s_start_and_stop_are_never_counted_up(manager: DatabaseManager, kind: str) -> None:
    rows = recorded(manager, None, *(a_decision(None, kind=kind, at=NOW + n * SECOND) for n in range(2)))

    assert [row.repeated for row in rows] == [1, 1]


def test_runs_of_different_profiles_do_not_mix(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    same = [a_decision(owner, at=NOW) for owner in (profile.id, neighbour.id, None, profile.id)]

    assert [row.repeated for row in recorded(manager, profile, *same)] == [2]
    assert [row.repeated for row in recorded(manager, neighbour)] == [1]
    assert [row.repeated for row in recorded(manager, None)] == [1]


def test_every_start_is_a_row_of_its_own(manager: DatabaseManager) -> None:
    moments = [NOW - 2 * HOUR, NOW - SECOND, NOW]
    starts = [a_decision(None, kind="start", at=at) for at in moments]
    recorded(manager, None, *starts, a_decision(None, kind="post", at=NOW))

    with manager.transaction() as tx:
        assert tx.ledger.usage(None, now=NOW).starts == (NOW, NOW - SECOND)
        assert tx.ledger.usage(None, now=NOW + STARTS_WINDOW).starts == ()


def test_the_newest_come_first_and_no_more_than_asked_for(manager: DatabaseManager, profile: Profile) -> None:
    recorded(
        manager, profile, *(a_decision(profile.id, at=NOW + n * SECOND, reason=str(n)) for n in range(5))
    )

    with manager.transaction() as tx:
        assert [one.reason for one in tx.decisions.last(profile.id, limit=2)] == ["4", "3"]


def test_only_the_kinds_asked_for(manager: DatabaseManager, profile: Profile) -> None:
    kinds = ["post", "plan", "audit", "post"]
    recorded(
        manager,
        profile,
        *(a_decision(profile.id, at=NOW + n * SECOND, kind=k, reason=str(n)) for n, k in enumerate(kinds)),
    )

    with manager.transaction() as tx:
        found = tx.decisions.last(profile.id, limit=9, kinds=("audit", "post"))
        assert [one.kind for one in found] == ["post", "audit", "post"]
        assert tx.decisions.last(profile.id, limit=9, kinds=("start",)) == []


def test_a_decision_outlives_its_slot_and_its_tweet(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tweet = tx.tweets.add(a_tweet(profile.id))
        tx.decisions.record(a_decision(profile.id, tweet_id=tweet.id))
        tx.connection.execute(text("DELETE FROM tweets WHERE id = :id"), {"id": tweet.id})
        (row,) = tx.decisions.last(profile.id, limit=9)

    assert row.tweet_id is None
    assert row.reason == "nothing is due"

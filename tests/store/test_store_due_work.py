"""Whose work is due: what one look finds of slots, drafts, calls under way and plans."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.core.codes import DecisionKind
from bot.core.model import Plan, Profile, ProfileId, SlotId, Tweet
from bot.core.posting.settling import DUPLICATE
from bot.core.states import Origin, SlotStatus, TweetStatus
from bot.core.work import LookAhead
from bot.store.manager import DatabaseManager, StoreTransaction
from bot.store.rows.base import EARLIEST
from tests.store.rows import DAY, HOUR, NOW, a_tweet, a_wish, move

MINUTE = timedelta(minutes=1)
AHEAD = LookAhead(until=NOW + MINUTE, prepare_ahead=2 * HOUR, settle_delay=30 * timedelta(seconds=1))
LATER = NOW + 100 * DAY


@pytest.fixture
def plan(manager: DatabaseManager, profile: Profile) -> Plan:
    with manager.transaction() as tx:
        return tx.plans.start(profile.id, posts_per_day=4)


def due(
    manager: DatabaseManager, *own: ProfileId, changed_since: datetime = LATER
) -> Collection[tuple[DecisionKind, datetime]]:
    """What is due of the profiles; plans that changed long ago left out."""
    with manager.transaction() as tx:
        found = tx.due_work.find(holder="w", own=own, ahead=AHEAD, changed_since=changed_since)
    assert {one.work.profile_id for one in found} <= set(own)
    return {(one.work.kind, one.at) for one in found}


def a_slot(tx: StoreTransaction, plan: Plan, due_at: datetime) -> SlotId:
    tx.slots.add(plan.profile_id, plan, [a_wish(due_at)])
    return tx.slots.upcoming(plan.profile_id, after=due_at - MINUTE, before=due_at)[0].id


def a_slot_with(manager: DatabaseManager, plan: Plan, due_at: datetime, **values: Any) -> Tweet:
    with manager.transaction() as tx:
        return tx.tweets.add(a_tweet(plan.profile_id, slot_id=a_slot(tx, plan, due_at), **values))


def test_a_slot_is_due_at_its_moment_and_the_earliest_of_a_profile_is_told(
    manager: DatabaseManager, plan: Plan
) -> None:
    for moment in (NOW + MINUTE, NOW - MINUTE, NOW + HOUR):
        a_slot_with(manager, plan, moment)
    assert due(manager, plan.profile_id) == {(DecisionKind.PUBLISH, NOW - MINUTE)}


def test_a_slot_beyond_the_look_is_not_due(manager: DatabaseManager, plan: Plan) -> None:
    a_slot_with(manager, plan, AHEAD.until + timedelta(microseconds=1))
    assert due(manager, plan.profile_id) == set()


def test_a_slot_without_a_draft_is_written_for_ahead_of_its_moment(
    manager: DatabaseManager, plan: Plan
) -> None:
    with manager.transaction() as tx:
        a_slot(tx, plan, NOW + 2 * HOUR)
    assert due(manager, plan.profile_id) == {(DecisionKind.PREPARE, NOW)}
    with manager.transaction() as tx:
        tx.connection.execute(text("UPDATE posting_schedule SET writing_until = :at"), {"at": NOW + MINUTE})
    assert due(manager, plan.profile_id) == {(DecisionKind.PREPARE, NOW + MINUTE)}
    with manager.transaction() as tx:
        later = NOW + 2 * MINUTE
        tx.connection.execute(text("UPDATE posting_schedule SET writing_until = :at"), {"at": later})
    assert due(manager, plan.profile_id) == set()


@pytest.mark.parametrize("status", [SlotStatus.CLAIMED, SlotStatus.SKIPPED, SlotStatus.EXPIRED])
def test_a_slot_that_is_no_longer_planned_asks_for_nothing(
    manager: DatabaseManager, plan: Plan, status: SlotStatus
) -> None:
    with manager.transaction() as tx:
        move(tx, a_slot(tx, plan, NOW), status)
    assert due(manager, plan.profile_id) == set()


@pytest.mark.parametrize(
    ("values", "at"),
    [
        # Looked for at once after the answer, then after X's delay, or when it was put off to.
        ({"status": TweetStatus.UNKNOWN, "intent_at": NOW - MINUTE}, NOW - MINUTE),
        (
            {"status": TweetStatus.UNKNOWN, "intent_at": NOW - MINUTE, "looked_at": NOW},
            NOW + AHEAD.settle_delay,
        ),
        (
            {"status": TweetStatus.UNKNOWN, "intent_at": NOW, "looked_at": NOW - MINUTE},
            NOW + AHEAD.settle_delay,
        ),
        (
            {"status": TweetStatus.UNKNOWN, "intent_at": NOW - HOUR, "next_attempt_at": NOW + MINUTE},
            NOW + MINUTE,
        ),
        ({"status": TweetStatus.UNKNOWN, "intent_at": NOW - MINUTE, "next_attempt_at": LATER}, None),
        # That a duplicate keeps nobody waiting any more does not wait for a look.
        (
            {
                "status": TweetStatus.UNKNOWN,
                "reason": DUPLICATE,
                "intent_at": NOW - HOUR,
                "next_attempt_at": LATER,
            },
            NOW,
        ),
        # What a person queued goes when it may; so does a thread's next part.
        ({"status": TweetStatus.APPROVED, "origin": Origin.MANUAL, "next_attempt_at": NOW}, NOW),
        ({"status": TweetStatus.APPROVED, "part": 2, "next_attempt_at": NOW}, NOW),
        ({"status": TweetStatus.APPROVED, "part": 2}, EARLIEST),
        ({"status": TweetStatus.PUBLISHING}, EARLIEST),
        ({"status": TweetStatus.APPROVED, "origin": Origin.MANUAL, "next_attempt_at": LATER}, None),
        # What waits for a slot, or for a person, is on no way.
        ({"status": TweetStatus.APPROVED, "next_attempt_at": NOW}, None),
        ({"status": TweetStatus.AWAITING_APPROVAL}, None),
        ({"status": TweetStatus.DRAFTED}, None),
        ({"status": TweetStatus.FAILED}, None),
    ],
)
def test_an_open_tweet_is_gone_on_with_when_it_is_time_to(
    manager: DatabaseManager, plan: Plan, values: dict[str, Any], at: datetime | None
) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(plan.profile_id, **values))
    assert due(manager, plan.profile_id) == (set() if at is None else {(DecisionKind.PUBLISH, at)})


def test_a_refused_post_of_a_claimed_slot_is_tried_again_when_its_pause_is_over(
    manager: DatabaseManager, plan: Plan
) -> None:
    tweet = a_slot_with(
        manager, plan, NOW - MINUTE, status=TweetStatus.APPROVED, next_attempt_at=NOW + MINUTE
    )
    with manager.transaction() as tx:
        assert tweet.slot_id is not None
        move(tx, tweet.slot_id, SlotStatus.CLAIMED)
    assert due(manager, plan.profile_id) == {(DecisionKind.PUBLISH, NOW + MINUTE)}


def test_a_call_under_way_is_its_lease_holders_until_the_lease_is_over(
    manager: DatabaseManager, plan: Plan
) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(plan.profile_id, status=TweetStatus.PUBLISHING, intent_at=NOW))
        tx.leases.acquire(plan.profile_id, holder="another", asked_at=0.0, lasts=HOUR)
        tx.connection.execute(text("UPDATE leases SET expires_at = :at"), {"at": NOW + 2 * MINUTE})
    assert due(manager, plan.profile_id) == set()
    with manager.transaction() as tx:
        tx.connection.execute(text("UPDATE leases SET expires_at = :at"), {"at": NOW + MINUTE})
    assert due(manager, plan.profile_id) == {(DecisionKind.PUBLISH, NOW + MINUTE)}


def test_a_plan_that_changed_since_is_to_be_filled(manager: DatabaseManager, plan: Plan) -> None:
    with manager.transaction() as tx:
        tx.connection.execute(text("ALTER TABLE plans DISABLE TRIGGER keep_updated_at"))
        tx.connection.execute(text("UPDATE plans SET updated_at = :at"), {"at": NOW})
    assert due(manager, plan.profile_id, changed_since=NOW) == set()
    before = NOW - timedelta(microseconds=1)
    assert due(manager, plan.profile_id, changed_since=before) == {(DecisionKind.PLAN, NOW)}


def test_only_profiles_with_keys_are_looked_after(
    manager: DatabaseManager, plan: Plan, neighbour: Profile
) -> None:
    a_slot_with(manager, plan, NOW)
    assert due(manager, neighbour.id) == set()
    with manager.transaction() as tx:
        tx.connection.execute(
            text("INSERT INTO credentials (profile_id, encrypted_keys) VALUES (:id, 'x')"),
            {"id": plan.profile_id},
        )
    with manager.transaction() as tx:
        found = tx.due_work.find(holder="w", own=(), ahead=AHEAD, changed_since=LATER)
        assert [one.work.profile_id for one in found] == [plan.profile_id]


def test_a_look_is_the_workers_heartbeat_and_nobody_elses(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        for holder in ("w", "another"):
            tx.workers.begin(holder=holder, host="here", pid=1)
        tx.connection.execute(text("UPDATE workers SET beat_at = :at"), {"at": NOW})
    due(manager)
    with manager.transaction() as tx:
        moved = tx.connection.scalars(text("SELECT holder FROM workers WHERE beat_at <> :at"), {"at": NOW})
        assert list(moved) == ["w"]

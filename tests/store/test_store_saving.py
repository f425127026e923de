"""A row's next state is written whole, over the very row that it was computed from, and along the diagram."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from bot.core.errors import ForbiddenTransition, IdTaken, RowChanged
from bot.core.model import Lease, Made, Plan, Profile, Slot, SlotId, Source, Tweet
from bot.core.posting.lifecycle import approved, moved, posted, publishing
from bot.core.states import SLOT_TRANSITIONS, TWEET_TRANSITIONS, SlotStatus, TweetStatus
from bot.store.manager import DatabaseManager, StoreTransaction
from tests.store.rows import DAY, HOUR, LIVED, NOW, a_call, a_posted, a_tweet, a_wish

SOURCE = Source(id="1", kind="note", title="Tides", location="notes", url="https://example.org/tides")
TWEET_PAIRS = list(product(TweetStatus, TweetStatus))
SLOT_PAIRS = list(product(SlotStatus, SlotStatus))


@pytest.fixture
def plan(manager: DatabaseManager, profile: Profile) -> Plan:
    with manager.transaction() as tx:
        return tx.plans.start(profile.id, posts_per_day=4)


def a_row(tx: StoreTransaction, profile: Profile, status: TweetStatus, **values: Any) -> Tweet:
    live = {"x_tweet_id": uuid4().hex} if status in {TweetStatus.POSTED, TweetStatus.DELETED} else {}
    return tx.tweets.add(a_tweet(profile.id, status=status, **live | values))


def slots_with(tx: StoreTransaction, plan: Plan, *statuses: SlotStatus) -> list[Slot]:
    tx.slots.add(plan.profile_id, plan, [a_wish(NOW + n * HOUR) for n, _ in enumerate(statuses)])
    found = tx.slots.upcoming(plan.profile_id, after=NOW - HOUR, before=NOW + 60 * DAY)
    for slot, status in zip(found, statuses, strict=True):
        tx.connection.execute(
            text("UPDATE posting_schedule SET status = CAST(:status AS slot_status) WHERE id = :id"),
            {"status": status.value, "id": slot.id},
        )
    return [tx.slots.lock(slot.id) for slot in found]


def test_a_tweet_is_saved_whole(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        root = a_row(tx, profile, TweetStatus.DRAFTED)
        tweet = a_row(tx, profile, TweetStatus.PUBLISHING)
    with manager.transaction() as tx:
        saved = tx.tweets.save(
            replace(
                tx.tweets.lock(tweet.id),
                status=TweetStatus.POSTED,
                fingerprint="another",
                thread_id=root.id,
                part=2,
                topic="tides",
                source=SOURCE,
                writer="offline",
                **LIVED,
            )
        )
    with manager.transaction() as tx:
        assert tx.tweets.get(tweet.id) == saved


def test_a_slot_is_saved_with_its_reason_and_the_rest_of_its_row_stays(
    manager: DatabaseManager, plan: Plan
) -> None:
    with manager.transaction() as tx:
        (slot,) = slots_with(tx, plan, SlotStatus.PLANNED)
        assert tx.slots.claim_writing(slot.id, by="w", span=timedelta(minutes=5))
        saved = tx.slots.save(moved(tx.slots.lock(slot.id), SlotStatus.SKIPPED, reason="by hand"))
        assert saved == replace(slot, status=SlotStatus.SKIPPED, reason="by hand")
        assert tx.slots.lock(slot.id) == saved
        kept = tx.connection.execute(text("SELECT writing_by FROM posting_schedule")).scalar_one()
    assert kept == "w"


def test_no_tweet_is_saved_off_the_diagram(manager: DatabaseManager, profile: Profile) -> None:
    wrong = []
    with manager.transaction() as tx:
        for current, wanted in TWEET_PAIRS:
            row = a_row(tx, profile, current)
            x_id = row.x_tweet_id or uuid4().hex
            allowed = True
            try:
                tx.tweets.save(replace(tx.tweets.lock(row.id), status=wanted, x_tweet_id=x_id))
            except ForbiddenTransition:
                allowed = False
            kept = tx.tweets.get(row.id).status
            drawn = wanted is current or wanted in TWEET_TRANSITIONS[current]
            if allowed != drawn or kept is not (wanted if drawn else current):
                wrong.append((current, wanted, kept))
    assert wrong == []


def test_no_slot_is_saved_off_the_diagram(manager: DatabaseManager, plan: Plan) -> None:
    wrong = []
    with manager.transaction() as tx:
        slots = slots_with(tx, plan, *(current for current, _ in SLOT_PAIRS))
        for slot, (current, wanted) in zip(slots, SLOT_PAIRS, strict=True):
            allowed = True
            try:
                tx.slots.save(replace(slot, status=wanted, reason="because"))
            except ForbiddenTransition:
                allowed = False
            kept = tx.slots.lock(slot.id)
            drawn = wanted is current or wanted in SLOT_TRANSITIONS[current]
            expected = (wanted, "because") if drawn else (current, None)
            if allowed != drawn or (kept.status, kept.reason) != expected:
                wrong.append((current, wanted, kept))
    assert wrong == []


def test_a_row_that_was_only_read_is_not_saved(
    manager: DatabaseManager, profile: Profile, plan: Plan
) -> None:
    with manager.transaction() as tx:
        tweet = a_row(tx, profile, TweetStatus.DRAFTED)
        (slot,) = slots_with(tx, plan, SlotStatus.PLANNED)
        with pytest.raises(RowChanged, match="not locked"):
            tx.tweets.save(approved(tx.tweets.get(tweet.id)))
        (read,) = tx.slots.overdue(plan.profile_id, now=slot.due_at)
        with pytest.raises(RowChanged, match="not locked"):
            tx.slots.save(moved(read, SlotStatus.CLAIMED))
        assert tx.tweets.get(tweet.id).status is TweetStatus.DRAFTED
        assert tx.slots.lock(slot.id).status is SlotStatus.PLANNED


def test_a_change_that_came_between_is_not_lost(
    manager: DatabaseManager, profile: Profile, plan: Plan
) -> None:
    with manager.transaction() as tx:
        tweet = a_row(tx, profile, TweetStatus.APPROVED, next_attempt_at=NOW + HOUR)
        (slot,) = slots_with(tx, plan, SlotStatus.PLANNED)
    with manager.transaction() as tx:
        old_tweet, old_slot = tx.tweets.lock(tweet.id), tx.slots.lock(slot.id)
    with manager.transaction() as tx:
        tx.tweets.retry_now(profile.id)
        tx.slots.put_off_writing(slot.id, first=HOUR, longest=HOUR)
    with manager.transaction() as tx:
        with pytest.raises(RowChanged):
            tx.tweets.save(replace(old_tweet, reason="stale"))
        with pytest.raises(RowChanged):
            tx.slots.save(moved(old_slot, SlotStatus.CLAIMED))
        kept = tx.tweets.get(tweet.id)
    assert (kept.reason, kept.next_attempt_at) == (None, None)


def test_a_value_is_saved_once_and_its_successor_again(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tweet = a_row(tx, profile, TweetStatus.UNKNOWN)
    with manager.transaction() as tx:
        locked = tx.tweets.lock(tweet.id)
        first = tx.tweets.save(replace(locked, reason="first"))
        with pytest.raises(RowChanged):
            tx.tweets.save(replace(locked, looked_at=NOW))
        second = tx.tweets.save(replace(first, looked_at=NOW))
        assert tx.tweets.get(tweet.id) == second
    assert (second.reason, second.looked_at) == ("first", NOW)


def test_a_row_that_is_gone_is_not_saved(manager: DatabaseManager, profile: Profile, plan: Plan) -> None:
    with manager.transaction() as tx:
        a_row(tx, profile, TweetStatus.DRAFTED)
        (slot,) = slots_with(tx, plan, SlotStatus.PLANNED)
        with pytest.raises(LookupError, match="is gone"):
            tx.tweets.save(a_tweet(profile.id))
        with pytest.raises(LookupError, match="is gone"):
            tx.slots.save(replace(slot, id=SlotId(uuid4())))


def test_an_id_that_another_row_has_is_told_in_a_line(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_posted(neighbour.id, "1"))
        tweet = a_row(tx, profile, TweetStatus.PUBLISHING)
    with pytest.raises(IdTaken, match="id 1 already"), manager.transaction() as tx:
        tx.tweets.save(posted(tx.tweets.lock(tweet.id), "1", at=NOW))


# What a batch does to its rows in SQL is what the engine does to one of them.


def a_lease(tx: StoreTransaction, profile: Profile) -> Lease:
    lease = tx.leases.acquire(profile.id, holder="w", asked_at=0.0, lasts=HOUR)
    assert lease is not None
    return lease


@pytest.mark.parametrize("sent_before", [False, True])
@pytest.mark.parametrize("current", TweetStatus)
def test_a_batch_begins_what_the_engine_would_and_changes_the_same(
    manager: DatabaseManager, profile: Profile, plan: Plan, current: TweetStatus, sent_before: bool
) -> None:
    before = {"first_intent_at": NOW - DAY, "after_x_id": "7", "attempts": 2} if sent_before else {}
    noted = {"absent_reads": 1, "inconclusive_reads": 2, "looked_at": NOW, "reason": "absent"}
    with manager.transaction() as tx:
        lease = a_lease(tx, profile)
        (slot,) = slots_with(tx, plan, SlotStatus.PLANNED)
        row = a_row(tx, profile, current, slot_id=slot.id, next_attempt_at=NOW, **before | noted)
    try:
        expected: Tweet | None = publishing(row, fencing=lease.fencing, after_x_id="9", now=NOW)
    except ForbiddenTransition:
        expected = None
    with nullcontext() if expected else pytest.raises(ForbiddenTransition), manager.transaction() as tx:
        tx.sending.begin({row.id: lease}, {row.id: "9"}, now=NOW)
    with manager.transaction() as tx:
        assert tx.tweets.get(row.id) == (expected or row)
        taken = tx.slots.lock(slot.id)
    assert taken == (moved(slot, SlotStatus.CLAIMED) if expected else slot)


@pytest.mark.parametrize("current", TweetStatus)
def test_a_batch_makes_posts_of_what_is_being_sent_as_the_engine_would(
    manager: DatabaseManager, profile: Profile, plan: Plan, current: TweetStatus
) -> None:
    with manager.transaction() as tx:
        lease = a_lease(tx, profile)
        (slot,) = slots_with(tx, plan, SlotStatus.CLAIMED)
        row = a_row(tx, profile, current, slot_id=slot.id, fencing=lease.fencing)
        call = tx.ledger.reserve(a_call(profile.id, tweet_id=row.id))
    with manager.transaction() as tx:
        said = Made(tweet_id=row.id, x_tweet_id="1999", call_id=call.id, fencing=lease.fencing)
        made = tx.sending.made([said], now=NOW)
        after, ended = tx.tweets.get(row.id), tx.slots.lock(slot.id)
    if current is TweetStatus.PUBLISHING:
        assert (made, after) == ({row.id}, posted(row, "1999", at=NOW))
        assert ended == moved(slot, SlotStatus.DONE)
    else:
        # What is unknown is settled by its timeline; a batch leaves it alone.
        assert (made, after, ended) == (set(), row, slot)


def test_a_batch_refuses_a_slot_that_the_diagram_does_not_lead_on(
    manager: DatabaseManager, profile: Profile, plan: Plan
) -> None:
    with manager.transaction() as tx:
        lease = a_lease(tx, profile)
        slots = slots_with(tx, plan, *SlotStatus)
        rows = [a_row(tx, profile, TweetStatus.DRAFTED, slot_id=slot.id) for slot in slots]
    begun = []
    for slot, row in zip(slots, rows, strict=True):
        try:
            with manager.transaction() as tx:
                tx.sending.begin({row.id: lease}, {}, now=NOW)
                begun.append(slot.status)
        except ForbiddenTransition:
            pass
    assert begun == [one for one in SlotStatus if SlotStatus.CLAIMED in SLOT_TRANSITIONS[one]]

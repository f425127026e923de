"""Tweets from draft to live."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from bot.core.model import Profile, Source, TweetId
from bot.core.states import UNSENT, Origin, SlotStatus, TweetStatus
from bot.store.manager import DatabaseManager, StoreTransaction
from tests.store.rows import DAY, HOUR, LIVED, NOW, a_posted, a_tweet, a_wish, move

OPEN = {
    TweetStatus.DRAFTED,
    TweetStatus.AWAITING_APPROVAL,
    TweetStatus.APPROVED,
    TweetStatus.PUBLISHING,
    TweetStatus.UNKNOWN,
}
SOURCE = Source(id="tides#1", kind="note", title="Tides", location="notes/tides.md", url=None)


def with_any_status(profile: Profile, status: TweetStatus, **values: Any) -> Any:
    live = {"x_tweet_id": uuid4().hex, "posted_at": NOW} if status is TweetStatus.POSTED else {}
    return a_tweet(profile.id, status=status, **live | values)


def an_expired_slot(tx: StoreTransaction, profile: Profile, *, policy: str = "move", hour: int = 1) -> Any:
    plan = tx.plans.active(profile.id) or tx.plans.start(profile.id, posts_per_day=4)
    tx.connection.execute(
        text("UPDATE plans SET late_policy = CAST(:policy AS late_policy) WHERE id = :id"),
        {"policy": policy, "id": plan.id},
    )
    due_at = NOW - hour * HOUR
    tx.slots.add(profile.id, plan, [a_wish(due_at)])
    slot = next(slot for slot in tx.slots.overdue(profile.id, now=NOW) if slot.due_at == due_at)
    return move(tx, slot.id, SlotStatus.EXPIRED, reason="missed")


def test_a_tweet_comes_back_as_it_was(manager: DatabaseManager, profile: Profile) -> None:
    root = a_tweet(profile.id)
    tweet = a_tweet(
        profile.id,
        status=TweetStatus.POSTED,
        thread_id=root.id,
        part=2,
        origin=Origin.MANUAL,
        topic="tides",
        source=SOURCE,
        writer="offline",
        **LIVED,
    )
    with manager.transaction() as tx:
        tx.tweets.add(root)
        added = tx.tweets.add(tweet)
        assert tx.tweets.get(tweet.id) == added

    assert added.created_at is not None
    assert {name: getattr(added, name) for name in tweet.__slots__ if name != "created_at"} == {
        name: getattr(tweet, name) for name in tweet.__slots__ if name != "created_at"
    }


def test_a_tweet_that_is_not_there_is_gone(standing: DatabaseManager) -> None:
    with standing.transaction() as tx:
        with pytest.raises(LookupError, match="is gone"):
            tx.tweets.get(TweetId(uuid4()))
        with pytest.raises(LookupError, match="is gone"):
            tx.tweets.lock(TweetId(uuid4()))


def test_open_tweets_are_those_that_are_not_at_an_end(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        for owner in (profile, neighbour):
            for status in TweetStatus:
                tx.tweets.add(with_any_status(owner, status))
        found = tx.tweets.open(profile.id)
        counts = tx.tweets.counts(profile.id)

    assert {tweet.status for tweet in found} == OPEN
    assert {tweet.profile_id for tweet in found} == {profile.id}
    assert counts == {status.value: 1 for status in OPEN}


def test_the_oldest_intent_comes_first_then_what_has_none(manager: DatabaseManager, profile: Profile) -> None:
    unknown = TweetStatus.UNKNOWN
    with manager.transaction() as tx:
        root = a_tweet(profile.id, text="root", status=unknown, intent_at=NOW)
        for tweet in (
            a_tweet(profile.id, text="none", status=unknown),
            a_tweet(profile.id, text="part 2", status=unknown, intent_at=NOW, thread_id=root.id, part=2),
            a_tweet(profile.id, text="oldest", status=unknown, intent_at=NOW - HOUR),
            a_tweet(profile.id, text="other state", intent_at=NOW - DAY),
        ):
            if tweet.thread_id:
                tx.tweets.add(root)
            tx.tweets.add(tweet)
        found = tx.tweets.with_status(profile.id, unknown)

    assert [tweet.text for tweet in found] == ["oldest", "root", "part 2", "none"]


def test_a_slots_tweet_is_its_newest_root_that_was_not_rejected(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        slot = an_expired_slot(tx, profile)
        assert tx.tweets.of_slot(slot.id) is None
    for text_, status in (("first", TweetStatus.FAILED), ("second", TweetStatus.DRAFTED)):
        with manager.transaction() as tx:
            root = tx.tweets.add(a_tweet(profile.id, text=text_, status=status, slot_id=slot.id))
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(profile.id, text="rejected", status=TweetStatus.REJECTED, slot_id=slot.id))
        tx.tweets.add(a_tweet(profile.id, text="part", slot_id=slot.id, thread_id=root.id, part=2))

        found = tx.tweets.of_slot(slot.id)
    assert found is not None
    assert found.text == "second"


def test_a_threads_parts_come_in_order(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        root = tx.tweets.add(a_tweet(profile.id))
        for part in (3, 2, 4):
            tx.tweets.add(a_tweet(profile.id, thread_id=root.id, part=part))

        assert [tweet.part for tweet in tx.tweets.parts(root.id)] == [2, 3, 4]


def test_fingerprints_are_of_what_is_live_since_then_on_its_way_or_turned_down_for_a_slot(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        for status in TweetStatus:
            tx.tweets.add(with_any_status(profile, status, fingerprint=status.value))
        for tweet in (
            a_posted(profile.id, "1", fingerprint="at the edge", posted_at=NOW - HOUR),
            a_posted(profile.id, "2", fingerprint="long ago", posted_at=NOW - DAY),
            a_posted(profile.id, "3", fingerprint="deleted", status=TweetStatus.DELETED, posted_at=NOW),
            a_tweet(neighbour.id, fingerprint="a neighbour's"),
            with_any_status(profile, TweetStatus.REJECTED, fingerprint="a person's", writer="operator"),
            with_any_status(profile, TweetStatus.REJECTED, fingerprint="a wish", origin=Origin.MANUAL),
        ):
            tx.tweets.add(tweet)
        said = {status.value for status in OPEN | {TweetStatus.POSTED, TweetStatus.REJECTED}}

        assert tx.tweets.fingerprints(profile.id, since=NOW - HOUR) == said
        of_drafted = [tx.tweets.with_status(profile.id, TweetStatus.DRAFTED)[0].id]
        assert tx.tweets.fingerprints(profile.id, since=NOW - HOUR, apart_from=of_drafted) == (
            said - {TweetStatus.DRAFTED.value}
        )


def test_recent_texts_are_the_newest_live_ones_and_every_draft(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        made = tx.connection.scalar(text("SELECT now()"))
        tx.tweets.add(a_tweet(profile.id, text="draft"))
        tx.tweets.add(a_tweet(profile.id, text="mine", status=TweetStatus.REJECTED, origin=Origin.MANUAL))
        tx.tweets.add(a_tweet(neighbour.id, text="turned down there", status=TweetStatus.REJECTED))
        tx.tweets.add(a_tweet(neighbour.id, text="a neighbour's"))
        for n in range(4):
            at = made - timedelta(minutes=n + 1)
            tx.tweets.add(a_posted(profile.id, str(n), text=f"live {n}", posted_at=at))

        assert tx.tweets.recent_texts(profile.id, limit=9) == [
            "draft",
            "live 0",
            "live 1",
            "live 2",
            "live 3",
        ]
        assert tx.tweets.recent_texts(profile.id, limit=2) == ["draft", "live 0"]


def test_what_a_person_turned_down_for_a_slot_is_among_the_recent_texts(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(profile.id, text="not this", status=TweetStatus.REJECTED))

        assert tx.tweets.recent_texts(profile.id, limit=9) == ["not this"]


def test_known_ids_are_those_a_row_holds_whosever_it_is(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_posted(profile.id, "1"))
        tx.tweets.add(a_posted(neighbour.id, "2"))

        assert tx.tweets.known_ids(["1", "2", "3"]) == {"1", "2"}
        assert tx.tweets.known_ids([]) == set()


def test_the_newest_known_post_is_that_of_the_latest_lease_whatever_clocks_said(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        assert tx.sending.last_known(profile.id) == []
        for tweet in (
            # The clock of an earlier worker may have been ahead: leases order, moments don't.
            a_posted(profile.id, "100", fencing=3, posted_at=NOW + DAY),
            a_posted(profile.id, "200", fencing=5, posted_at=NOW - DAY),
            a_posted(profile.id, "300", fencing=6, reason="adopted"),
            a_posted(profile.id, "500", fencing=None),
            a_tweet(profile.id, fencing=7),
            a_posted(neighbour.id, "600", fencing=7),
        ):
            tx.tweets.add(tweet)

        known = tx.sending.last_known(profile.id)[:2]
        assert [one.x_tweet_id for one in known] == [
            "300",
            "200",
        ]


def test_of_a_threads_parts_the_last_is_the_newest(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        root = tx.tweets.add(a_posted(profile.id, "1", fencing=4))
        for part in (3, 2):
            tx.tweets.add(a_posted(profile.id, str(part), fencing=4, thread_id=root.id, part=part))

        known = tx.sending.last_known(profile.id)[:2]
        assert [one.x_tweet_id for one in known] == [
            "3",
            "2",
        ]


def test_a_draft_of_a_missed_slot_is_left_over(manager: DatabaseManager, profile: Profile) -> None:
    drafts = []
    for hour in (1, 2):
        with manager.transaction() as tx:
            slot = an_expired_slot(tx, profile, hour=hour)
            drafts.append(tx.tweets.add(a_tweet(profile.id, slot_id=slot.id)))

    with manager.transaction() as tx:
        assert tx.tweets.left_over(profile.id) == drafts[0]


def test_a_draft_whose_slot_went_with_an_older_plan_is_left_over(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        draft = tx.tweets.add(a_tweet(profile.id))

        assert tx.tweets.left_over(profile.id) == draft


@pytest.mark.parametrize("status", TweetStatus)
def test_only_what_waits_to_be_published_is_left_over(
    manager: DatabaseManager, profile: Profile, status: TweetStatus
) -> None:
    with manager.transaction() as tx:
        slot = an_expired_slot(tx, profile)
        tx.tweets.add(with_any_status(profile, status, slot_id=slot.id))
        found = tx.tweets.left_over(profile.id)

    assert (found is not None) == (status in UNSENT)


@pytest.mark.parametrize(
    "why", ["plan lets drafts expire", "slot is planned", "a person wrote it", "part", "neighbour"]
)
def test_a_draft_is_not_left_over_when(
    manager: DatabaseManager, profile: Profile, neighbour: Profile, why: str
) -> None:
    with manager.transaction() as tx:
        slot = an_expired_slot(tx, profile, policy="expire" if why.startswith("plan") else "move")
        values: dict[str, Any] = {"slot_id": slot.id}
        if why == "slot is planned":
            tx.connection.execute(text("UPDATE posting_schedule SET status = 'planned'"))
        elif why == "a person wrote it":
            values = {"origin": Origin.MANUAL}
        elif why == "part":
            values |= {"part": 2}
        tx.tweets.add(a_tweet(profile.id, **values))

        assert tx.tweets.left_over(neighbour.id if why == "neighbour" else profile.id) is None


def test_the_newest_live_tweets_come_first(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        assert tx.tweets.last_posted(profile.id) is None
        for n in range(3):
            tx.tweets.add(a_posted(profile.id, str(n), posted_at=NOW - n * HOUR))
        tx.tweets.add(a_posted(profile.id, "8", status=TweetStatus.DELETED, posted_at=NOW + HOUR))
        tx.tweets.add(a_posted(neighbour.id, "9", posted_at=NOW + HOUR))
        newest = tx.tweets.last_posted(profile.id)

        assert newest is not None
        assert newest.x_tweet_id == "0"
        assert [one.x_tweet_id for one in tx.tweets.last_live(profile.id, limit=2)] == ["0", "1"]


def test_what_waits_for_another_try_can_be_let_go_at_once(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    later = NOW + HOUR
    with manager.transaction() as tx:
        waiting = tx.tweets.add(a_tweet(profile.id, status=TweetStatus.APPROVED, next_attempt_at=later))
        others = [
            tx.tweets.add(a_tweet(profile.id, status=TweetStatus.UNKNOWN, next_attempt_at=later)),
            tx.tweets.add(a_tweet(neighbour.id, status=TweetStatus.APPROVED, next_attempt_at=later)),
            tx.tweets.add(a_tweet(profile.id, status=TweetStatus.APPROVED)),
        ]

        assert tx.tweets.retry_now(profile.id) == 1
        assert tx.tweets.get(waiting.id).next_attempt_at is None
        assert [tx.tweets.get(other.id) for other in others] == others
        assert tx.tweets.retry_now(profile.id) == 0

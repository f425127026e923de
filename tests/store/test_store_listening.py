"""A worker is woken by what it goes by, and by nothing else."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, make_url, text

from bot.core.model import Profile
from bot.core.posting.lifecycle import posted
from bot.core.states import SlotStatus, TweetStatus
from bot.store import listening
from bot.store.listening import Listener
from bot.store.manager import DatabaseManager, StoreTransaction
from tests.engine.world import SilentLog
from tests.store.rows import HOUR, NOW, a_call, a_decision, a_tweet, a_wish, move
from tests.support.processes import eventually

# Long enough for a notification that comes; what is never to come is told from a later one that does.
PATIENCE = 30.0


@pytest.fixture
def heard(manager: DatabaseManager) -> Iterator[queue.SimpleQueue[str]]:
    calls: queue.SimpleQueue[str] = queue.SimpleQueue()
    listener = Listener(manager.engine.url, heard=lambda: calls.put("heard"), log=SilentLog())
    listener.start()
    calls.get(timeout=PATIENCE)  # it listens from here on
    yield calls
    listener.stop()


Change = Callable[[StoreTransaction, Profile], object]


def _plan(tx: StoreTransaction, profile: Profile) -> None:
    plan = tx.plans.start(profile.id, posts_per_day=3)
    tx.slots.add(profile.id, plan, [a_wish(NOW + HOUR)])


WAKES: dict[str, Change] = {
    "a plan and its slots": _plan,
    "a resumed profile": lambda tx, p: tx.profiles.pause(p.id, paused=False, reason=None),
    "a setting": lambda tx, _p: tx.config.put("caps", {"posts_24h": 3}),
    "a draft": lambda tx, p: tx.tweets.add(a_tweet(p.id)),
    "an approval": lambda tx, _p: tx.connection.execute(text("UPDATE tweets SET status = 'approved'")),
    "another try at once": lambda tx, p: tx.tweets.retry_now(p.id),
    "keys": lambda tx, p: tx.connection.execute(
        text("INSERT INTO credentials (profile_id, encrypted_keys) VALUES (:id, 'x')"), {"id": p.id}
    ),
}
SLEEPS: dict[str, Change] = {
    "a decision": lambda tx, p: tx.decisions.record(a_decision(p.id)),
    "a call": lambda tx, p: tx.ledger.reserve(a_call(p.id)),
    "a lease": lambda tx, p: tx.leases.acquire(p.id, holder="w", asked_at=0.0, lasts=HOUR),
    "a post": lambda tx, p: tx.tweets.save(
        posted(tx.tweets.lock(tx.tweets.with_status(p.id, TweetStatus.PUBLISHING)[0].id), "1", at=NOW)
    ),
    "a slot that is done": lambda tx, p: move(tx, tx.slots.claimed(p.id)[0].id, SlotStatus.DONE),
}


@pytest.fixture
def under_way(manager: DatabaseManager, profile: Profile) -> None:
    """A slot that is claimed, one tweet that is being sent, and one that waits."""
    with manager.transaction() as tx:
        plan = tx.plans.start(profile.id, posts_per_day=4)
        tx.slots.add(profile.id, plan, [a_wish(NOW)])
        move(tx, tx.slots.overdue(profile.id, now=NOW)[0].id, SlotStatus.CLAIMED)
        tx.tweets.add(a_tweet(profile.id, status=TweetStatus.PUBLISHING, intent_at=NOW))
        waits = a_tweet(profile.id, text="Another", status=TweetStatus.APPROVED, next_attempt_at=NOW + HOUR)
        tx.tweets.add(waits)


@pytest.mark.parametrize("name", WAKES)
def test_what_brings_work_forward_wakes_a_worker(
    manager: DatabaseManager, profile: Profile, name: str, request: pytest.FixtureRequest
) -> None:
    if name == "another try at once":
        request.getfixturevalue("under_way")
    elif name == "an approval":
        with manager.transaction() as tx:
            tx.tweets.add(a_tweet(profile.id, status=TweetStatus.AWAITING_APPROVAL))
    heard = request.getfixturevalue("heard")
    with manager.transaction() as tx:
        WAKES[name](tx, profile)
    assert heard.get(timeout=PATIENCE) == "heard"


@pytest.mark.usefixtures("under_way")
@pytest.mark.parametrize("name", SLEEPS)
def test_what_only_goes_on_to_its_end_wakes_nobody(
    manager: DatabaseManager, profile: Profile, name: str, request: pytest.FixtureRequest
) -> None:
    heard = request.getfixturevalue("heard")
    with manager.transaction() as tx:
        SLEEPS[name](tx, profile)
    with manager.transaction() as tx:
        tx.config.put("after", 1)
    heard.get(timeout=PATIENCE)
    assert heard.empty()


def test_a_transaction_that_is_rolled_back_wakes_nobody(
    manager: DatabaseManager, heard: queue.SimpleQueue[str]
) -> None:
    with manager.engine.connect() as connection:
        StoreTransaction(connection).config.put("never", 1)
        connection.rollback()
    with manager.transaction() as tx:
        tx.config.put("after", 1)
    heard.get(timeout=PATIENCE)
    assert heard.empty()


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (URL.create("postgresql+psycopg", query={"host": "/a b/c+d%20/é"}), {"host": "/a b/c+d%20/é"}),
        (URL.create("postgresql+psycopg", "u", "p w+@/%20", "h"), {"password": "p w+@/%20"}),
        (make_url("postgresql+psycopg://u@/d?host=one:1&host=two:2"), {"host": "one,two", "port": "1,2"}),
    ],
    ids=["a folder", "a password", "two hosts"],
)
def test_it_connects_to_where_the_engine_does(url: URL, parts: dict[str, str]) -> None:
    listener = Listener(url, heard=lambda: None, log=SilentLog())
    assert parts.items() <= conninfo_to_dict(listener.conninfo).items()


def test_a_connection_that_is_lost_is_had_again(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "RETRY_SECONDS", 0.01)
    calls: queue.SimpleQueue[str] = queue.SimpleQueue()
    log = SilentLog()
    listener = Listener(manager.engine.url, heard=lambda: calls.put("heard"), log=log)
    listener.start()
    calls.get(timeout=PATIENCE)
    try:
        with psycopg.connect(listener.conninfo, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        # What changed in between is looked for as soon as it listens again.
        assert calls.get(timeout=PATIENCE) == "heard"
        with manager.transaction() as tx:
            tx.config.put("after", 1)
        assert calls.get(timeout=PATIENCE) == "heard"
        eventually(lambda: log.events, what="it said that it was not listening")
        assert log.events[0][0] == "not_listening"
    finally:
        listener.stop()

"""What a tick reads does not grow with history."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import URL, Connection, event, text

from bot.core.model import Plan, Profile, SlotId, TweetId
from bot.core.spending.limits import CREATE_POST, Scope
from bot.core.states import TweetStatus
from bot.core.work import LookAhead
from bot.store.manager import DatabaseManager, StoreTransaction
from tests.store.rows import DAY, HOUR, NOW, a_call, a_decision, a_posted, a_tweet, a_window, a_wish
from tests.support.databases import admin, copy_of

# One process, because two years of rows are made once.
pytestmark = pytest.mark.xdist_group("old")

HISTORY = 20_000
LARGE = ("tweets", "api_calls", "posting_schedule", "decisions")
# Two months of a busy account, and the pages of an index on the way to them; history is ten times as much.
MOST_ROWS = 2_000
MOST_PAGES = 250
# Two years, that ended forty days ago.
PAST = """
SET LOCAL session_replication_role = replica;
INSERT INTO posting_schedule (profile_id, plan_id, due_at, local_date, local_time, timezone, status)
SELECT '{profile}', '{plan}', at, at::date, at::time, 'UTC', 'done'
  FROM (SELECT timestamptz '{end}' - n * interval '53 min' AS at FROM generate_series(1, {many}) AS n) AS m;
INSERT INTO tweets (profile_id, slot_id, text, fingerprint, status, x_tweet_id, posted_at, intent_at, fencing)
SELECT profile_id, id, 'text', id::text, 'posted', id::text, due_at, due_at,
       extract(epoch FROM due_at)::bigint - 1600000000
  FROM posting_schedule;
INSERT INTO api_calls (profile_id, tweet_id, api, kind, endpoint, units, cost_usd, state, at)
SELECT profile_id, id, 'twitter', 'post', '{endpoint}', 1, 0.015, 'settled', posted_at FROM tweets;
INSERT INTO decisions (profile_id, at, last_at, kind, verdict, reason, tweet_id)
SELECT profile_id, posted_at, posted_at, 'post', 'allow', 'room left', id FROM tweets;
INSERT INTO api_usage_tracking (date, api_type, tweets_posted, cost_usd)
SELECT at::date, api, count(*), sum(cost_usd) FROM api_calls GROUP BY 1, 2;
"""


@pytest.fixture(scope="module")
def old(postgres_url: URL, template: str) -> Iterator[tuple[DatabaseManager, Profile, Plan]]:
    """A profile that has posted for two years, and a little that is going on now."""
    name = f"old_{uuid.uuid4().hex[:12]}"
    admin(postgres_url, copy_of(template, name))
    url = postgres_url.set(database=name)
    manager = DatabaseManager(url)
    with manager.transaction() as tx:
        profile = tx.profiles.create(handle="ada", x_user_id="1", timezone="UTC", mode="auto")
        plan = tx.plans.start(profile.id, posts_per_day=4)
    with manager.transaction() as tx:
        past = PAST.format(
            profile=profile.id, plan=plan.id, end=NOW - 40 * DAY, many=HISTORY, endpoint=CREATE_POST
        )
        tx.connection.exec_driver_sql(past)
    with manager.transaction() as tx:
        tx.slots.add(profile.id, plan, [a_wish(NOW + n * HOUR) for n in range(-2, 20)])
        (slot, *_) = tx.slots.overdue(profile.id, now=NOW)
        tx.tweets.add(a_tweet(profile.id, slot_id=slot.id))
        tx.tweets.add(a_tweet(profile.id, status=TweetStatus.UNKNOWN, intent_at=NOW))
        for n in range(20):
            tx.tweets.add(a_posted(profile.id, f"recent-{n}", posted_at=NOW - n * HOUR, fencing=2**40 + n))
            tx.ledger.reserve(a_call(profile.id, at=NOW - n * HOUR))
            tx.decisions.record(a_decision(profile.id, at=NOW - n * HOUR))
        tx.profiles.use_app(profile.id, "app")
        tx.rates.saw(profile.id, CREATE_POST, [a_window(), a_window("24h_app")], now=NOW - HOUR)
    admin(url, "VACUUM ANALYZE")
    yield manager, profile, plan
    manager.close()
    admin(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


AHEAD = LookAhead(until=NOW + HOUR, prepare_ahead=2 * HOUR, settle_delay=HOUR)
Look = Callable[[StoreTransaction, Profile, Plan], object]
LOOKS: dict[str, Look] = {
    "usage": lambda tx, p, _: tx.ledger.usage(p.id, now=NOW),
    "usage of nobody": lambda tx, _p, _: tx.ledger.usage(None, now=NOW),
    "usage of an app and of all": lambda tx, p, _: tx.ledger.usage(
        p.id, now=NOW, shared={Scope.APP, Scope.ALL}
    ),
    "orphans": lambda tx, p, _: tx.ledger.orphans(p.id, before=NOW),
    "calls of a tweet": lambda tx, _p, _: tx.ledger.of_tweet(TweetId(uuid.uuid4())),
    "drift": lambda tx, p, _: tx.rates.saw(p.id, CREATE_POST, [a_window()], now=NOW),
    "overdue": lambda tx, p, _: tx.slots.overdue(p.id, now=NOW),
    "claimed": lambda tx, p, _: tx.slots.claimed(p.id),
    "upcoming": lambda tx, p, _: tx.slots.upcoming(p.id, after=NOW, before=NOW + DAY),
    "planned days": lambda tx, p, plan: tx.plans.planned_days(p.id, plan, since=NOW.date()),
    "planned days of a new plan": lambda tx, p, _: tx.plans.planned_days(
        p.id, tx.plans.start(p.id, posts_per_day=0), since=NOW.date()
    ),
    "add slots": lambda tx, p, plan: tx.slots.add(p.id, plan, [a_wish(NOW + 3 * DAY)]),
    "open": lambda tx, p, _: tx.tweets.open(p.id),
    "unknown": lambda tx, p, _: tx.tweets.with_status(p.id, TweetStatus.UNKNOWN),
    "counts": lambda tx, p, _: tx.tweets.counts(p.id),
    "left over": lambda tx, p, _: tx.tweets.left_over(p.id),
    "of slot": lambda tx, _p, _: tx.tweets.of_slot(SlotId(uuid.uuid4())),
    "parts": lambda tx, _p, _: tx.tweets.parts(TweetId(uuid.uuid4())),
    "fingerprints": lambda tx, p, _: tx.tweets.fingerprints(p.id, since=NOW - 7 * DAY),
    "recent texts": lambda tx, p, _: tx.tweets.recent_texts(p.id, limit=20),
    "known ids": lambda tx, _p, _: tx.tweets.known_ids(["recent-1", "nowhere"]),
    "last live": lambda tx, p, _: tx.tweets.last_live(p.id, limit=200),
    "last decisions": lambda tx, p, _: tx.decisions.last(p.id, limit=20),
    "the last decision of a kind that never was": lambda tx, p, _: tx.decisions.last(
        p.id, limit=1, kinds=("audit",)
    ),
    "record a decision": lambda tx, p, _: tx.decisions.record(a_decision(p.id, at=NOW, reason="another")),
    "active plan": lambda tx, p, _: tx.plans.active(p.id),
    "due work": lambda tx, p, _: tx.due_work.find(
        holder="w", own=[p.id], ahead=AHEAD, changed_since=NOW - DAY
    ),
    "ready posts": lambda tx, p, _: tx.sending.claim([p.id], holder="one", asked_at=0, lasts=HOUR, now=NOW),
    "last known": lambda tx, p, _: tx.sending.last_known(p.id),
    "the profile of a job": lambda tx, p, _: tx.profiles.with_keys([p.id]),
    "lease": lambda tx, p, _: tx.leases.acquire(p.id, holder="w", asked_at=0.0, lasts=HOUR),
}


def plans_of(tx: StoreTransaction, look: Callable[[], object]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Runs a look's statements again, for their plans and what was really read."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Connection, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "WITH")):
            seen.append((statement, values))

    event.listen(tx.connection, "before_cursor_execute", note)
    with tx.connection.begin_nested() as once:
        look()
        once.rollback()
    event.remove(tx.connection, "before_cursor_execute", note)
    assert seen
    for statement, values in seen:
        explained = tx.connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values
        ).scalar()
        assert explained is not None
        yield statement, explained[0]["Plan"]


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_of(child)


def rows_read(node: dict[str, Any]) -> float:
    if "Scan" not in node["Node Type"]:
        return 0
    thrown_away = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
    return float((node["Actual Rows"] + thrown_away) * node["Actual Loops"])


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_reads_by_an_index_and_not_all_of_history(
    old: tuple[DatabaseManager, Profile, Plan], name: str
) -> None:
    manager, profile, plan = old
    complaints = []
    with manager.engine.connect() as connection, connection.begin() as undone:
        tx = StoreTransaction(connection)
        for statement, explained in plans_of(tx, lambda: LOOKS[name](tx, profile, plan)):
            nodes = list(nodes_of(explained))
            scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"} & set(
                LARGE
            )
            rows = sum(rows_read(node) for node in nodes)
            pages = explained["Shared Hit Blocks"] + explained["Shared Read Blocks"]
            if scanned or rows > MOST_ROWS or pages > MOST_PAGES:
                complaints.append(f"{rows:.0f} rows, {pages} pages, all of {scanned or 'none'}: {statement}")
        undone.rollback()

    assert complaints == []


def test_the_check_itself_sees_a_table_that_is_read_whole(old: tuple[DatabaseManager, Profile, Plan]) -> None:
    manager, _, _ = old
    with manager.transaction() as tx:
        whole = text("SELECT count(*) FROM tweets WHERE text = 'nowhere'")
        ((_, explained),) = plans_of(tx, lambda: tx.connection.execute(whole).all())

    assert max(rows_read(node) for node in nodes_of(explained)) > HISTORY
    assert explained["Shared Hit Blocks"] + explained["Shared Read Blocks"] > MOST_PAGES

"""The daily rows are the ledger's sums, whatever happens to either."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bot.core.model import CallId, ProfileId
from bot.core.states import CallKind, CallState
from bot.store.ledger import LedgerTable
from bot.store.manager import DatabaseManager
from bot.store.profiles import ProfileTable
from tests.store.rows import NOW, Amounts, a_call, daily_rows, ledger_sums

MIDNIGHT = datetime(2026, 12, 1, tzinfo=UTC)
ZONES = ("UTC", "Pacific/Kiritimati", "America/St_Johns")
NOTHING: Amounts = (0, 0, 0, Decimal(0))
Step = Mapping[str, Any]

moments = st.integers(-3 * 86_400, 3 * 86_400).map(lambda s: MIDNIGHT + timedelta(seconds=s)) | st.just(
    MIDNIGHT
)
dollars = st.integers(0, 5_000_000).map(lambda micro: Decimal(micro).scaleb(-6))
spent = st.fixed_dictionaries(
    {
        "api": st.sampled_from(["twitter", "openai"]),
        "kind": st.sampled_from(CallKind),
        "units": st.integers(0, 20),
        "tokens": st.integers(0, 10_000),
        "cost_usd": dollars,
        "at": moments,
    }
)
by_hand = st.fixed_dictionaries(
    {
        "day": st.dates(date(2026, 11, 29), date(2026, 12, 2)),
        "api": st.sampled_from(["twitter", "openai"]),
        "posts": st.integers(0, 5),
        "reads": st.integers(0, 5),
        "tokens": st.integers(0, 500),
        "cost": dollars,
    }
)
steps = st.one_of(
    st.fixed_dictionaries({"do": st.just("reserve"), "call": spent, "owner": st.integers(0, 2)}),
    st.fixed_dictionaries(
        {
            "do": st.just("change"),
            "which": st.integers(0, 30),
            "state": st.sampled_from([CallState.SETTLED, CallState.RELEASED, CallState.UNKNOWN]),
            "corrections": st.fixed_dictionaries(
                {}, optional={"units": st.integers(0, 20), "tokens": st.integers(0, 9), "cost_usd": dollars}
            ),
        }
    ),
    st.fixed_dictionaries({"do": st.just("delete call"), "which": st.integers(0, 30)}),
    st.fixed_dictionaries({"do": st.just("delete profile"), "owner": st.integers(1, 2)}),
    st.fixed_dictionaries({"do": st.just("move in time"), "which": st.integers(0, 30), "at": moments}),
    st.fixed_dictionaries(
        {"do": st.just("elsewhere"), "posts": st.integers(0, 9), "reads": st.integers(0, 9), "at": moments}
    ),
    st.fixed_dictionaries(
        {"do": st.sampled_from(["insert daily", "upsert daily", "update daily"]), "row": by_hand}
    ),
)

HANDS = {
    "insert daily": """
        INSERT INTO api_usage_tracking (date, api_type, tweets_posted, reads_made, tokens_used, cost_usd)
        VALUES (:day, :api, :posts, :reads, :tokens, :cost)
    """,
    "upsert daily": """
        INSERT INTO api_usage_tracking (date, api_type, tweets_posted, reads_made, tokens_used, cost_usd)
        VALUES (:day, :api, :posts, :reads, :tokens, :cost)
        ON CONFLICT (date, api_type) DO UPDATE
           SET tweets_posted = api_usage_tracking.tweets_posted + EXCLUDED.tweets_posted,
               reads_made = api_usage_tracking.reads_made + EXCLUDED.reads_made,
               tokens_used = api_usage_tracking.tokens_used + EXCLUDED.tokens_used,
               cost_usd = api_usage_tracking.cost_usd + EXCLUDED.cost_usd
    """,
    "update daily": """
        UPDATE api_usage_tracking
           SET tweets_posted = tweets_posted + :posts, reads_made = reads_made + :reads,
               tokens_used = tokens_used + :tokens, cost_usd = cost_usd + :cost
         WHERE date = :day AND api_type = :api
    """,
}


@dataclass
class Books:
    """What the daily rows should say, kept by hand beside the database."""

    connection: Connection
    owners: list[ProfileId | None]
    calls: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    extra: dict[tuple[date, str], list[Amounts]] = field(default_factory=lambda: defaultdict(list))

    def take(self, step: Step) -> None:
        ledger = LedgerTable(self.connection)
        match step["do"]:
            case "reserve":
                call = a_call(self.owners[step["owner"]], **step["call"])
                ledger.reserve(call)
                self.calls[call.id] = {**step["call"], "state": CallState.RESERVED}
            case "change":
                open_calls = [
                    key
                    for key, call in self.calls.items()
                    if call["state"] is CallState.RESERVED
                    or (call["state"] is CallState.UNKNOWN and step["state"] is not CallState.UNKNOWN)
                ]
                if open_calls:
                    key = open_calls[step["which"] % len(open_calls)]
                    ledger.change(CallId(key), step["state"], **step["corrections"])
                    self.calls[key] |= {"state": step["state"], **step["corrections"]}
            case "delete call" if self.calls:
                key = list(self.calls)[step["which"] % len(self.calls)]
                self._execute("DELETE FROM api_calls WHERE id = :id", id=key)
                del self.calls[key]
            case "delete profile" if self.owners[step["owner"]] is not None:
                self._execute("DELETE FROM profiles WHERE id = :id", id=self.owners[step["owner"]])
                self.owners[step["owner"]] = None
            case "move in time" if self.calls:
                key = list(self.calls)[step["which"] % len(self.calls)]
                self._execute("UPDATE api_calls SET at = :at WHERE id = :id", id=key, at=step["at"])
                self.calls[key]["at"] = step["at"]
            case "elsewhere":
                self._execute(
                    "SELECT track_twitter_usage(:posts, :reads, :at)",
                    posts=step["posts"],
                    reads=step["reads"],
                    at=step["at"],
                )
                self._add(step["at"].date(), "twitter", (step["posts"], step["reads"], 0, Decimal(0)))
            case "insert daily" | "upsert daily" | "update daily":
                row = step["row"]
                if step["do"] == "update daily" and not self._execute(
                    "SELECT 1 FROM api_usage_tracking WHERE date = :day AND api_type = :api",
                    day=row["day"],
                    api=row["api"],
                ):
                    return
                self._execute(HANDS[step["do"]], **row)
                self._add(row["day"], row["api"], (row["posts"], row["reads"], row["tokens"], row["cost"]))

    def due(self) -> Mapping[tuple[date, str], Amounts]:
        every = {key: list(amounts) for key, amounts in self.extra.items()}
        for call in self.calls.values():
            if call["state"] is CallState.RELEASED:
                continue
            posts = call["units"] if call["kind"] is CallKind.POST else 0
            reads = call["units"] if call["kind"] is CallKind.READ else 0
            key = call["at"].date(), call["api"]
            every.setdefault(key, []).append((posts, reads, call["tokens"], call["cost_usd"]))
        sums = {
            key: (
                sum(one[0] for one in amounts),
                sum(one[1] for one in amounts),
                sum(one[2] for one in amounts),
                sum((one[3] for one in amounts), Decimal(0)),
            )
            for key, amounts in every.items()
        }
        return {key: amounts for key, amounts in sums.items() if amounts != NOTHING}

    def copy(self) -> Books:
        return Books(
            self.connection,
            list(self.owners),
            {key: dict(call) for key, call in self.calls.items()},
            defaultdict(list, {key: list(amounts) for key, amounts in self.extra.items()}),
        )

    def _add(self, day: date, api: str, amounts: Amounts) -> None:
        self.extra[day, api].append(amounts)

    def _execute(self, statement: str, **values: Any) -> list[Any]:
        done = self.connection.execute(text(statement), values)
        return list(done) if done.returns_rows else []


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    transactions=st.lists(st.tuples(st.booleans(), st.lists(steps, max_size=6)), max_size=5),
    zone=st.sampled_from(ZONES),
)
def test_daily_rows_are_the_ledgers_sums_after_any_history(
    standing: DatabaseManager, transactions: list[tuple[bool, list[Step]]], zone: str
) -> None:
    with standing.engine.connect() as connection, connection.begin() as whole:
        connection.execute(text(f"SET LOCAL TimeZone = '{zone}'"))
        profiles = ProfileTable(connection)
        owners = [
            profiles.create(handle=handle, x_user_id=None, timezone="UTC", mode="auto").id
            for handle in ("ada", "bob")
        ]
        books = Books(connection, [None, *owners])
        for crashes, history in transactions:
            before = books.copy()
            transaction = connection.begin_nested()
            for step in history:
                books.take(step)
            if crashes:
                transaction.rollback()
                books = before
            else:
                transaction.commit()
            assert daily_rows(connection) == books.due()
            assert daily_rows(connection) == ledger_sums(connection)
        whole.rollback()


def test_two_transactions_at_once_lose_nothing(manager: DatabaseManager) -> None:
    with manager.transaction() as one:
        one.ledger.reserve(a_call(None, units=2))
        with manager.transaction() as other:
            other.ledger.reserve(a_call(None, at=NOW - timedelta(days=1), units=3))
    with manager.transaction() as tx:
        assert daily_rows(tx.connection) == ledger_sums(tx.connection)
        assert {row[0] for row in daily_rows(tx.connection).values()} == {2, 3}


@pytest.mark.parametrize("column", ["tweets_posted", "reads_made", "tokens_used", "cost_usd"])
def test_usage_cannot_be_taken_back_by_hand(manager: DatabaseManager, column: str) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(None, units=2, tokens=50))
        tx.ledger.reserve(a_call(None, kind=CallKind.READ, units=5))
        before = daily_rows(tx.connection)

    with pytest.raises(DBAPIError, match="can be added, not taken back"), manager.engine.begin() as hand:
        hand.execute(text(f"UPDATE api_usage_tracking SET {column} = 0"))
    with pytest.raises(DBAPIError, match="can be added, not taken back"), manager.engine.begin() as hand:
        hand.execute(
            text(f"INSERT INTO api_usage_tracking (date, api_type, {column}) VALUES (:day, 'twitter', -1)"),
            {"day": NOW.date()},
        )
    with manager.transaction() as tx:
        assert daily_rows(tx.connection) == before


def test_a_daily_row_cannot_be_deleted_from_under_its_ledger(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(None, units=2))

    try:
        with manager.engine.begin() as hand:
            hand.execute(text("DELETE FROM api_usage_tracking"))
    except DBAPIError as refused:
        assert "taken back" in str(refused)  # noqa: PT017 - refusing is one of two right answers

    with manager.transaction() as tx:
        assert daily_rows(tx.connection) == ledger_sums(tx.connection)


@pytest.mark.parametrize("change", ["date = date + 1", "api_type = 'openai'"])
def test_a_daily_row_keeps_its_day_and_its_api(manager: DatabaseManager, change: str) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(None))

    with pytest.raises(DBAPIError, match="keeps its date and api_type"), manager.engine.begin() as hand:
        hand.execute(text(f"UPDATE api_usage_tracking SET {change}"))


def test_a_daily_row_of_today_counts_from_this_moment(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        now = tx.connection.scalar(text("SELECT now()"))
        tx.connection.execute(
            text(
                "INSERT INTO api_usage_tracking (date, api_type, tweets_posted) VALUES (:day, 'twitter', 3)"
            ),
            {"day": now.astimezone(UTC).date()},
        )
        usage = tx.ledger.usage(None, now=now + timedelta(seconds=1))

    assert [(one.at, one.units) for one in usage.posts] == [(now, 3)]


def test_usage_elsewhere_becomes_external_rows_and_a_daily_row(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        tx.connection.execute(text("SELECT track_twitter_usage(2, 10)"))
        rows = tx.connection.execute(
            text(
                "SELECT kind::text, units, state::text, profile_id, api, cost_usd, at = now() AS at_once "
                "FROM api_calls ORDER BY kind"
            )
        ).all()
        daily = daily_rows(tx.connection)

    assert [tuple(row) for row in rows] == [
        ("post", 2, "external", None, "twitter", 0, True),
        ("read", 10, "external", None, "twitter", 0, True),
    ]
    assert [(api, amounts) for (_, api), amounts in daily.items()] == [("twitter", (2, 10, 0, Decimal(0)))]


def test_usage_elsewhere_counts_where_it_happened(manager: DatabaseManager) -> None:
    happened = datetime(2026, 11, 16, 23, 59, 59, tzinfo=UTC)
    with manager.transaction() as tx:
        tx.connection.execute(text("SELECT track_twitter_usage(2, 10, :at)"), {"at": happened})
        tx.connection.execute(
            text("SELECT track_twitter_usage(reads => 1, tweets => 0, happened_at => :at)"), {"at": happened}
        )
        usage = tx.ledger.usage(None, now=NOW)

        assert daily_rows(tx.connection) == {(date(2026, 11, 16), "twitter"): (2, 11, 0, Decimal(0))}
    assert [(one.at, one.units) for one in usage.posts] == [(happened, 2)]
    assert (usage.posts_month, usage.reads_month) == (2, 11)


def test_no_usage_elsewhere_leaves_no_row(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        tx.connection.execute(text("SELECT track_twitter_usage(0, 0)"))

        assert tx.connection.scalar(text("SELECT count(*) FROM api_calls")) == 0


@pytest.mark.parametrize("arguments", ["-1, 0", "0, -1", "NULL, 1", "1, NULL", "1, 1, NULL"])
def test_usage_elsewhere_refuses_less_than_none_and_unknown(manager: DatabaseManager, arguments: str) -> None:
    refused = r"whole numbers from 0|null value in column \"at\""
    with pytest.raises(DBAPIError, match=refused), manager.engine.begin() as hand:
        hand.execute(text(f"SELECT track_twitter_usage({arguments})"))

    with manager.transaction() as tx:
        assert daily_rows(tx.connection) == {}

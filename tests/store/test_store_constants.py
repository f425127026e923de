"""Statements that run all the time hold their constants; only what changes is sent with them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import Interval, Numeric, Text, bindparam, literal, select
from sqlalchemy.dialects.postgresql.psycopg import dialect

from bot.core.states import TweetStatus
from bot.store.claiming import CLAIM
from bot.store.constants import with_constants
from bot.store.manager import DatabaseManager
from bot.store.rows.posting import TWEETS
from bot.store.usage import _ASKED


def test_a_statement_with_its_constants_says_the_same(manager: DatabaseManager) -> None:
    asked = select(
        literal("it's"),
        literal("100 %"),
        literal("a:b"),
        literal(7),
        literal(Decimal("0.015"), Numeric(12, 6)),
        literal(True),
        literal(timedelta(hours=25), Interval),
        literal(None, Text),
        bindparam("given", type_=Text),
        select(TWEETS.c.id).where(TWEETS.c.status.in_((TweetStatus.POSTED,))).limit(1).scalar_subquery(),
    )
    with manager.transaction() as tx:
        both = [
            tx.connection.execute(one, {"given": "%(x)s"}).one() for one in (asked, with_constants(asked))
        ]

    assert both[0] == both[1]
    assert tuple(both[0])[:2] == ("it's", "100 %")


def test_what_every_batch_asks_is_sent_its_own_values_alone() -> None:
    said = [one.compile(dialect=dialect()) for one in (CLAIM, _ASKED._statement)]  # type: ignore[no-untyped-call]  # SQLAlchemy's own

    assert [set(one.binds) for one in said] == [
        {"profile_ids", "holder", "lasts", "now", "on_time"},
        {"profile_ids", "now", "after", "since", "start", "first", "today", "of_apps", "of_all"},
    ]

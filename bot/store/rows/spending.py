"""What is spent, decided and held."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB

from bot.store.rows.base import (
    CALL_KIND,
    CALL_STATE,
    METADATA,
    MONEY,
    Amount,
    Moment,
    finite,
    keyed,
    moments,
    of_the_same_profile,
    stamped,
)

# What one API was used for on one UTC day: always the sum of the ledger's counting rows.
DAILY_USAGE = Table(
    "api_usage_tracking",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("date", Date, nullable=False),
    Column("api_type", Text, nullable=False),
    Column("tweets_posted", BigInteger, nullable=False, server_default=sql_text("0")),
    Column("reads_made", BigInteger, nullable=False, server_default=sql_text("0")),
    Column("tokens_used", BigInteger, nullable=False, server_default=sql_text("0")),
    Column("cost_usd", MONEY, nullable=False, server_default=sql_text("0")),
    *stamped(),
    UniqueConstraint("date", "api_type"),
    finite("cost_usd"),
)

# What one X app was used for on one UTC day, '' for an app that isn't known: sums as above.
APP_USAGE = Table(
    "app_usage",
    METADATA,
    Column("date", Date, nullable=False),
    Column("app", Text, nullable=False),
    Column("tweets_posted", BigInteger, nullable=False, server_default=sql_text("0")),
    Column("reads_made", BigInteger, nullable=False, server_default=sql_text("0")),
    *stamped(),
    PrimaryKeyConstraint("app", "date"),
)

# The ledger: one row a call, reserved before it is made.
CALLS = Table(
    "api_calls",
    METADATA,
    *keyed(),
    Column("profile_id", Uuid, ForeignKey("profiles.id", ondelete="SET NULL")),
    Column("tweet_id", Uuid, ForeignKey("tweets.id", ondelete="SET NULL")),
    Column("api", Text, nullable=False),
    Column("kind", CALL_KIND, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False, server_default=sql_text("0")),
    Column("cost_usd", MONEY, nullable=False),
    Column("state", CALL_STATE, nullable=False, server_default="reserved"),
    Column("at", Moment(), nullable=False),
    Column("note", Text),
    *stamped(),
    Column("app", Text),
    CheckConstraint("units >= 0 AND tokens >= 0 AND cost_usd >= 0", name="amounts"),
    of_the_same_profile("tweet_id", "tweets", ondelete="SET NULL (tweet_id)"),
    moments("at"),
    finite("cost_usd"),
    Index(
        "ix_api_calls_counting",
        "profile_id",
        "kind",
        sql_text("at DESC"),
        postgresql_include=["units", "cost_usd", "endpoint"],
        postgresql_where=sql_text("state <> 'released'"),
    ),
    Index(
        "ix_api_calls_released",
        "profile_id",
        "kind",
        sql_text("at DESC"),
        postgresql_where=sql_text("state = 'released'"),
    ),
    Index(
        "ix_api_calls_recent",
        "kind",
        sql_text("at DESC"),
        postgresql_include=["app", "units", "endpoint"],
        postgresql_where=sql_text("state <> 'released'"),
    ),
    Index("ix_api_calls_tweet_id", "tweet_id"),
    Index("ix_api_calls_open", "state", "at", postgresql_where=sql_text("state IN ('reserved', 'unknown')")),
)

# What X's own headers last said of one window of one endpoint.
RATES = Table(
    "rate_windows",
    METADATA,
    Column("profile_id", Uuid, ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("quota", Integer),
    Column("remaining", Integer, nullable=False),
    Column("resets_at", Moment(), nullable=False),
    Column("seen_at", Moment(), nullable=False),
    Column("drift", Integer, nullable=False, server_default=sql_text("0")),
    Column("reason", Text, nullable=False, server_default=""),
    *stamped(),
    Column("app", Text),
    moments("resets_at", "seen_at"),
    Index("ix_rate_windows_app", "app", postgresql_where=sql_text("name = '24h_app'")),
)

# What one tick decided; the same decision again only counts up.
DECISIONS = Table(
    "decisions",
    METADATA,
    *keyed(),
    Column("profile_id", Uuid, ForeignKey("profiles.id", ondelete="CASCADE")),
    Column("at", Moment(), nullable=False),
    Column("last_at", Moment(), nullable=False),
    Column("repeated", Integer, nullable=False, server_default=sql_text("1")),
    Column("kind", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("limit_name", Text),
    Column("used", Amount()),
    Column("cap", Amount()),
    Column("until", Moment()),
    Column("slot_id", Uuid),
    Column("tweet_id", Uuid),
    Column("numbers", JSONB, nullable=False, server_default=sql_text("'{}'::jsonb")),
    *stamped(),
    CheckConstraint("profile_id IS NOT NULL OR (slot_id IS NULL AND tweet_id IS NULL)", name="of_nobody"),
    of_the_same_profile("slot_id", "posting_schedule", ondelete="SET NULL (slot_id)"),
    of_the_same_profile("tweet_id", "tweets", ondelete="SET NULL (tweet_id)"),
    Index("ix_decisions_profile_id_last_at", "profile_id", sql_text("last_at DESC")),
    Index("ix_decisions_profile_id_kind_last_at", "profile_id", "kind", sql_text("last_at DESC")),
    Index("ix_decisions_kind_at", "kind", sql_text("at DESC")),
    moments("at", "last_at", "until"),
    finite("used", "cap"),
)

# The right to act for a profile, with a fencing number that only grows.
LEASES = Table(
    "leases",
    METADATA,
    Column("profile_id", Uuid, ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fencing", BigInteger, nullable=False, server_default=sql_text("1")),
    Column("expires_at", Moment(), nullable=False),
    *stamped(),
)

# One process that runs profiles; its times are the database's.
WORKERS = Table(
    "workers",
    METADATA,
    Column("holder", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Moment(), nullable=False),
    Column("beat_at", Moment(), nullable=False),
    Column("stopped_at", Moment()),
    *stamped(),
    Index("ix_workers_beat_at", sql_text("beat_at DESC")),
)

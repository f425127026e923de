"""The tables of what is spent, decided and held, as SQLAlchemy sees them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy import text as sql_text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.states import CallKind, CallState
from bot.store.base import Amount, Base, Keyed, Stamped, finite, moments, of_the_same_profile
from bot.store.tables import ProfileRow, TweetRow


class DailyUsageRow(Stamped, Base):
    """What one API was used for on one UTC day: always the sum of the ledger's counting rows."""

    __tablename__ = "api_usage_tracking"
    __table_args__ = (UniqueConstraint("date", "api_type"), finite("cost_usd"))

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    date: Mapped[date]
    api_type: Mapped[str]
    tweets_posted: Mapped[int] = mapped_column(BigInteger, server_default=sql_text("0"))
    reads_made: Mapped[int] = mapped_column(BigInteger, server_default=sql_text("0"))
    tokens_used: Mapped[int] = mapped_column(BigInteger, server_default=sql_text("0"))
    cost_usd: Mapped[Decimal] = mapped_column(server_default=sql_text("0"))


class CallRow(Keyed, Base):
    """The ledger: one row a call, reserved before it is made."""

    __tablename__ = "api_calls"
    __table_args__ = (
        CheckConstraint("units >= 0 AND tokens >= 0 AND cost_usd >= 0", name="amounts"),
        # Beside the key on the tweet alone, which still knows the row once its profile is gone.
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
        Index("ix_api_calls_tweet_id", "tweet_id"),
        Index(
            "ix_api_calls_open", "state", "at", postgresql_where=sql_text("state IN ('reserved', 'unknown')")
        ),
    )

    profile_id: Mapped[UUID | None] = mapped_column(ForeignKey(ProfileRow.id, ondelete="SET NULL"))
    tweet_id: Mapped[UUID | None] = mapped_column(ForeignKey(TweetRow.id, ondelete="SET NULL"))
    api: Mapped[str]
    kind: Mapped[CallKind]
    endpoint: Mapped[str]
    units: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger, server_default=sql_text("0"))
    cost_usd: Mapped[Decimal]
    state: Mapped[CallState] = mapped_column(server_default=CallState.RESERVED.value)
    at: Mapped[datetime]
    note: Mapped[str | None]


class RateRow(Stamped, Base):
    """What X's own headers last said of one window of one endpoint."""

    __tablename__ = "rate_windows"
    __table_args__ = (moments("resets_at", "seen_at"),)

    profile_id: Mapped[UUID] = mapped_column(ForeignKey(ProfileRow.id, ondelete="CASCADE"), primary_key=True)
    endpoint: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    quota: Mapped[int | None]
    remaining: Mapped[int]
    resets_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    drift: Mapped[int] = mapped_column(server_default=sql_text("0"))
    reason: Mapped[str] = mapped_column(server_default="")


class DecisionRow(Keyed, Base):
    """What one tick decided; the same decision again only counts up."""

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint("profile_id IS NOT NULL OR (slot_id IS NULL AND tweet_id IS NULL)", name="of_nobody"),
        of_the_same_profile("slot_id", "posting_schedule", ondelete="SET NULL (slot_id)"),
        of_the_same_profile("tweet_id", "tweets", ondelete="SET NULL (tweet_id)"),
        Index("ix_decisions_profile_id_last_at", "profile_id", sql_text("last_at DESC")),
        Index("ix_decisions_profile_id_kind_last_at", "profile_id", "kind", sql_text("last_at DESC")),
        Index("ix_decisions_kind_at", "kind", sql_text("at DESC")),
        moments("at", "last_at", "until"),
        finite("used", "cap"),
    )

    profile_id: Mapped[UUID | None] = mapped_column(ForeignKey(ProfileRow.id, ondelete="CASCADE"))
    at: Mapped[datetime]
    last_at: Mapped[datetime]
    repeated: Mapped[int] = mapped_column(server_default=sql_text("1"))
    kind: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    limit_name: Mapped[str | None]
    used: Mapped[Decimal | None] = mapped_column(Amount())
    cap: Mapped[Decimal | None] = mapped_column(Amount())
    until: Mapped[datetime | None]
    slot_id: Mapped[UUID | None]
    tweet_id: Mapped[UUID | None]
    numbers: Mapped[dict[str, Any]] = mapped_column(server_default=sql_text("'{}'::jsonb"))


class LeaseRow(Stamped, Base):
    """The right to act for a profile, with a fencing number that only grows."""

    __tablename__ = "leases"

    profile_id: Mapped[UUID] = mapped_column(ForeignKey(ProfileRow.id, ondelete="CASCADE"), primary_key=True)
    holder: Mapped[str]
    fencing: Mapped[int] = mapped_column(BigInteger, server_default=sql_text("1"))
    expires_at: Mapped[datetime]

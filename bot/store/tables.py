"""The tables of what is posted, as SQLAlchemy sees them.

`alembic/` is what creates them, and a test compares the two.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.states import LatePolicy, Mode, Origin, PlanStatus, SlotStatus, TweetStatus
from bot.store.base import Base, Keyed, Stamped, moments, of_the_same_profile, owned


class ProfileRow(Keyed, Base):
    """One X account that the bot runs."""

    __tablename__ = "profiles"
    __table_args__ = (UniqueConstraint("auth_user_id"), UniqueConstraint("x_user_id"))

    auth_user_id: Mapped[UUID]
    handle: Mapped[str]
    x_user_id: Mapped[str | None]
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    mode: Mapped[Mode] = mapped_column(server_default=Mode.AUTO.value)
    persona: Mapped[dict[str, Any]] = mapped_column(server_default=sql_text("'{}'::jsonb"))
    paused: Mapped[bool] = mapped_column(server_default=sql_text("false"))
    pause_reason: Mapped[str | None]


class PlanRow(Keyed, Base):
    """What a profile posts about and how often."""

    __tablename__ = "plans"
    __table_args__ = (
        UniqueConstraint("profile_id", "id"),
        Index(
            "uq_plans_one_active_per_profile",
            "profile_id",
            unique=True,
            postgresql_where=sql_text("status = 'active'"),
        ),
        CheckConstraint("posts_per_day BETWEEN 0 AND 100", name="posts_per_day"),
        CheckConstraint("day_starts < day_ends", name="day"),
        CheckConstraint("late_tolerance_seconds >= 0 AND spacing_seconds >= 0", name="seconds"),
    )

    profile_id: Mapped[UUID] = owned()
    status: Mapped[PlanStatus] = mapped_column(server_default=PlanStatus.DRAFT.value)
    posts_per_day: Mapped[int] = mapped_column(server_default=sql_text("4"))
    topics: Mapped[list[str]] = mapped_column(server_default=sql_text("'[]'::jsonb"))
    day_starts: Mapped[time] = mapped_column(server_default=sql_text("'08:00'::time"))
    day_ends: Mapped[time] = mapped_column(server_default=sql_text("'22:00'::time"))
    late_policy: Mapped[LatePolicy] = mapped_column(server_default=LatePolicy.MOVE.value)
    late_tolerance_seconds: Mapped[int] = mapped_column(server_default=sql_text("1200"))
    spacing_seconds: Mapped[int] = mapped_column(server_default=sql_text("10"))
    include_links: Mapped[bool] = mapped_column(server_default=sql_text("false"))


class SlotRow(Keyed, Base):
    """A planned moment to post."""

    __tablename__ = "posting_schedule"
    __table_args__ = (
        UniqueConstraint("profile_id", "due_at"),
        UniqueConstraint("profile_id", "local_date", "local_time"),
        UniqueConstraint("profile_id", "id"),
        of_the_same_profile("plan_id", "plans", ondelete="SET NULL (plan_id)"),
        moments("due_at"),
        Index(
            "ix_posting_schedule_planned",
            "profile_id",
            "due_at",
            postgresql_where=sql_text("status = 'planned'"),
        ),
        Index("ix_posting_schedule_claimed", "profile_id", postgresql_where=sql_text("status = 'claimed'")),
    )

    profile_id: Mapped[UUID] = owned()
    plan_id: Mapped[UUID | None]
    due_at: Mapped[datetime]
    local_date: Mapped[date | None]
    local_time: Mapped[time | None]
    timezone: Mapped[str | None]
    topic: Mapped[str | None]
    format: Mapped[str | None]
    status: Mapped[SlotStatus] = mapped_column(server_default=SlotStatus.PLANNED.value)
    reason: Mapped[str | None]
    # Who writes its draft, or nobody while another try is put off; by the database's clock.
    writing_by: Mapped[str | None]
    writing_until: Mapped[datetime | None]
    writing_tries: Mapped[int] = mapped_column(server_default=sql_text("0"))


class TweetRow(Keyed, Base):
    """One post, or one part of a thread, from draft to live."""

    __tablename__ = "tweets"
    __table_args__ = (
        UniqueConstraint("idempotency_key"),
        UniqueConstraint("x_tweet_id"),
        UniqueConstraint("thread_id", "part"),
        UniqueConstraint("profile_id", "id"),
        of_the_same_profile("slot_id", "posting_schedule", ondelete="SET NULL (slot_id)"),
        of_the_same_profile("thread_id", "tweets", ondelete="CASCADE"),
        CheckConstraint("part >= 1", name="part"),
        CheckConstraint("(status = 'posted') <= (x_tweet_id IS NOT NULL)", name="posted_has_id"),
        moments("posted_at", "first_intent_at", "intent_at", "looked_at", "next_attempt_at"),
        Index(
            "ix_tweets_open",
            "profile_id",
            "status",
            postgresql_where=sql_text(
                "status IN ('drafted', 'awaiting_approval', 'approved', 'publishing', 'unknown')"
            ),
        ),
        Index("ix_tweets_profile_id_posted_at", "profile_id", sql_text("posted_at DESC")),
        Index("ix_tweets_profile_id_fingerprint", "profile_id", "fingerprint"),
        Index(
            "ix_tweets_refused_as_duplicate",
            "profile_id",
            "intent_at",
            postgresql_where=sql_text("status = 'failed' AND reason = 'duplicate_refused'"),
        ),
        Index("ix_tweets_slot_id", "slot_id"),
        Index(
            "ix_tweets_confirmed",
            "profile_id",
            sql_text("fencing DESC"),
            postgresql_where=sql_text("x_tweet_id IS NOT NULL AND fencing IS NOT NULL"),
        ),
    )

    profile_id: Mapped[UUID] = owned()
    slot_id: Mapped[UUID | None]
    thread_id: Mapped[UUID | None]
    part: Mapped[int] = mapped_column(server_default=sql_text("1"))
    idempotency_key: Mapped[str] = mapped_column(server_default=sql_text("gen_random_uuid()::text"))
    text: Mapped[str]
    fingerprint: Mapped[str] = mapped_column(server_default="")
    status: Mapped[TweetStatus] = mapped_column(server_default=TweetStatus.DRAFTED.value)
    origin: Mapped[Origin] = mapped_column(server_default=Origin.SLOT.value)
    topic: Mapped[str | None]
    format: Mapped[str | None]
    source: Mapped[dict[str, Any] | None]
    writer: Mapped[str | None]
    x_tweet_id: Mapped[str | None]
    posted_at: Mapped[datetime | None]
    first_intent_at: Mapped[datetime | None]
    after_x_id: Mapped[str | None]
    intent_at: Mapped[datetime | None]
    fencing: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(server_default=sql_text("0"))
    resends: Mapped[int] = mapped_column(server_default=sql_text("0"))
    absent_reads: Mapped[int] = mapped_column(server_default=sql_text("0"))
    vain_reads: Mapped[int] = mapped_column(server_default=sql_text("0"))
    looked_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    reason: Mapped[str | None]


class PerformanceRow(Keyed, Base):
    """What a tweet earned at a given age."""

    __tablename__ = "content_performance"
    __table_args__ = (UniqueConstraint("tweet_id", "age_minutes"),)

    tweet_id: Mapped[UUID] = mapped_column(ForeignKey("tweets.id", ondelete="CASCADE"))
    age_minutes: Mapped[int]
    measured_at: Mapped[datetime]
    likes: Mapped[int] = mapped_column(server_default=sql_text("0"))
    reposts: Mapped[int] = mapped_column(server_default=sql_text("0"))
    replies: Mapped[int] = mapped_column(server_default=sql_text("0"))
    quotes: Mapped[int] = mapped_column(server_default=sql_text("0"))
    bookmarks: Mapped[int] = mapped_column(server_default=sql_text("0"))
    impressions: Mapped[int | None]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=sql_text("'{}'::jsonb"))


class LearningRow(Keyed, Base):
    """What learning knows of one arm of one profile."""

    __tablename__ = "learning_data"
    __table_args__ = (UniqueConstraint("profile_id", "arm"),)

    profile_id: Mapped[UUID] = owned()
    arm: Mapped[str]
    state: Mapped[dict[str, Any]] = mapped_column(server_default=sql_text("'{}'::jsonb"))


class AnalyticsRow(Keyed, Base):
    """One day of one profile, rolled up."""

    __tablename__ = "analytics"
    __table_args__ = (UniqueConstraint("profile_id", "date"),)

    profile_id: Mapped[UUID] = owned()
    date: Mapped[date]
    figures: Mapped[dict[str, Any]] = mapped_column(server_default=sql_text("'{}'::jsonb"))


class ConfigRow(Stamped, Base):
    """A setting that an operator may change at run time."""

    __tablename__ = "bot_config"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB)


class ConversationRow(Keyed, Base):
    """An operator's chat with the bot."""

    __tablename__ = "conversations"
    __table_args__ = (Index("ix_conversations_profile_id", "profile_id"),)

    profile_id: Mapped[UUID] = owned()
    title: Mapped[str | None]


class MessageRow(Keyed, Base):
    """One message of a chat."""

    __tablename__ = "messages"
    __table_args__ = (Index("ix_messages_conversation_id_created_at", "conversation_id", "created_at"),)

    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    role: Mapped[str]
    content: Mapped[str]

"""Profiles, plans, slots, tweets, and what is known of them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB

from bot.store.rows.base import (
    LATE_POLICY,
    METADATA,
    PLAN_STATUS,
    PROFILE_MODE,
    SLOT_STATUS,
    TWEET_ORIGIN,
    TWEET_STATUS,
    Moment,
    keyed,
    moments,
    of_the_same_profile,
    owned,
    stamped,
)

# One X account that the bot runs.
PROFILES = Table(
    "profiles",
    METADATA,
    *keyed(),
    Column("auth_user_id", Uuid, nullable=False),
    Column("handle", Text, nullable=False),
    Column("x_user_id", Text),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("mode", PROFILE_MODE, nullable=False, server_default="auto"),
    Column("persona", JSONB, nullable=False, server_default=sql_text("'{}'::jsonb")),
    Column("paused", Boolean, nullable=False, server_default=sql_text("false")),
    Column("pause_reason", Text),
    *stamped(),
    Column("app", Text),
    Column("adoptable", Boolean, nullable=False, server_default=sql_text("true")),
    Column("chosen", JSONB, nullable=False, server_default=sql_text("'{}'::jsonb")),
    UniqueConstraint("auth_user_id"),
    UniqueConstraint("x_user_id"),
)

# What a profile posts about and how often.
PLANS = Table(
    "plans",
    METADATA,
    *keyed(),
    owned(),
    Column("status", PLAN_STATUS, nullable=False, server_default="draft"),
    Column("posts_per_day", Integer, nullable=False, server_default=sql_text("4")),
    Column("topics", JSONB, nullable=False, server_default=sql_text("'[]'::jsonb")),
    Column("day_starts", Time, nullable=False, server_default=sql_text("'08:00'::time")),
    Column("day_ends", Time, nullable=False, server_default=sql_text("'22:00'::time")),
    Column("late_policy", LATE_POLICY, nullable=False, server_default="move"),
    Column("late_tolerance_seconds", Integer, nullable=False, server_default=sql_text("1200")),
    Column("spacing_seconds", Integer, nullable=False, server_default=sql_text("10")),
    Column("include_links", Boolean, nullable=False, server_default=sql_text("false")),
    *stamped(),
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

# A planned moment to post.
SLOTS = Table(
    "posting_schedule",
    METADATA,
    *keyed(),
    owned(),
    Column("plan_id", Uuid),
    Column("due_at", Moment(), nullable=False),
    Column("local_date", Date),
    Column("local_time", Time),
    Column("timezone", Text),
    Column("topic", Text),
    Column("format", Text),
    Column("status", SLOT_STATUS, nullable=False, server_default="planned"),
    Column("reason", Text),
    # Who writes its draft, or nobody while another try is put off; by the database's clock.
    Column("writing_by", Text),
    Column("writing_until", Moment()),
    Column("writing_tries", Integer, nullable=False, server_default=sql_text("0")),
    *stamped(),
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
    Index("ix_posting_schedule_due", "due_at", postgresql_where=sql_text("status = 'planned'")),
    Index("ix_posting_schedule_claimed", "profile_id", postgresql_where=sql_text("status = 'claimed'")),
)

# One post, or one part of a thread, from draft to live.
TWEETS = Table(
    "tweets",
    METADATA,
    *keyed(),
    owned(),
    Column("slot_id", Uuid),
    Column("thread_id", Uuid),
    Column("part", Integer, nullable=False, server_default=sql_text("1")),
    Column("idempotency_key", Text, nullable=False, server_default=sql_text("gen_random_uuid()::text")),
    Column("text", Text, nullable=False),
    Column("fingerprint", Text, nullable=False, server_default=""),
    Column("status", TWEET_STATUS, nullable=False, server_default="drafted"),
    Column("origin", TWEET_ORIGIN, nullable=False, server_default="slot"),
    Column("topic", Text),
    Column("format", Text),
    Column("source", JSONB),
    Column("writer", Text),
    Column("x_tweet_id", Text),
    Column("posted_at", Moment()),
    Column("first_intent_at", Moment()),
    Column("after_x_id", Text),
    Column("intent_at", Moment()),
    Column("fencing", BigInteger),
    Column("attempts", Integer, nullable=False, server_default=sql_text("0")),
    Column("resends", Integer, nullable=False, server_default=sql_text("0")),
    Column("absent_reads", Integer, nullable=False, server_default=sql_text("0")),
    Column("inconclusive_reads", Integer, nullable=False, server_default=sql_text("0")),
    Column("looked_at", Moment()),
    Column("next_attempt_at", Moment()),
    Column("reason", Text),
    *stamped(),
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
    Index(
        "ix_tweets_refused_as_duplicate",
        "profile_id",
        "intent_at",
        postgresql_where=sql_text("status = 'failed' AND reason = 'duplicate_refused'"),
    ),
    Index(
        "ix_tweets_turned_down",
        "profile_id",
        sql_text("created_at DESC"),
        postgresql_where=sql_text("status = 'rejected' AND origin = 'slot'"),
    ),
    Index("ix_tweets_slot_id", "slot_id"),
    Index(
        "ix_tweets_confirmed",
        "profile_id",
        sql_text("fencing DESC"),
        postgresql_where=sql_text("x_tweet_id IS NOT NULL AND fencing IS NOT NULL"),
    ),
)

# What a tweet earned at a given age.
PERFORMANCE = Table(
    "content_performance",
    METADATA,
    *keyed(),
    Column("tweet_id", Uuid, ForeignKey("tweets.id", ondelete="CASCADE"), nullable=False),
    Column("age_minutes", Integer, nullable=False),
    Column("measured_at", Moment(), nullable=False),
    Column("likes", Integer, nullable=False, server_default=sql_text("0")),
    Column("reposts", Integer, nullable=False, server_default=sql_text("0")),
    Column("replies", Integer, nullable=False, server_default=sql_text("0")),
    Column("quotes", Integer, nullable=False, server_default=sql_text("0")),
    Column("bookmarks", Integer, nullable=False, server_default=sql_text("0")),
    Column("impressions", Integer),
    Column("details", JSONB, nullable=False, server_default=sql_text("'{}'::jsonb")),
    *stamped(),
    UniqueConstraint("tweet_id", "age_minutes"),
)

# What learning knows of one arm of one profile.
LEARNING = Table(
    "learning_data",
    METADATA,
    *keyed(),
    owned(),
    Column("arm", Text, nullable=False),
    Column("state", JSONB, nullable=False, server_default=sql_text("'{}'::jsonb")),
    *stamped(),
    UniqueConstraint("profile_id", "arm"),
)

# One day of one profile, rolled up.
ANALYTICS = Table(
    "analytics",
    METADATA,
    *keyed(),
    owned(),
    Column("date", Date, nullable=False),
    Column("figures", JSONB, nullable=False, server_default=sql_text("'{}'::jsonb")),
    *stamped(),
    UniqueConstraint("profile_id", "date"),
)

# A setting that an operator may change at run time.
CONFIG = Table(
    "bot_config",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    *stamped(),
)

# An operator's chat with the bot.
CONVERSATIONS = Table(
    "conversations",
    METADATA,
    *keyed(),
    owned(),
    Column("title", Text),
    *stamped(),
    Index("ix_conversations_profile_id", "profile_id"),
)

# One message of a chat.
MESSAGES = Table(
    "messages",
    METADATA,
    *keyed(),
    Column("conversation_id", Uuid, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    *stamped(),
    Index("ix_messages_conversation_id_created_at", "conversation_id", "created_at"),
)

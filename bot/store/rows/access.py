"""Who may see a profile, and the keys with which the bot acts for it."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text, UniqueConstraint, Uuid

from bot.store.rows.base import MEMBER_ROLE, METADATA, keyed, owned, stamped

# A signed-in person who may see or steer a profile; its `auth_user_id` is its owner without a row.
MEMBERS = Table(
    "members",
    METADATA,
    *keyed(),
    owned(),
    Column("auth_user_id", Uuid, nullable=False),
    Column("role", MEMBER_ROLE, nullable=False, server_default="viewer"),
    *stamped(),
    UniqueConstraint("profile_id", "auth_user_id"),
    Index("ix_members_auth_user_id", "auth_user_id"),
)

# A profile's keys as `bot.encryption` leaves them.
CREDENTIALS = Table(
    "credentials",
    METADATA,
    Column("profile_id", Uuid, ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("encrypted_keys", Text, nullable=False),
    *stamped(),
)

"""Drop an index that no query is served by: duplicates are looked for among a month of texts.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drops it."""
    op.execute("DROP INDEX ix_tweets_profile_id_fingerprint")


def downgrade() -> None:
    """Puts it back."""
    op.execute("CREATE INDEX ix_tweets_profile_id_fingerprint ON tweets (profile_id, fingerprint)")

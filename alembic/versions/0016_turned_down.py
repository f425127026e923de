"""Index the texts that a person turned down for a slot, which are not to be written again.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the index."""
    op.execute(
        "CREATE INDEX ix_tweets_turned_down ON tweets (profile_id, created_at DESC) "
        "WHERE status = 'rejected' AND origin = 'slot'"
    )


def downgrade() -> None:
    """Takes it away."""
    op.execute("DROP INDEX ix_tweets_turned_down")

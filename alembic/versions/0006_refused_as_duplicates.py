"""Index the texts that X called duplicates and never showed, which are not to be written again.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the index."""
    op.execute(
        "CREATE INDEX ix_tweets_refused_as_duplicate ON tweets (profile_id, intent_at) "
        "WHERE status = 'failed' AND reason = 'duplicate_refused'"
    )


def downgrade() -> None:
    """Takes it away."""
    op.execute("DROP INDEX ix_tweets_refused_as_duplicate")

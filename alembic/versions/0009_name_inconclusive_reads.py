"""Call reads of the timeline that prove nothing by the usual word.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Renames the column."""
    op.execute("ALTER TABLE tweets RENAME COLUMN vain_reads TO inconclusive_reads")


def downgrade() -> None:
    """Renames it back."""
    op.execute("ALTER TABLE tweets RENAME COLUMN inconclusive_reads TO vain_reads")

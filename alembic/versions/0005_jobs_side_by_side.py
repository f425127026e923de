"""Let jobs work side by side: slots are claimed for writing, and decisions count up by kind.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds who writes for a slot, until when by the database's clock, and how often it failed."""
    op.execute(
        "ALTER TABLE posting_schedule ADD COLUMN writing_by TEXT, ADD COLUMN writing_until timestamptz, "
        "ADD COLUMN writing_tries INTEGER DEFAULT 0 NOT NULL"
    )
    op.execute(
        "CREATE INDEX ix_decisions_profile_id_kind_last_at ON decisions (profile_id, kind, last_at DESC)"
    )


def downgrade() -> None:
    """Removes them: claims are lost, and a slot may be written for twice."""
    op.execute("DROP INDEX ix_decisions_profile_id_kind_last_at")
    op.execute(
        "ALTER TABLE posting_schedule DROP COLUMN writing_by, DROP COLUMN writing_until, "
        "DROP COLUMN writing_tries"
    )

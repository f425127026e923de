"""Say what people chose for their profiles, and which the environment's keys may serve.

Whoever can sign in may set a profile up; the environment's account is not theirs to have by that. What a
person chose for a profile holds where the environment says nothing, also after it once said otherwise.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns; every profile until now was made by the bot or by whoever runs it."""
    op.execute("ALTER TABLE profiles ADD COLUMN adoptable BOOLEAN DEFAULT true NOT NULL")
    op.execute("ALTER TABLE profiles ADD COLUMN chosen JSONB DEFAULT '{}' NOT NULL")


def downgrade() -> None:
    """Takes them away."""
    op.execute("ALTER TABLE profiles DROP COLUMN chosen")
    op.execute("ALTER TABLE profiles DROP COLUMN adoptable")

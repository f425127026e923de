"""Say which profiles the environment's keys may serve: not those that a signed-in person set up.

Whoever can sign in may set a profile up. The environment's account is not theirs to have by that.

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
    """Adds the column; every profile until now was made by the bot or by whoever runs it."""
    op.execute("ALTER TABLE profiles ADD COLUMN adoptable BOOLEAN DEFAULT true NOT NULL")


def downgrade() -> None:
    """Takes it away."""
    op.execute("ALTER TABLE profiles DROP COLUMN adoptable")

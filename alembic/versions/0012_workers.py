"""Keep a row for each worker: that it lives is read there, and not guessed from what it decided.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Times are the database's, which all workers and whoever asks share.
TABLE = """
CREATE TABLE workers (
    holder TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at timestamptz NOT NULL,
    beat_at timestamptz NOT NULL,
    stopped_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_workers PRIMARY KEY (holder)
)
"""
INDEX = "CREATE INDEX ix_workers_beat_at ON workers (beat_at DESC)"
STAMPED = (
    "CREATE TRIGGER keep_updated_at BEFORE UPDATE ON workers FOR EACH ROW EXECUTE FUNCTION keep_updated_at()"
)
# No policy: nobody but the worker's role reads hosts and process ids, whatever a platform grants.
CLOSED = """
DO $$
DECLARE
    who text;
BEGIN
    FOR who IN SELECT 'PUBLIC' UNION ALL
               SELECT quote_ident(rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE 'REVOKE ALL ON workers FROM ' || who;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Makes the table, closed to all but the worker."""
    for statement in (TABLE, INDEX, STAMPED, "ALTER TABLE workers ENABLE ROW LEVEL SECURITY", CLOSED):
        op.execute(statement)


def downgrade() -> None:
    """Forgets which workers live."""
    op.execute("DROP TABLE workers")

"""Keep each profile's own keys, encrypted, where nobody but the worker reads.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Without a policy: with row level security on, nobody but the tables' owner sees a row.
CREATE_CREDENTIALS = """
CREATE TABLE credentials (
    profile_id UUID NOT NULL,
    encrypted_keys TEXT NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_credentials PRIMARY KEY (profile_id),
    CONSTRAINT fk_credentials_profile_id FOREIGN KEY (profile_id) REFERENCES profiles (id) ON DELETE CASCADE
);
CREATE TRIGGER keep_updated_at BEFORE UPDATE ON credentials FOR EACH ROW EXECUTE FUNCTION keep_updated_at();
ALTER TABLE credentials ENABLE ROW LEVEL SECURITY;
"""

# `authenticated` and `anon` only where they are; PUBLIC is everywhere.
GRANTS = """
DO $$
DECLARE
    who text;
BEGIN
    FOR who IN SELECT 'PUBLIC' UNION ALL
               SELECT quote_ident(rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE 'REVOKE ALL ON credentials FROM ' || who;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Adds the table, and closes it."""
    op.execute(CREATE_CREDENTIALS)
    op.execute(GRANTS)


def downgrade() -> None:
    """Forgets every key that was saved."""
    op.execute("DROP TABLE credentials")

"""Let several people see a profile: members read its rows as its owner does.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CREATE_MEMBERS = """
CREATE TYPE member_role AS ENUM ('owner', 'editor', 'viewer');
CREATE TABLE members (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    profile_id UUID NOT NULL,
    auth_user_id UUID NOT NULL,
    role member_role DEFAULT 'viewer' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_members PRIMARY KEY (id),
    CONSTRAINT uq_members_profile_id_auth_user_id UNIQUE (profile_id, auth_user_id),
    CONSTRAINT fk_members_profile_id FOREIGN KEY (profile_id) REFERENCES profiles (id) ON DELETE CASCADE
);
CREATE INDEX ix_members_auth_user_id ON members (auth_user_id);
CREATE TRIGGER keep_updated_at BEFORE UPDATE ON members FOR EACH ROW EXECUTE FUNCTION keep_updated_at();
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
"""
# One's own memberships and nobody else's: a policy here that asked `profiles`, whose policy asks this
# table, would ask itself for ever.
ME = "(SELECT current_auth_user_id())"
OWN_MEMBERSHIPS = f"auth_user_id = {ME}"

# `authenticated` and `anon` only where they are; PUBLIC is everywhere.
GRANTS = """
DO $$
DECLARE
    who text;
BEGIN
    FOR who IN SELECT 'PUBLIC' UNION ALL
               SELECT quote_ident(rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE 'REVOKE ALL ON members FROM ' || who;
        IF who = 'authenticated' THEN
            EXECUTE 'GRANT SELECT ON members TO ' || who;
        END IF;
    END LOOP;
END
$$
"""

OWNED = f"auth_user_id = {ME}"
SHARED = f"{OWNED} OR id IN (SELECT profile_id FROM members WHERE auth_user_id = {ME})"
OF_PROFILES = (
    "analytics",
    "api_calls",
    "conversations",
    "decisions",
    "learning_data",
    "leases",
    "plans",
    "posting_schedule",
    "rate_windows",
    "tweets",
)
READABLE = ("profiles", "content_performance", "messages", *OF_PROFILES)

# Every table is locked at once or not at all: a worker that is half-way through a transaction is
# waited for with empty hands, so that the two can't block each other.
LOCK_TABLES = f"""
DO $$
DECLARE
    patience constant timestamptz := clock_timestamp() + interval '55 seconds';
BEGIN
    LOOP
        BEGIN
            LOCK TABLE {", ".join(READABLE)} IN ACCESS EXCLUSIVE MODE NOWAIT;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > patience THEN
                RAISE EXCEPTION 'the tables stay in use: pg_stat_activity shows by whom; nothing was changed';
            END IF;
            PERFORM pg_sleep(0.05);
        END;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Adds members, and lets them read."""
    op.execute(LOCK_TABLES)
    op.execute(CREATE_MEMBERS)
    op.execute(GRANTS)
    op.execute(f"CREATE POLICY own_rows_are_read ON members FOR SELECT USING ({OWN_MEMBERSHIPS})")
    _let_read(SHARED)


def downgrade() -> None:
    """Lets owners alone read, and forgets the members."""
    op.execute(LOCK_TABLES)
    _let_read(OWNED)
    op.execute("DROP TABLE members")
    op.execute("DROP TYPE member_role")


def _let_read(seen: str) -> None:
    """Shows whoever is signed in the profiles for which `seen` holds, and their rows.

    Args:
        seen: a condition on rows of `profiles`.
    """
    own = f"profile_id IN (SELECT id FROM profiles WHERE {seen})"
    conditions = {
        "profiles": seen,
        "content_performance": f"tweet_id IN (SELECT id FROM tweets WHERE {own})",
        "messages": f"conversation_id IN (SELECT id FROM conversations WHERE {own})",
        **dict.fromkeys(OF_PROFILES, own),
    }
    for table, condition in conditions.items():
        op.execute(f"ALTER POLICY own_rows_are_read ON {table} USING ({condition})")

"""Close every table and function to all but the worker, and let the signed-in read what is theirs.

A platform may grant everything on everything to whoever is signed in, as Supabase does, or grant it
again later. So the policies alone keep rows safe whatever is granted, and the grants keep out what
no policy sees: TRUNCATE, triggers of one's own, functions.

The tables' owner is the worker's role: a superuser on Railway and in the embedded server, `postgres`
with BYPASSRLS on Supabase, a plain role elsewhere. Policies are not forced on it, for the ledger
counts all rows or none. A worker's role that owns nothing needs BYPASSRLS beside its grants.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import logging

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")

OWN = "profile_id IN (SELECT id FROM profiles WHERE auth_user_id = (SELECT current_auth_user_id()))"

# What a signed-in person may read. Writing is the worker's: it checks what is written, and every
# act of a person leaves a decision row. Other tables have no policy, so nobody reads them.
READABLE = {
    "profiles": "auth_user_id = (SELECT current_auth_user_id())",
    "content_performance": f"tweet_id IN (SELECT id FROM tweets WHERE {OWN})",
    "messages": f"conversation_id IN (SELECT id FROM conversations WHERE {OWN})",
    **dict.fromkeys(
        (
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
        ),
        OWN,
    ),
}
CLOSED = ("alembic_version", "api_usage_tracking", "bot_config")
TABLES = ", ".join([*READABLE, *CLOSED])

WORKERS_FUNCTIONS = (
    "api_calls_keep_daily_rows()",
    "api_usage_tracking_adopt()",
    "keep_updated_at()",
    "track_twitter_usage(integer, integer, timestamptz)",
)
# Ran as the tables' owner until now. Who may write the ledger may write its daily rows too.
DEFINERS = WORKERS_FUNCTIONS[:2]

# Every table is locked at once or not at all: a worker that is half-way through a transaction is
# waited for with empty hands, so that the two can't block each other.
LOCK_TABLES = f"""
DO $$
DECLARE
    patience constant timestamptz := clock_timestamp() + interval '55 seconds';
BEGIN
    LOOP
        BEGIN
            LOCK TABLE {TABLES} IN ACCESS EXCLUSIVE MODE NOWAIT;
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

# Supabase's names. A role that may not make roles goes without: nobody can sign in there.
MAKE_ROLES = """
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', wanted);
        EXCEPTION
            WHEN insufficient_privilege THEN RAISE NOTICE 'role % is not there and may not be made', wanted;
            -- Another database of this server was quicker.
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END
$$
"""

# `authenticated` and `anon` only where they are; PUBLIC is everywhere.
GRANTS = f"""
DO $$
DECLARE
    who text;
BEGIN
    FOR who IN SELECT 'PUBLIC' UNION ALL
               SELECT quote_ident(rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE 'REVOKE ALL ON {TABLES} FROM ' || who;
        EXECUTE 'REVOKE ALL ON SEQUENCE api_usage_tracking_id_seq FROM ' || who;
        EXECUTE 'REVOKE ALL ON FUNCTION {", ".join(WORKERS_FUNCTIONS)} FROM ' || who;
        IF who = 'authenticated' THEN
            EXECUTE 'GRANT SELECT ON {", ".join(READABLE)} TO ' || who;
        END IF;
    END LOOP;
END
$$
"""

# The subject of the verified token that PostgREST and Supabase hand over; NULL for everyone else,
# whatever else the setting holds.
CURRENT_USER_ID = """
CREATE OR REPLACE FUNCTION current_auth_user_id() RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid;
EXCEPTION
    WHEN data_exception OR program_limit_exceeded THEN RETURN NULL;
END
$$
"""
# The bot takes an account's id from X, and that call stands in its ledger.
NEVER_ASKED = """
SELECT id, handle FROM profiles WHERE x_user_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM api_calls WHERE profile_id = profiles.id AND endpoint = 'GET /2/users/me'
)
"""
OLD_CURRENT_USER_ID = """
CREATE OR REPLACE FUNCTION current_auth_user_id() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid
$$
"""
OLD_OWN = "profile_id IN (SELECT id FROM profiles WHERE auth_user_id = current_auth_user_id())"
OLD_READABLE = {
    **dict.fromkeys(READABLE, OLD_OWN),
    "profiles": "auth_user_id = current_auth_user_id()",
    "content_performance": f"tweet_id IN (SELECT id FROM tweets WHERE {OLD_OWN})",
    "messages": f"conversation_id IN (SELECT id FROM conversations WHERE {OLD_OWN})",
}
OLD_READ_ONLY = frozenset({"api_calls", "rate_windows", "decisions", "leases"})


def upgrade() -> None:
    """Closes first, then opens what is meant to be open."""
    op.execute(LOCK_TABLES)
    op.execute(MAKE_ROLES)
    op.execute(CURRENT_USER_ID)
    for function in DEFINERS:
        op.execute(f"ALTER FUNCTION {function} SECURITY INVOKER")
    # Named last, or a session's own temporary tables would be looked through first.
    for function in (*WORKERS_FUNCTIONS, "current_auth_user_id()"):
        op.execute(f"ALTER FUNCTION {function} SET search_path = {_schema()}, pg_temp")
    op.execute("ALTER TABLE alembic_version ENABLE ROW LEVEL SECURITY")
    for table, own in READABLE.items():
        op.execute(f"DROP POLICY owner ON {table}")
        # For every role, because these names hold on servers with and without Supabase's roles, and
        # after a restore elsewhere; without a token's subject it lets nobody see a row.
        op.execute(f"CREATE POLICY own_rows_are_read ON {table} FOR SELECT USING ({own})")
    op.execute(GRANTS)
    for row in op.get_bind().exec_driver_sql(NEVER_ASKED):
        log.warning(
            "profile %s (@%s) names an account that this bot never asked X about: until now whoever was "
            "signed in could add it; delete it unless you did",
            row.id,
            row.handle,
        )


def _schema() -> str:
    bind = op.get_bind()
    schema: str = bind.exec_driver_sql("SELECT current_schema()").scalar_one()
    return bind.dialect.identifier_preparer.quote(schema)


def downgrade() -> None:
    """Puts policies and functions back as they were. Rights stay closed, and roles stay.

    What a platform had granted, and who made the roles, can't be known any more.
    """
    op.execute(LOCK_TABLES)
    for table, own in OLD_READABLE.items():
        op.execute(f"DROP POLICY own_rows_are_read ON {table}")
        if table in OLD_READ_ONLY:
            op.execute(f"CREATE POLICY owner ON {table} FOR SELECT USING ({own})")
        else:
            op.execute(f"CREATE POLICY owner ON {table} USING ({own}) WITH CHECK ({own})")
    op.execute("ALTER TABLE alembic_version DISABLE ROW LEVEL SECURITY")
    op.execute(OLD_CURRENT_USER_ID)
    for function in ("keep_updated_at()", WORKERS_FUNCTIONS[3]):
        op.execute(f"ALTER FUNCTION {function} RESET search_path")
    for function in DEFINERS:
        op.execute(f"ALTER FUNCTION {function} SECURITY DEFINER SET search_path FROM CURRENT")

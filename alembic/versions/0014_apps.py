"""Know which X app each call was made with, and what each app was used for.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A fingerprint of the app's key, never the key. NULL, and '' in the sums, is an app that isn't known.
TABLES = ("profiles", "api_calls", "rate_windows")
APP_USAGE = """
CREATE TABLE app_usage (
    date DATE NOT NULL,
    app TEXT NOT NULL,
    tweets_posted BIGINT DEFAULT 0 NOT NULL,
    reads_made BIGINT DEFAULT 0 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_app_usage PRIMARY KEY (app, date)
)
"""
STAMPED = (
    "CREATE TRIGGER keep_updated_at BEFORE UPDATE ON app_usage "
    "FOR EACH ROW EXECUTE FUNCTION keep_updated_at()"
)
# No policy: an app's use tells of profiles that are not one's own.
CLOSED = """
DO $$
DECLARE
    who text;
BEGIN
    FOR who IN SELECT 'PUBLIC' UNION ALL
               SELECT quote_ident(rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE 'REVOKE ALL ON app_usage FROM ' || who;
        EXECUTE 'REVOKE ALL ON FUNCTION api_calls_keep_app_usage() FROM ' || who;
    END LOOP;
END
$$
"""
SUM_UP = """
INSERT INTO app_usage (date, app, tweets_posted, reads_made)
SELECT (at AT TIME ZONE 'UTC')::date, '',
       coalesce(sum(units) FILTER (WHERE kind = 'post'), 0), coalesce(sum(units) FILTER (WHERE kind = 'read'), 0)
  FROM api_calls WHERE state <> 'released' AND kind <> 'model' GROUP BY 1
"""
# The last day of all profiles together, and of those of one app.
RECENT = """
CREATE INDEX ix_api_calls_recent ON api_calls (kind, at DESC) INCLUDE (app, units, endpoint)
WHERE state <> 'released'
"""
# The windows that X counts for a whole app.
SHARED = "CREATE INDEX ix_rate_windows_app ON rate_windows (app) WHERE name = '24h_app'"

# By statement, so that a batch of calls is one change of its app's row. Whoever locks that row holds the
# daily row of that day, which triggers by row took before, so that no two transactions wait for each
# other; a call that is settled as it was reserved changes no sum, and locks neither.
KEEP_APP_USAGE = """
CREATE FUNCTION api_calls_keep_app_usage() RETURNS trigger
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('bot.forgets', true) = 'on' THEN
        RETURN NULL;
    END IF;
    {changes}RETURN NULL;
END
$$
"""
ADD = """INSERT INTO app_usage (date, app, tweets_posted, reads_made)
        SELECT (at AT TIME ZONE 'UTC')::date, coalesce(app, ''),
               coalesce(sum(units) FILTER (WHERE kind = 'post'), 0),
               coalesce(sum(units) FILTER (WHERE kind = 'read'), 0)
          FROM ({rows}) AS changed
         GROUP BY 1, 2
        HAVING sum(units) FILTER (WHERE kind = 'post') <> 0 OR sum(units) FILTER (WHERE kind = 'read') <> 0
         ORDER BY 2, 1
        ON CONFLICT (app, date) DO UPDATE
           SET tweets_posted = app_usage.tweets_posted + EXCLUDED.tweets_posted,
               reads_made = app_usage.reads_made + EXCLUDED.reads_made;
    """
COUNTED = "SELECT at, app, kind, {units} AS units FROM {rows} WHERE state <> 'released' AND kind <> 'model'"
MADE = COUNTED.format(units="units", rows="made")
UNMADE = COUNTED.format(units="-units", rows="unmade")
# What each trigger is called by, what it is handed, and what changes the sums.
TRIGGERS = {
    "INSERT": ("NEW TABLE AS made", MADE),
    "UPDATE": ("NEW TABLE AS made OLD TABLE AS unmade", f"{MADE} UNION ALL {UNMADE}"),
    "DELETE": ("OLD TABLE AS unmade", UNMADE),
}
CHANGES = "".join(
    f"IF TG_OP = '{change}' THEN\n        {ADD.format(rows=rows)}END IF;\n    "
    for change, (_, rows) in TRIGGERS.items()
)
# As the seventh migration has it, with a line that passes over what changes no sum.
KEEP_DAILY_ROWS = """
CREATE OR REPLACE FUNCTION api_calls_keep_daily_rows() RETURNS trigger
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('bot.forgets', true) = 'on' THEN
        RETURN NULL;
    END IF;
    {first}IF TG_OP <> 'INSERT' AND OLD.state <> 'released' THEN
        UPDATE api_usage_tracking
           SET tweets_posted = tweets_posted - CASE WHEN OLD.kind = 'post' THEN OLD.units ELSE 0 END,
               reads_made = reads_made - CASE WHEN OLD.kind = 'read' THEN OLD.units ELSE 0 END,
               tokens_used = tokens_used - OLD.tokens,
               cost_usd = cost_usd - OLD.cost_usd
         WHERE date = (OLD.at AT TIME ZONE 'UTC')::date AND api_type = OLD.api;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state <> 'released' THEN
        INSERT INTO api_usage_tracking (date, api_type, tweets_posted, reads_made, tokens_used, cost_usd)
        VALUES (
            (NEW.at AT TIME ZONE 'UTC')::date,
            NEW.api,
            CASE WHEN NEW.kind = 'post' THEN NEW.units ELSE 0 END,
            CASE WHEN NEW.kind = 'read' THEN NEW.units ELSE 0 END,
            NEW.tokens,
            NEW.cost_usd
        )
        ON CONFLICT (date, api_type) DO UPDATE
           SET tweets_posted = api_usage_tracking.tweets_posted + EXCLUDED.tweets_posted,
               reads_made = api_usage_tracking.reads_made + EXCLUDED.reads_made,
               tokens_used = api_usage_tracking.tokens_used + EXCLUDED.tokens_used,
               cost_usd = api_usage_tracking.cost_usd + EXCLUDED.cost_usd;
    END IF;
    RETURN NULL;
END
$$
"""
NO_SUM_CHANGES = """IF TG_OP = 'UPDATE' AND OLD.state <> 'released' AND NEW.state <> 'released'
       AND (OLD.at, OLD.api, OLD.kind, OLD.units, OLD.tokens, OLD.cost_usd)
           IS NOT DISTINCT FROM (NEW.at, NEW.api, NEW.kind, NEW.units, NEW.tokens, NEW.cost_usd) THEN
        RETURN NULL;
    END IF;
    """


def upgrade() -> None:
    """Adds the columns and the sums by app, which begin with what is in the ledger."""
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN app TEXT")
    for statement in (APP_USAGE, STAMPED, "ALTER TABLE app_usage ENABLE ROW LEVEL SECURITY", SUM_UP):
        op.execute(statement)
    op.execute(KEEP_APP_USAGE.format(schema=_schema(), changes=CHANGES))
    for change, (rows, _) in TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER keep_app_usage_at_{change.lower()} AFTER {change} ON api_calls "
            f"REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION api_calls_keep_app_usage()"
        )
    op.execute(CLOSED)
    op.execute(RECENT)
    op.execute(SHARED)
    op.execute(KEEP_DAILY_ROWS.format(schema=_schema(), first=NO_SUM_CHANGES))


def downgrade() -> None:
    """Forgets apps; what was used stays counted."""
    op.execute(KEEP_DAILY_ROWS.format(schema=_schema(), first=""))
    for change in TRIGGERS:
        op.execute(f"DROP TRIGGER keep_app_usage_at_{change.lower()} ON api_calls")
    op.execute("DROP FUNCTION api_calls_keep_app_usage()")
    op.execute("DROP TABLE app_usage")
    op.execute("DROP INDEX ix_rate_windows_app")
    op.execute("DROP INDEX ix_api_calls_recent")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN app")


def _schema() -> str:
    bind = op.get_bind()
    current = bind.exec_driver_sql("SELECT current_schema()").scalar_one()
    return bind.dialect.identifier_preparer.quote(str(current))

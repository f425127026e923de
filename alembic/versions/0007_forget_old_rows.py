"""Let old ledger rows go without taking their use off the daily sums.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# As the first migration has it, with a first line for the transaction that tidies up.
KEEP_DAILY_ROWS = """
CREATE OR REPLACE FUNCTION api_calls_keep_daily_rows() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
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
FORGETS = """IF TG_OP = 'DELETE' AND current_setting('bot.forgets', true) = 'on' THEN
        RETURN NULL;
    END IF;
    """


def upgrade() -> None:
    """Lets a transaction that says so delete rows whose use stays counted."""
    _replace(FORGETS)


def downgrade() -> None:
    """Takes every deleted row's use off its day again."""
    _replace("")


def _replace(first: str) -> None:
    # The function keeps the search_path it has: temporary tables last.
    bind = op.get_bind()
    schema = bind.dialect.identifier_preparer.quote(
        bind.exec_driver_sql("SELECT current_schema()").scalar_one()
    )
    op.execute(KEEP_DAILY_ROWS.format(first=first).replace("FROM CURRENT", f"= {schema}, pg_temp"))

"""Hold every amount that a setting allows, and refuse moments and amounts that nothing can weigh.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What the ledger sums, and what a decision compares: (table, column, its new type, its old one).
WIDER = (
    ("api_calls", "units", "BIGINT", "INTEGER"),
    ("api_calls", "cost_usd", "NUMERIC(20, 6)", "NUMERIC(14, 6)"),
    ("api_usage_tracking", "tweets_posted", "BIGINT", "INTEGER"),
    ("api_usage_tracking", "reads_made", "BIGINT", "INTEGER"),
    ("api_usage_tracking", "cost_usd", "NUMERIC(20, 6)", "NUMERIC(14, 6)"),
    ("decisions", "used", "NUMERIC", "NUMERIC(14, 6)"),
    ("decisions", "cap", "NUMERIC", "NUMERIC(14, 6)"),
)
MOMENTS = {
    "api_calls": ("at",),
    "posting_schedule": ("due_at",),
    "rate_windows": ("resets_at", "seen_at"),
    "decisions": ("at", "last_at", "until"),
    "tweets": ("posted_at", "first_intent_at", "intent_at", "looked_at", "next_attempt_at"),
}
AMOUNTS = {
    "api_calls": ("cost_usd",),
    "api_usage_tracking": ("cost_usd",),
    "decisions": ("used", "cap"),
}
RELEASED = """
CREATE INDEX ix_api_calls_released ON api_calls (profile_id, kind, at DESC) WHERE state = 'released'
"""


def _moments(columns: tuple[str, ...]) -> str:
    first, last = "'2000-01-01 00:00:00+00'::timestamptz", "'2200-01-01 00:00:00+00'::timestamptz"
    return " AND ".join(f"{column} >= {first} AND {column} < {last}" for column in columns)


def _amounts(columns: tuple[str, ...]) -> str:
    # NaN is greater than all, infinity included.
    return " AND ".join(f"{column} < 'Infinity'::numeric" for column in columns)


def upgrade() -> None:
    """Widens, then constrains.

    A row of before that breaks a rule keeps no release from going out: the rule holds for what is
    written from now on, and reading such a row names it.
    """
    for table, column, wide, _ in WIDER:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {wide}")
    for name, rules, tables in (("moments", _moments, MOMENTS), ("finite", _amounts, AMOUNTS)):
        for table, columns in tables.items():
            constraint = f"ck_{table}_{name}"
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} CHECK ({rules(columns)}) NOT VALID")
            op.execute(
                f"DO $$ BEGIN ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}; "
                f"EXCEPTION WHEN check_violation THEN "
                f"RAISE WARNING '% holds rows that break {constraint}', '{table}'; END $$"
            )
    op.execute(RELEASED)


def downgrade() -> None:
    """Takes the rules back and narrows again; an amount that no longer fits stops it."""
    op.execute("DROP INDEX ix_api_calls_released")
    for name, tables in (("moments", MOMENTS), ("finite", AMOUNTS)):
        for table in tables:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_{name}")
    for table, column, _, narrow in WIDER:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {narrow}")

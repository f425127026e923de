"""Let a row reference rows of its own profile only: foreign keys carry the profile.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")

# Every table is locked at once or not at all: a worker that is half-way through a transaction is
# waited for with empty hands, so that the two can't block each other.
LOCK_TABLES = """
DO $$
DECLARE
    patience constant timestamptz := clock_timestamp() + interval '55 seconds';
BEGIN
    LOOP
        BEGIN
            LOCK TABLE profiles, plans, posting_schedule, tweets, api_calls, decisions
                IN ACCESS EXCLUSIVE MODE NOWAIT;
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


class Reference(NamedTuple):
    """A column that points to a row of another table, or of its own."""

    table: str
    column: str
    other: str
    on_delete: str

    @property
    def old_name(self) -> str:
        """The key that looked at the column alone."""
        return f"fk_{self.table}_{self.column}"

    @property
    def name(self) -> str:
        """The key that looks at the profile too."""
        return f"fk_{self.table}_profile_id_{self.column}"

    @property
    def clears(self) -> str:
        """What becomes of the row when the other one goes; its profile always stays."""
        return f"SET NULL ({self.column})" if self.on_delete == "SET NULL" else self.on_delete


REFERENCES = (
    Reference("posting_schedule", "plan_id", "plans", "SET NULL"),
    Reference("tweets", "slot_id", "posting_schedule", "SET NULL"),
    Reference("tweets", "thread_id", "tweets", "CASCADE"),
    Reference("api_calls", "tweet_id", "tweets", "SET NULL"),
    Reference("decisions", "slot_id", "posting_schedule", "SET NULL"),
    Reference("decisions", "tweet_id", "tweets", "SET NULL"),
)
REFERENCED = ("plans", "posting_schedule", "tweets")
# A deleted profile leaves its ledger behind, first without the profile and then without the tweet.
# In between only the key on the tweet alone knows the row, so there both stand.
KEPT = "fk_api_calls_tweet_id"
# A key is not looked at while one of its columns is NULL.
DECISIONS_OF_NOBODY = "profile_id IS NOT NULL OR (slot_id IS NULL AND tweet_id IS NULL)"


def upgrade() -> None:
    """Empties references to another profile's rows, and forbids them."""
    op.execute(LOCK_TABLES)
    for table in REFERENCED:
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT uq_{table}_profile_id_id UNIQUE (profile_id, id)")
    for one in REFERENCES:
        _detach(one)
    for one in REFERENCES:
        if one.old_name != KEPT:
            op.execute(f"ALTER TABLE {one.table} DROP CONSTRAINT {one.old_name}")
        op.execute(
            f"ALTER TABLE {one.table} ADD CONSTRAINT {one.name} FOREIGN KEY (profile_id, {one.column}) "
            f"REFERENCES {one.other} (profile_id, id) ON DELETE {one.clears}"
        )
    op.execute(f"ALTER TABLE decisions ADD CONSTRAINT ck_decisions_of_nobody CHECK ({DECISIONS_OF_NOBODY})")


def _detach(one: Reference) -> None:
    found = op.get_bind().exec_driver_sql(
        f"UPDATE {one.table} SET {one.column} = NULL FROM {one.other} AS other "
        f"WHERE other.id = {one.table}.{one.column} "
        f"AND other.profile_id IS DISTINCT FROM {one.table}.profile_id"
    )
    if found.rowcount:
        log.warning(
            "%s.%s named another profile's row %d times; it is empty there now",
            one.table,
            one.column,
            found.rowcount,
        )


def downgrade() -> None:
    """Puts the keys back that look at one column; what was emptied stays empty."""
    op.execute(LOCK_TABLES)
    op.execute("ALTER TABLE decisions DROP CONSTRAINT ck_decisions_of_nobody")
    for one in REFERENCES:
        op.execute(f"ALTER TABLE {one.table} DROP CONSTRAINT {one.name}")
        if one.old_name != KEPT:
            op.execute(
                f"ALTER TABLE {one.table} ADD CONSTRAINT {one.old_name} FOREIGN KEY ({one.column}) "
                f"REFERENCES {one.other} (id) ON DELETE {one.on_delete}"
            )
    for table in REFERENCED:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT uq_{table}_profile_id_id")

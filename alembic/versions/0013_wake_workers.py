"""Wake workers when what they go by changes, so that they need not ask every few seconds.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Workers listen to this channel; a worker that can't, behind a transaction pooler, looks each minute.
FUNCTION = """
CREATE FUNCTION wake_workers() RETURNS trigger
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
BEGIN
    PERFORM pg_notify('bot_work', '');
    RETURN NULL;
END
$$
"""
# What brings work forward: slots and drafts that come or are approved, a profile that is resumed, a
# plan or a setting that changes, keys that are given. Where a tweet or a slot only goes on to its end,
# nobody needs to be woken.
ROWS = {
    "posting_schedule": "INSERT OR UPDATE OF due_at",
    "tweets": "INSERT",
    "profiles": "INSERT OR UPDATE OF paused, mode, timezone",
    "plans": "INSERT OR UPDATE",
    "bot_config": "INSERT OR UPDATE OR DELETE",
    "credentials": "INSERT OR UPDATE OR DELETE",
}
# An approval, and a tweet that goes back to its worker: what is left to wait for is due at once.
APPROVED = """
CREATE TRIGGER wake_workers_of_approved AFTER UPDATE OF status, slot_id, next_attempt_at ON tweets
FOR EACH ROW WHEN (
    NEW.status = 'approved'
    AND (OLD.status IS DISTINCT FROM NEW.status OR OLD.next_attempt_at IS DISTINCT FROM NEW.next_attempt_at)
) EXECUTE FUNCTION wake_workers()
"""
CLOSED = """
DO $$
DECLARE
    who text;
BEGIN
    FOR who IN SELECT 'PUBLIC' UNION ALL
               SELECT quote_ident(rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE 'REVOKE ALL ON FUNCTION wake_workers() FROM ' || who;
    END LOOP;
END
$$
"""
# One look finds whose work is due, however many profiles have none.
INDEX = "CREATE INDEX ix_posting_schedule_due ON posting_schedule (due_at) WHERE status = 'planned'"


def upgrade() -> None:
    """Adds a trigger to each table that a worker goes by, and the index that its look is served by."""
    bind = op.get_bind()
    schema = bind.dialect.identifier_preparer.quote(
        bind.exec_driver_sql("SELECT current_schema()").scalar_one()
    )
    op.execute(FUNCTION.format(schema=schema))
    op.execute(CLOSED)
    for table, changes in ROWS.items():
        op.execute(
            f"CREATE TRIGGER wake_workers AFTER {changes} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION wake_workers()"
        )
    op.execute(APPROVED)
    op.execute(INDEX)


def downgrade() -> None:
    """Takes them away again: workers of before look every few seconds."""
    op.execute("DROP INDEX ix_posting_schedule_due")
    op.execute("DROP TRIGGER wake_workers_of_approved ON tweets")
    for table in ROWS:
        op.execute(f"DROP TRIGGER wake_workers ON {table}")
    op.execute("DROP FUNCTION wake_workers()")

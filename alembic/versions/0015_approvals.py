"""Bind an approval to the exact text, whoever changes it: the text of a post that was sent never changes.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# A post that was removed on X leaves a row without its text.
FUNCTION = """
CREATE FUNCTION keep_approved_text() RETURNS trigger
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF NEW.status = 'deleted' AND NEW.text = '' THEN
        RETURN NEW;
    END IF;
    IF OLD.first_intent_at IS NOT NULL OR OLD.status NOT IN ('drafted', 'awaiting_approval', 'approved') THEN
        RAISE EXCEPTION 'tweet %: the text of a post that may have been sent stays', OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status = 'awaiting_approval' OR (NEW.status = 'drafted' AND OLD.status = 'drafted') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'tweet %: a changed text awaits approval', OLD.id
        USING ERRCODE = 'check_violation', HINT = 'set its status to awaiting_approval with it';
END
$$
"""
TRIGGER = """
CREATE TRIGGER keep_approved_text BEFORE UPDATE OF text ON tweets
FOR EACH ROW WHEN (NEW.text IS DISTINCT FROM OLD.text) EXECUTE FUNCTION keep_approved_text()
"""
CLOSED = """
DO $$
DECLARE
    who text;
BEGIN
    FOR who IN SELECT 'PUBLIC' UNION ALL
               SELECT quote_ident(rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE 'REVOKE ALL ON FUNCTION keep_approved_text() FROM ' || who;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Adds the trigger."""
    bind = op.get_bind()
    schema = bind.dialect.identifier_preparer.quote(
        bind.exec_driver_sql("SELECT current_schema()").scalar_one()
    )
    op.execute(FUNCTION.format(schema=schema))
    op.execute(CLOSED)
    op.execute(TRIGGER)


def downgrade() -> None:
    """Takes it away."""
    op.execute("DROP TRIGGER keep_approved_text ON tweets")
    op.execute("DROP FUNCTION keep_approved_text()")

"""What must stand for usage to be read, and how it is put back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

# What must stand for the daily rows to be the ledger's sums. Looked up in the catalogue before
# every decision, because a sum without its constraint or trigger reads well and says nothing. A
# role whose rows a policy would hide gets an error instead of the sum of what it may see.
_FOUNDATIONS = text(
    """
    SELECT set_config('row_security', 'off', true) AS row_security,
           to_regclass('api_usage_tracking') IS NOT NULL AS daily_table,
           to_regclass('api_calls') IS NOT NULL AS ledger_table,
           EXISTS (
               SELECT 1 FROM pg_index
                WHERE indrelid = to_regclass('api_usage_tracking') AND indisunique AND indisvalid
                  AND indpred IS NULL AND pg_get_indexdef(indexrelid) LIKE '%(date, api_type)'
           ) AS daily_constraint,
           EXISTS (
               SELECT 1 FROM pg_trigger
                WHERE tgrelid = to_regclass('api_calls') AND tgname = 'keep_daily_rows'
                  AND tgenabled IN ('O', 'A')
           ) AS daily_trigger
    """
)
_FOUNDATION_NAMES = {
    "daily_table": "the table api_usage_tracking is missing",
    "ledger_table": "the table api_calls is missing",
    "daily_constraint": (
        "the unique constraint uq_api_usage_tracking_date_api_type on api_usage_tracking (date, api_type) "
        "is missing"
    ),
    "daily_trigger": "the trigger keep_daily_rows on api_calls is missing or disabled",
}


# Daily rows are the ledger's sums, so an odd amount in one comes from there.
SUM_AGAIN = (
    "run: UPDATE api_calls SET cost_usd = 0 WHERE cost_usd >= 'Infinity'; "
    "ALTER TABLE api_usage_tracking DISABLE TRIGGER adopt; "
    "UPDATE api_usage_tracking AS day SET cost_usd = (SELECT coalesce(sum(cost_usd), 0) FROM api_calls "
    "WHERE (at AT TIME ZONE 'UTC')::date = day.date AND api = day.api_type AND state <> 'released') "
    "WHERE cost_usd >= 'Infinity'; "
    "ALTER TABLE api_usage_tracking ENABLE TRIGGER adopt"
)


def missing_foundations(connection: Connection) -> Sequence[str]:
    """What is missing for usage to be read, in words; empty when all stands."""
    standing = connection.execute(_FOUNDATIONS).mappings().one()
    missing = [words for name, words in _FOUNDATION_NAMES.items() if not standing[name]]
    # Without its table a constraint or trigger is missing too, and says nothing more.
    tables = [words for words in missing if words.startswith("the table")]
    return tables or missing


def mend(missing: Sequence[str]) -> str:
    """The command that puts back what is missing, the table before what stands on it."""
    if any("table" in one and "constraint" not in one for one in missing):
        return "alembic upgrade head, or give the table its name back"
    if any("constraint" in one for one in missing):
        return (
            "ALTER TABLE api_usage_tracking ADD CONSTRAINT uq_api_usage_tracking_date_api_type "
            "UNIQUE (date, api_type)"
        )
    return (
        "DROP TRIGGER IF EXISTS keep_daily_rows ON api_calls; "
        "CREATE TRIGGER keep_daily_rows AFTER INSERT OR UPDATE OR DELETE ON api_calls "
        "FOR EACH ROW EXECUTE FUNCTION api_calls_keep_daily_rows()"
    )

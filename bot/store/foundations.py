"""What must stand for usage to be read, and how it is put back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from bot.store.troubles import UPGRADE

# What must stand for the daily rows to be the ledger's sums. Looked up in the catalogue before
# every decision, because a sum without its constraint or trigger reads well and says nothing. A
# role whose rows a policy would hide gets an error instead of the sum of what it may see.
_FOUNDATIONS = """
    SELECT set_config('row_security', 'off', true) AS row_security,
           to_regclass('api_usage_tracking') IS NOT NULL AS daily_table,
           to_regclass('api_calls') IS NOT NULL AS ledger_table,
           EXISTS (
               SELECT 1 FROM pg_index
                WHERE indrelid = to_regclass('api_usage_tracking') AND indisunique AND indisvalid
                  AND indpred IS NULL
                  AND replace(pg_get_indexdef(indexrelid), '"', '') LIKE '%(date, api_type)'
           ) AS daily_constraint,
           EXISTS (
               SELECT 1 FROM pg_trigger
                WHERE tgrelid = to_regclass('api_calls') AND tgname = 'keep_daily_rows'
                  AND tgenabled IN ('O', 'A')
           ) AS daily_trigger,
           to_regclass('app_usage') IS NOT NULL AS app_table,
           (
               SELECT count(*) FROM pg_trigger
                WHERE tgrelid = to_regclass('api_calls') AND tgname LIKE 'keep_app_usage_at_%'
                  AND tgenabled IN ('O', 'A')
           ) = 3 AS app_triggers,
           current_setting('session_replication_role') <> 'replica' AS firing
    """
_LOOK = text(_FOUNDATIONS)
# All accounts wait for whoever holds the lock. A worker that is frozen loses it soon, and has sent nothing.
_HOLDER_MAY_PAUSE = "5s"
_LOCK_AND_LOOK = text(
    f"{_FOUNDATIONS}, pg_advisory_xact_lock(:lock) IS NULL AS locked,"
    f" set_config('idle_in_transaction_session_timeout', '{_HOLDER_MAY_PAUSE}', true) AS may_pause"
)
_FOUNDATION_NAMES = {
    "daily_table": "the table api_usage_tracking is missing",
    "ledger_table": "the table api_calls is missing",
    "daily_constraint": (
        "the unique constraint uq_api_usage_tracking_date_api_type on api_usage_tracking (date, api_type) "
        "is missing"
    ),
    "daily_trigger": "the trigger keep_daily_rows on api_calls is missing or disabled",
    "app_table": "the table app_usage is missing",
    "app_triggers": "a trigger keep_app_usage_at_... on api_calls is missing or disabled",
    "firing": "session_replication_role is replica, and no trigger keeps the daily rows",
}


_MEND_DAILY_TRIGGER = (
    "DROP TRIGGER IF EXISTS keep_daily_rows ON api_calls; "
    "CREATE TRIGGER keep_daily_rows AFTER INSERT OR UPDATE OR DELETE ON api_calls "
    "FOR EACH ROW EXECUTE FUNCTION api_calls_keep_daily_rows()"
)
_APP_TRIGGERS = (
    ("INSERT", "NEW TABLE AS made"),
    ("UPDATE", "NEW TABLE AS made OLD TABLE AS unmade"),
    ("DELETE", "OLD TABLE AS unmade"),
)
# Daily rows are the ledger's sums, so an odd amount in one comes from there.
SUM_AGAIN = (
    "run: UPDATE api_calls SET cost_usd = 0 WHERE cost_usd >= 'Infinity'; "
    "ALTER TABLE api_usage_tracking DISABLE TRIGGER adopt; "
    "UPDATE api_usage_tracking AS day SET cost_usd = (SELECT coalesce(sum(cost_usd), 0) FROM api_calls "
    "WHERE (at AT TIME ZONE 'UTC')::date = day.date AND api = day.api_type AND state <> 'released') "
    "WHERE cost_usd >= 'Infinity'; "
    "ALTER TABLE api_usage_tracking ENABLE TRIGGER adopt"
)


def missing_foundations(connection: Connection, *, lock: int | None = None) -> Sequence[str]:
    """What is missing for usage to be read, in words; empty when all stands.

    Args:
        connection: where it is looked up; from here on a policy hides no row, but is an error.
        lock: an advisory lock that is waited for and taken in the same statement.
    """
    if lock is None:
        standing = connection.execute(_LOOK).mappings().one()
    else:
        standing = connection.execute(_LOCK_AND_LOOK, {"lock": lock}).mappings().one()
    missing = [words for name, words in _FOUNDATION_NAMES.items() if not standing[name]]
    # Without its table a constraint or trigger is missing too, and says nothing more.
    tables = [words for words in missing if words.startswith("the table")]
    return tables or missing


def mend(missing: Sequence[str]) -> str:
    """The command that puts back what is missing, the table before what stands on it."""
    if any("table" in one and "constraint" not in one for one in missing):
        return f"{UPGRADE}, or give the table its name back"
    if any("constraint" in one for one in missing):
        return (
            "ALTER TABLE api_usage_tracking ADD CONSTRAINT uq_api_usage_tracking_date_api_type "
            "UNIQUE (date, api_type)"
        )
    if any("session_replication_role" in one for one in missing):
        return (
            "ALTER ROLE CURRENT_USER RESET session_replication_role, or ALTER DATABASE ... RESET it where "
            "it was set; what was spent meanwhile is counted by no budget"
        )
    mends = [_MEND_DAILY_TRIGGER] if any("keep_daily_rows" in one for one in missing) else []
    if any("keep_app_usage" in one for one in missing):
        mends += [_mend_app_trigger(*one) for one in _APP_TRIGGERS]
    return "; ".join(mends)


def _mend_app_trigger(change: str, rows: str) -> str:
    name = f"keep_app_usage_at_{change.lower()}"
    return (
        f"DROP TRIGGER IF EXISTS {name} ON api_calls; "
        f"CREATE TRIGGER {name} AFTER {change} ON api_calls REFERENCING {rows} "
        "FOR EACH STATEMENT EXECUTE FUNCTION api_calls_keep_app_usage()"
    )

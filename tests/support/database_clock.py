"""The database's own clock, set as a test wants it: leases go by it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from bot.store.manager import DatabaseManager, StoreTransaction

# In front of PostgreSQL's own function of that name; without a moment it tells the real one.
_CLOCK = """
CREATE SCHEMA machine;
CREATE FUNCTION machine.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(
        nullif(current_setting('machine.now', true), '')::timestamptz, pg_catalog.clock_timestamp()
    )
$$;
DO $$ BEGIN
    EXECUTE 'ALTER DATABASE ' || quote_ident(current_database())
        || ' SET search_path = machine, pg_catalog, public';
END $$;
"""


def make_settable(manager: DatabaseManager) -> None:
    """Lets this database's clock be set; once is enough."""
    with manager.transaction() as tx:
        if tx.connection.scalar(text("SELECT to_regnamespace('machine') IS NOT NULL")):
            return
        tx.connection.exec_driver_sql(_CLOCK)
    # The search path holds for sessions that begin from here on.
    manager.close()


def set_clock(tx: StoreTransaction, moment: datetime) -> None:
    """Sets the database's clock for one transaction."""
    tx.connection.execute(text("SELECT set_config('machine.now', :now, true)"), {"now": moment.isoformat()})

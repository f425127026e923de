"""The whole data layer behind a transaction pooler with its default settings.

Python can't bring a pgbouncer along, so these tests are there only where one is on the PATH
(`apt-get install pgbouncer`); without it nothing is collected from this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from bot.core.errors import BotError, LeaseLost
from bot.core.posting.lifecycle import posted, publishing
from bot.core.spending.limits import CREATE_POST
from bot.core.states import CallState, SlotStatus
from bot.store.manager import DatabaseManager
from bot.store.schema import migrate, missing_constraints, missing_tables, require_head
from tests.store.rows import (
    DAY,
    HOUR,
    NOW,
    ROOT,
    a_call,
    a_decision,
    a_tweet,
    a_window,
    a_wish,
    daily_rows,
    ledger_sums,
    move,
    one_row_everywhere,
)
from tests.support.processes import eventually

# One process, one pooler.
pytestmark = pytest.mark.xdist_group("pooler")

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
SETTINGS = """
[databases]
* = host={server}

[pgbouncer]
pool_mode = transaction
unix_socket_dir = {folder}
listen_port = 6432
auth_type = trust
auth_file = {folder}/users.txt
"""

if PGBOUNCER:

    @pytest.fixture(scope="module")
    def pooler(postgres_url: URL) -> Iterator[URL]:
        """A pgbouncer before this process's PostgreSQL."""
        folder = Path(tempfile.mkdtemp(prefix="pooler-"))
        folder.chmod(0o777)
        (folder / "users.txt").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            SETTINGS.format(server=postgres_url.query["host"], folder=folder)
        )
        # It refuses to run as root; the embedded server's own user is there then.
        user = ["-u", "pgserver"] if os.geteuid() == 0 else []
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [str(PGBOUNCER), *user, str(folder / "pgbouncer.ini")], stdout=log, stderr=log
            )
        url = postgres_url.set(query={"host": str(folder), "port": "6432"})
        manager = DatabaseManager(url)
        eventually(lambda: answers(manager), what=(folder / "log").read_text())
        manager.close()
        yield url
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(folder)

    @pytest.fixture
    def pooled(pooler: URL, database_url: URL) -> Iterator[DatabaseManager]:
        manager = DatabaseManager(pooler.set(database=database_url.database))
        yield manager
        manager.close()

    def answers(manager: DatabaseManager) -> bool:
        try:
            return manager.ping() > 0
        except BotError:
            return False

    def test_the_pooler_is_really_in_between(pooler: URL, pooled: DatabaseManager) -> None:
        with pooled.transaction() as tx:
            client = tx.connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]  # psycopg's
            assert tx.connection.scalar(text("SELECT pg_backend_pid()")) != client
        assert str(pooler.query["host"]) in pooled.place

    def test_migrations_run_through_it(pooler: URL, empty_url: URL) -> None:
        manager = DatabaseManager(pooler.set(database=empty_url.database))
        migrate(manager)
        migrate(manager)

        require_head(manager)
        assert missing_tables(manager) == []
        assert missing_constraints(manager) == []
        manager.close()

    def test_the_alembic_command_runs_through_it(pooler: URL, empty_url: URL) -> None:
        address = pooler.set(drivername="postgres", database=empty_url.database)
        done = subprocess.run(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": address.render_as_string(hide_password=False)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert done.returncode == 0, done.stderr

    def test_everything_the_data_layer_does_works_through_it(pooled: DatabaseManager) -> None:
        with pooled.transaction() as tx:
            profile_id = one_row_everywhere(tx, "ada")
            plan = tx.plans.start(profile_id, posts_per_day=2)
            tx.connection.execute(text("SELECT track_twitter_usage(2, 10)"))
        for round_ in range(12):
            now = NOW + round_ * HOUR
            with pooled.transaction() as tx:
                tx.slots.add(profile_id, plan, [a_wish(now)])
                (slot,) = tx.slots.overdue(profile_id, now=now)
                lease = tx.leases.acquire(profile_id, holder="w", asked_at=0.0, lasts=HOUR)
                tweet = tx.tweets.add(a_tweet(profile_id, slot_id=slot.id))
            assert lease is not None
            with pooled.transaction() as tx:
                tx.ledger.lock()
                tx.leases.check(lease)
                before = tx.ledger.usage(profile_id, now=now)
                call = tx.ledger.reserve(a_call(profile_id, tweet_id=tweet.id, at=now))
                row = tx.tweets.lock(tweet.id)
                tx.tweets.save(publishing(row, fencing=lease.fencing, after_x_id=None, now=now))
                move(tx, slot.id, SlotStatus.CLAIMED)
            with pooled.transaction() as tx:
                tx.ledger.change(call.id, CallState.SETTLED)
                tx.rates.saw(profile_id, CREATE_POST, [a_window(resets_at=now + DAY)], now=now)
                tx.tweets.save(posted(tx.tweets.lock(tweet.id), str(round_), at=now))
                move(tx, slot.id, SlotStatus.DONE)
                tx.decisions.record(a_decision(profile_id, at=now))
                tx.config.put("round", round_)
                after = tx.ledger.usage(profile_id, now=now)
                assert after.posts_month == before.posts_month + 1
                assert tx.sending.last_known(profile_id)[0].x_tweet_id == str(round_)
                assert len(tx.tweets.recent_texts(profile_id, limit=50)) == round_ + 2
                assert not tx.plans.planned_days(profile_id, plan, since=NOW.date())
                assert tx.decisions.last(profile_id, limit=1)[0].repeated > 1
                tx.leases.release(lease)
        with pooled.transaction() as tx:
            assert tx.config.get("round") == 11
            assert daily_rows(tx.connection) == ledger_sums(tx.connection)
        assert pooled.ping() > 0

    def test_timeouts_of_one_transaction_do_not_reach_the_next_client(pooled: DatabaseManager) -> None:
        with pooled.transaction() as tx:
            session = tx.connection.scalar(text("SELECT pg_backend_pid()"))
        raw = pooled.engine.raw_connection()
        cursor = raw.cursor()
        cursor.execute("SELECT current_setting('statement_timeout'), pg_backend_pid()")
        row = cursor.fetchone()
        raw.close()
        assert row == ("0", session)

    def test_many_clients_at_once_keep_lock_and_lease(pooled: DatabaseManager) -> None:
        with pooled.transaction() as tx:
            profile_id = one_row_everywhere(tx, "ada")
            tx.connection.execute(text("UPDATE leases SET expires_at = clock_timestamp()"))

        def work(number: int) -> int | None:
            later = NOW + DAY
            with pooled.transaction() as tx:
                tx.ledger.lock()
                used = tx.ledger.usage(profile_id, now=later).posts_month
                if used < 10:
                    tx.ledger.reserve(a_call(profile_id, at=later))
            with pooled.transaction() as tx:
                lease = tx.leases.acquire(profile_id, holder=f"worker-{number}", asked_at=0.0, lasts=HOUR)
                return lease.fencing if lease else None

        with ThreadPoolExecutor(8) as threads:
            fencings = [one for one in threads.map(work, range(24)) if one is not None]

        with pooled.transaction() as tx:
            assert tx.ledger.usage(profile_id, now=NOW + DAY).posts_month == 10
        assert fencings == [2]

    def test_a_lost_lease_and_an_error_roll_back_through_it(pooled: DatabaseManager) -> None:
        with pooled.transaction() as tx:
            profile_id = one_row_everywhere(tx, "ada")
            lease = tx.leases.acquire(profile_id, holder="w", asked_at=0.0, lasts=0 * HOUR)
        assert lease is not None
        with pytest.raises(LeaseLost), pooled.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
            tx.config.put("key", 1)
            tx.leases.check(lease)

        with pooled.transaction() as tx:
            assert tx.config.get("key") is None

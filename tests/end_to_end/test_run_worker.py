"""`run`: the worker posts what is due, once, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from bot.sandbox import Sandbox
from tests.conftest import TIDES
from tests.end_to_end.conftest import Cli, Rows, logged, wait_for
from tests.support.processes import BotProcess, eventually
from tests.support.warm import WarmProcess

Texts = Callable[[], list[str]]
QUICK = {"BOT_TICK_SECONDS": "0.5", "BOT_POSTS_PER_DAY": "0"}


def schedule(rows: Rows, *seconds: float) -> list[datetime]:
    """Slots so many seconds from now, as a person inserts them."""
    now = datetime.now(UTC)
    due = [now + timedelta(seconds=one) for one in seconds]
    for moment in due:
        rows.execute(
            "INSERT INTO posting_schedule (profile_id, due_at) SELECT id, :due FROM profiles", due=moment
        )
    return due


def start_worker(program: BotProcess, **variables: str) -> WarmProcess:
    worker = program.start("run", **(QUICK | variables))
    wait_for(program, worker, "worker_started")
    return worker


@pytest.fixture
def meeting_place() -> Iterator[str]:
    """A source that makes its reader wait a while for a second one, so that two can't miss each other."""
    both = threading.Barrier(2)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(timeout=2.5)
            body = TIDES.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/markdown")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}/tides.md"
    server.shutdown()
    serving.join()
    server.server_close()


def stop(worker: WarmProcess) -> None:
    worker.terminate()
    assert worker.wait(timeout=5) == 0


def test_three_slots_are_three_posts_each_at_its_time(
    bot_process: BotProcess, rows: Rows, local_x: Sandbox
) -> None:
    worker = start_worker(bot_process)
    rows.execute("UPDATE plans SET spacing_seconds = 0")
    due = schedule(rows, 1, 4, 7)

    eventually(lambda: rows.count("posting_schedule", "status = 'done'") == 3, what="three slots done")
    # One more look finds nothing to do.
    quiet = rows.one("SELECT clock_timestamp() AS at")["at"]
    rows.execute("UPDATE profiles SET paused = false")
    eventually(lambda: rows.one("SELECT beat_at FROM workers")["beat_at"] > quiet, what="one more look")
    stop(worker)

    live = local_x.posts()
    assert len(live) == len({post.text for post in live}) == 3
    assert rows.count("posting_schedule") == 3
    tweets = rows.select(
        "SELECT t.x_tweet_id, t.posted_at, s.due_at, t.status FROM tweets t "
        "JOIN posting_schedule s ON s.id = t.slot_id ORDER BY s.due_at"
    )
    assert [one["x_tweet_id"] for one in tweets] == [post.id for post in live]
    assert {one["status"] for one in tweets} == {"posted"}
    assert [one["due_at"] for one in tweets] == due
    for one in tweets:
        assert timedelta(0) <= one["posted_at"] - one["due_at"] < timedelta(seconds=5)
    assert rows.count("tweets") == 3
    assert local_x.calls["POST /2/tweets 201"] == 3
    assert not [name for name in local_x.calls if name.startswith("POST") and name != "POST /2/tweets 201"]


@pytest.mark.parametrize("then", ["fail_503", "refuse_401"])
def test_a_worker_that_x_did_not_answer_asks_ever_more_seldom_whose_keys_these_are(
    bot_process: BotProcess, rows: Rows, local_x: Sandbox, then: str
) -> None:
    local_x.arm("fail_503", endpoint="GET /2/users/me", count=1)
    local_x.arm(then, endpoint="GET /2/users/me", count=2)
    worker = start_worker(bot_process, BOT_TICK_SECONDS="0.2")

    wait_for(bot_process, worker, "profile_ready")
    stop(worker)

    asked = [
        row["at"]
        for row in rows.select("SELECT at FROM api_calls WHERE endpoint = 'GET /2/users/me' ORDER BY at")
    ]
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert len(pauses) == 3
    # Each is a tick twice as long as the one before, less what it takes to write the question down.
    assert all(pause >= timedelta(seconds=0.1 * 2**tries) for tries, pause in enumerate(pauses))
    assert rows.one("SELECT handle FROM profiles")["handle"] == "sandbox_bot"
    assert not local_x.posts()


def test_two_workers_on_one_database_post_each_slot_once(
    bot_process: BotProcess, rows: Rows, local_x: Sandbox
) -> None:
    workers = [bot_process.start("run", **QUICK) for _ in range(2)]
    for worker in workers:
        wait_for(bot_process, worker, "worker_started")
    assert rows.count("profiles") == 1
    rows.execute("UPDATE plans SET spacing_seconds = 0")
    schedule(rows, 1, 3, 5)

    eventually(lambda: rows.count("posting_schedule", "status = 'done'") == 3, what="three slots done")
    for worker in workers:
        stop(worker)

    live = local_x.posts()
    assert len(live) == len({post.text for post in live}) == 3
    assert local_x.calls["POST /2/tweets 201"] == 3
    assert rows.count("tweets", "status = 'posted'") == 3
    assert rows.count("tweets", "status NOT IN ('posted', 'drafted')") == 0
    # Before the first profile is known both may ask; neither may ask again.
    assert local_x.calls["GET /2/users/me 200"] <= 2


def test_two_workers_write_one_draft_for_a_slot(
    bot_process: BotProcess, cli: Cli, rows: Rows, meeting_place: str
) -> None:
    cli.json("run-once")
    schedule(rows, 3600)

    workers = [bot_process.start("run", **QUICK, BOT_SOURCES=meeting_place) for _ in range(2)]
    for worker in workers:
        wait_for(bot_process, worker, "worker_started")
    eventually(lambda: rows.count("tweets", "slot_id IS NOT NULL"), what="a draft")
    for worker in workers:
        stop(worker)

    assert rows.count("tweets", "slot_id IS NOT NULL") == 1


def test_two_due_slots_keep_the_spacing_between_posts(
    bot_process: BotProcess, rows: Rows, local_x: Sandbox
) -> None:
    worker = start_worker(bot_process)
    assert rows.one("SELECT spacing_seconds AS n FROM plans")["n"] == 10
    rows.execute("UPDATE plans SET spacing_seconds = 4")
    schedule(rows, 0.5, 1)

    eventually(lambda: len(local_x.posts()) == 2, what="two posts")
    eventually(lambda: rows.count("posting_schedule", "status = 'done'") == 2, what="both slots done")
    stop(worker)

    first, second = rows.select("SELECT posted_at FROM tweets ORDER BY posted_at")
    assert second["posted_at"] - first["posted_at"] >= timedelta(seconds=3)
    assert rows.count("decisions", "limit_name = 'spacing' AND verdict = 'wait'") >= 1


def test_what_was_missed_before_the_start_is_not_caught_up(
    bot_process: BotProcess, cli: Cli, rows: Rows, texts: Texts
) -> None:
    cli.json("run-once")
    schedule(rows, -7200, -3600, -1800)

    worker = start_worker(bot_process)
    eventually(lambda: rows.count("posting_schedule", "status = 'expired'") == 3, what="three slots expired")
    stop(worker)

    assert len(texts()) == 1
    assert len(logged(bot_process, worker, "slot_missed")) == 3
    assert rows.count("decisions", "verdict = 'expired'") == 3


def test_start_up_says_what_is_connected_and_whose_account_it_is(bot_process: BotProcess) -> None:
    worker = start_worker(bot_process)
    stop(worker)

    names = [entry["event"] for entry in bot_process.log(worker)]
    assert "database_connected" in names
    assert names.index("database_connected") < names.index("worker_started") < names.index("worker_stopped")
    (ready,) = logged(bot_process, worker, "profile_ready")
    assert (ready["handle"], ready["mode"]) == ("sandbox_bot", "auto")


def test_the_plan_fills_the_coming_days_and_posts_nothing_early(
    bot_process: BotProcess, cli: Cli, rows: Rows, texts: Texts
) -> None:
    worker = start_worker(bot_process, BOT_POSTS_PER_DAY="4", BOT_TIMEZONE="Pacific/Auckland")
    next_slot = cli.json("status")["next_slot"]
    stop(worker)

    planned = rows.select(
        "SELECT due_at, timezone FROM posting_schedule WHERE status = 'planned' ORDER BY due_at"
    )
    assert 8 <= len(planned) <= 12
    assert planned[0]["due_at"] == datetime.fromisoformat(next_slot)
    assert {one["timezone"] for one in planned} == {"Pacific/Auckland"}
    assert all(one["due_at"] > datetime.now(UTC) - timedelta(minutes=1) for one in planned)
    assert texts() == []


def test_pause_holds_a_running_worker_and_resume_lets_it_post(
    bot_process: BotProcess, cli: Cli, rows: Rows, texts: Texts
) -> None:
    worker = start_worker(bot_process)
    cli.json("pause", "--reason", "holidays")
    schedule(rows, 0)

    eventually(lambda: rows.count("decisions", "verdict = 'paused'"), what="a tick that found it paused")
    assert texts() == []
    assert rows.one("SELECT reason FROM decisions WHERE verdict = 'paused'")["reason"] == "holidays"

    cli.json("resume")
    eventually(lambda: len(texts()) == 1, what="the post after resume")
    stop(worker)


@pytest.mark.parametrize(("mode", "status"), [("dry-run", "skipped"), ("review", "planned")])
def test_a_worker_that_may_not_post_sends_nothing(
    bot_process: BotProcess, rows: Rows, texts: Texts, mode: str, status: str
) -> None:
    worker = start_worker(bot_process, BOT_MODE=mode)
    schedule(rows, 0)

    verdict = "verdict = 'dry_run'" if mode == "dry-run" else "reason = 'the draft awaits approval'"
    eventually(lambda: rows.count("decisions", verdict), what="a decision about the slot")
    stop(worker)

    assert texts() == []
    assert rows.one("SELECT status FROM posting_schedule")["status"] == status
    assert rows.count("api_calls", "kind = 'post'") == 0


def test_a_worker_without_room_leaves_the_slot_and_says_why(
    bot_process: BotProcess, rows: Rows, texts: Texts
) -> None:
    worker = start_worker(bot_process)
    rows.execute("SELECT track_twitter_usage(17, 0)")
    schedule(rows, 0)

    eventually(
        lambda: rows.count("decisions", "verdict = 'wait' AND limit_name = 'posts_24h'"), what="a wait"
    )
    stop(worker)

    assert texts() == []


def test_a_worker_that_can_not_read_usage_posts_nothing_and_posts_when_it_can_again(
    bot_process: BotProcess, rows: Rows, texts: Texts
) -> None:
    worker = start_worker(bot_process)
    rows.execute("ALTER TABLE api_usage_tracking RENAME TO api_usage_tracking_gone")
    schedule(rows, 0)

    eventually(
        lambda: [e for e in logged(bot_process, worker, "job_failed") if e["code"] == "usage_unreadable"],
        what="a failed tick",
    )
    assert texts() == []
    assert worker.poll() is None

    rows.execute("ALTER TABLE api_usage_tracking_gone RENAME TO api_usage_tracking")
    eventually(lambda: len(texts()) == 1, what="the post")
    stop(worker)
    assert not logged(bot_process, worker, "job_broke")


@pytest.fixture
def silent_source() -> Iterator[str]:
    """A source that takes questions and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/feed.xml"


def test_a_post_that_is_ready_goes_out_while_a_source_hangs(
    bot_process: BotProcess, rows: Rows, texts: Texts, silent_source: str
) -> None:
    worker = start_worker(bot_process, BOT_SOURCES=silent_source)
    schedule(rows, 0)
    eventually(
        lambda: rows.count("posting_schedule", "writing_by IS NOT NULL"), what="a draft is being written"
    )
    rows.execute(
        "INSERT INTO posting_schedule (profile_id, due_at) SELECT id, now() + interval '1 s' FROM profiles"
    )
    rows.execute(
        "INSERT INTO tweets (profile_id, slot_id, text, fingerprint) SELECT profile_id, id, 'Ready.', 'x' "
        "FROM posting_schedule ORDER BY due_at DESC LIMIT 1"
    )
    rows.execute("UPDATE posting_schedule SET status = 'skipped' WHERE writing_by IS NOT NULL")

    eventually(lambda: texts() == ["Ready."], within=8, what="the post that was ready")

    assert not logged(bot_process, worker, "job_failed")
    stop(worker)


def test_a_due_slot_without_a_draft_is_told_written_and_posted(
    bot_process: BotProcess, rows: Rows, texts: Texts
) -> None:
    worker = start_worker(bot_process)
    schedule(rows, -30)

    eventually(lambda: len(texts()) == 1, within=10, what="the post")
    stop(worker)

    assert rows.one("SELECT status FROM posting_schedule")["status"] == "done"
    assert rows.one("SELECT writing_tries AS n FROM posting_schedule")["n"] == 0


def test_why_tells_of_starts_stops_pauses_and_sources(
    bot_process: BotProcess, cli: Cli, rows: Rows, tmp_path: Path
) -> None:
    notes = tmp_path / "gone.md"
    worker = start_worker(bot_process, BOT_SOURCES=f"{notes},{bot_process.environment['BOT_SOURCES']}")
    schedule(rows, 3600)
    eventually(lambda: rows.count("decisions", "kind = 'source' AND verdict = 'unreadable'"), what="a row")
    notes.write_text(TIDES)
    schedule(rows, 3700)
    eventually(lambda: rows.count("decisions", "kind = 'source' AND verdict = 'readable'"), what="a row")
    schedule(rows, 3800)
    eventually(lambda: rows.count("tweets") == 3, what="three drafts")
    cli.json("pause", "--reason", "holidays")
    cli.json("resume")
    stop(worker)

    told = rows.select("SELECT kind, verdict, reason, numbers FROM decisions ORDER BY at")
    acts = [(row["kind"], row["verdict"]) for row in told if row["kind"] in {"start", "stop", "operator"}]
    assert acts == [
        ("start", "started"),
        ("operator", "paused"),
        ("operator", "resumed"),
        ("stop", "stopped"),
    ]
    assert [row["verdict"] for row in told if row["kind"] == "source"] == ["unreadable", "readable"]
    begun, ended = (next(row["numbers"] for row in told if row["kind"] == kind) for kind in ("start", "stop"))
    assert begun["pid"] == worker.pid
    assert begun["holder"] == ended["holder"]
    assert ended["left"] == []

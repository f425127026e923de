"""`run` with several accounts: one worker for all, and none that waits for another's trouble."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.encryption import new_secret_key
from bot.sandbox import Post, Sandbox, SandboxControl
from tests.end_to_end.conftest import Cli, Rows, logged
from tests.end_to_end.test_commands_accounts import Ada, ada  # noqa: F401 - a fixture
from tests.end_to_end.test_run_worker import start_worker, stop
from tests.support.processes import BotProcess, eventually

SECRET_KEY = new_secret_key()
# Far less than what the other account waits for.
ON_TIME = timedelta(seconds=2)


@pytest.fixture
def program(bot_process: BotProcess) -> BotProcess:
    bot_process.environment = {**bot_process.environment, "BOT_SECRET_KEY": SECRET_KEY}
    return bot_process


@pytest.fixture
def own(program: BotProcess) -> Cli:
    return Cli(program)


def due_at_once(rows: Rows, *, seconds: float) -> datetime:
    """A slot with its draft for every account, all of them at the same moment."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    rows.execute(
        "WITH slots AS (INSERT INTO posting_schedule (profile_id, due_at) SELECT id, :due FROM profiles "
        "RETURNING id, profile_id) INSERT INTO tweets (profile_id, slot_id, text, fingerprint) "
        "SELECT profile_id, id, 'Tides of ' || id, id::text FROM slots",
        due=moment,
    )
    return moment


def everyones_posts(local_x: Sandbox) -> list[Post]:
    """The posts of all accounts that X shows."""
    return list(SandboxControl(local_x.base_url).posts())


def posted(rows: Rows) -> dict[str, datetime]:
    """When each account's post was made, by its handle."""
    found = rows.select(
        "SELECT p.handle, t.posted_at FROM tweets t JOIN profiles p ON p.id = t.profile_id "
        "WHERE t.status = 'posted'"
    )
    return {row["handle"]: row["posted_at"] for row in found}


def test_an_account_that_is_added_while_the_worker_runs_is_posted_for_until_it_is_removed(
    program: BotProcess,
    own: Cli,
    ada: Ada,  # noqa: F811 - the fixture
    rows: Rows,
    local_x: Sandbox,
) -> None:
    worker = start_worker(program)
    own.json("accounts", "add", "--from-env", "--posts-per-day", "0", **ada.variables)
    due_at_once(rows, seconds=1)
    eventually(lambda: set(posted(rows)) == {"ada", local_x.username}, what="a post of each account")
    assert {post.account_id for post in everyones_posts(local_x)} == {ada.x_user_id, local_x.user_id}

    own.json("accounts", "remove", "ada")
    due_at_once(rows, seconds=1)
    eventually(lambda: len(everyones_posts(local_x)) == 3, what="a post of the one that is left")
    stop(worker)
    assert rows.count("posting_schedule", "status = 'planned'") == 1


def test_an_account_whose_keys_no_secret_key_reads_keeps_no_other_waiting(
    program: BotProcess,
    own: Cli,
    ada: Ada,  # noqa: F811 - the fixture
    rows: Rows,
    local_x: Sandbox,
) -> None:
    own.json("accounts", "add", "--from-env", "--posts-per-day", "0", **ada.variables)
    worker = start_worker(program, BOT_SECRET_KEY=new_secret_key())
    due = due_at_once(rows, seconds=2)

    eventually(lambda: rows.count("tweets", "status = 'posted'") == 1, what="the own account's post")
    eventually(
        lambda: rows.count("decisions", "verdict IN ('refused', 'retry')"), what="why there is no other"
    )
    stop(worker)
    assert timedelta(0) <= posted(rows)[local_x.username] - due < ON_TIME
    assert {post.account_id for post in everyones_posts(local_x)} == {local_x.user_id}
    assert logged(program, worker, "keys_unusable")


def test_an_account_whose_call_hangs_keeps_no_other_waiting(
    program: BotProcess,
    own: Cli,
    ada: Ada,  # noqa: F811 - the fixture
    rows: Rows,
    local_x: Sandbox,
) -> None:
    own.json("accounts", "add", "--from-env", "--posts-per-day", "0", **ada.variables)
    worker = start_worker(program, X_TIMEOUT_SECONDS="5")
    local_x.arm("accept_then_hang", endpoint="POST /2/tweets", count=1)
    due = due_at_once(rows, seconds=2)

    eventually(lambda: len(posted(rows)) == 1, what="the other account's post")
    ((_, at),) = posted(rows).items()
    assert timedelta(0) <= at - due < ON_TIME
    eventually(lambda: len(posted(rows)) == 2, what="the post whose answer was lost, or that was sent again")
    stop(worker)
    assert len({post.text for post in everyones_posts(local_x)}) == len(everyones_posts(local_x)) == 2

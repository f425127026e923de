"""`--sandbox`: the whole program with no keys and no database, and never a real row."""

from __future__ import annotations

import json
from dataclasses import replace
from tempfile import TemporaryFile

import pytest

from bot.sandbox import Sandbox
from tests.end_to_end.conftest import NO_KEYS, Cli, Rows, logged, wait_for
from tests.support.processes import eventually

# One PostgreSQL start at a time: they are the dearest thing in this folder.
pytestmark = pytest.mark.xdist_group("embedded")


def test_on_a_bare_machine_the_sandbox_posts_and_remembers_apart_from_the_real_database(bare: Cli) -> None:
    bare = replace(bare, cold=True)
    posted = bare("run-once", "--sandbox")

    assert posted.code == 0, posted.err
    shown = posted.out.splitlines()
    assert shown[0].startswith("posted as @")
    assert any(line.startswith("from ") for line in shown)
    assert any(line.startswith("id ") for line in shown)

    status = bare.json("status", "--sandbox")
    assert status["last_post"]["text"] in " ".join(posted.out.split())
    used = {one["name"]: one["used"] for one in bare.json("usage", "--sandbox")["limits"]}
    assert used["posts_24h"] == 1

    # The same data folder without --sandbox: the real database has heard of nothing.
    real = bare.json("status")
    assert (real["profile"], real["last_post"]) == (None, None)
    assert real["decision"]["used"] == 0


def test_a_second_sandbox_post_is_another_text_on_the_same_local_x(bare: Cli) -> None:
    first = bare.json("run-once", "--sandbox")
    second = bare.json("run-once", "--sandbox")

    assert first["outcome"] == second["outcome"] == "posted"
    assert first["tweet"]["text"] != second["tweet"]["text"]
    assert second["decision"]["used"] == 1


def test_the_sandbox_uses_no_real_key_and_touches_no_real_row(cli: Cli, rows: Rows, local_x: Sandbox) -> None:
    before = {table: rows.count(table) for table in rows.tables}

    answer = cli.json("run-once", "--sandbox", X_API_SECRET="wrong-wrong-wrong")

    assert answer["outcome"] == "posted"
    assert {table: rows.count(table) for table in rows.tables} == before
    assert local_x.calls == {}


def test_the_embedded_database_serves_a_real_run_and_stops_with_it(cli: Cli, local_x: Sandbox) -> None:
    answer = cli.json("run-once", DATABASE_URL=None)

    assert answer["outcome"] == "posted"
    assert len(local_x.posts()) == 1
    assert not (cli.process.folder / "data" / "postgres" / "postmaster.pid").exists()
    assert (
        cli.json("status", DATABASE_URL=None, **NO_KEYS)["last_post"]["x_tweet_id"] == local_x.posts()[0].id
    )


@pytest.mark.long
def test_the_sandboxs_worker_posts_at_once_and_goes_on_also_after_a_restart(bare: Cli) -> None:
    program = bare.process
    first = program.start("run", "--sandbox", "--every", "15")
    wait_for(program, first, "tweet_posted")
    eventually(lambda: len(logged(program, first, "tweet_posted")) > 1, what="a second post")
    first.terminate()
    assert first.wait(timeout=30) == 0, program.said(first)

    again = program.start("run", "--sandbox", "--every", "15")
    wait_for(program, again, "tweet_posted")
    again.terminate()
    assert again.wait(timeout=30) == 0, program.said(again)
    assert not logged(program, again, "slot_missed")


def test_the_sandboxs_worker_prints_one_object_where_that_is_wanted(bare: Cli) -> None:
    with TemporaryFile("w+") as out, TemporaryFile("w+") as log:
        arguments = ("run", "--sandbox", "--every", "15", "--json")
        worker = bare.process.start_on(arguments, {}, out=out, err=log)

        def posted() -> bool:
            log.seek(0)
            return "tweet_posted" in log.read()

        eventually(posted, what="a post")
        worker.terminate()
        assert worker.wait(timeout=30) == 0
        out.seek(0)
        assert json.loads(out.read()) == {"stopped": True}


def test_doctors_mends_are_the_sandboxs_own_in_the_sandbox(bare: Cli) -> None:
    checks = {one["name"]: one for one in bare.json("doctor", "--sandbox")["checks"]}

    assert checks["owns_app"]["fix"].endswith("python -m bot doctor --attest owns_app --sandbox")
    assert checks["automated_label"]["fix"].endswith("doctor --attest automated_label --sandbox")


def test_every_is_for_the_sandbox_and_says_so(cli: Cli) -> None:
    refused = cli("run", "--every", "60")

    assert refused.code == 2
    assert "--every is for the sandbox - add --sandbox" in refused.err
    assert cli("run", "--sandbox", "--every", "1").code == 2

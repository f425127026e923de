"""`accounts`: keys of several X accounts, saved encrypted, tried, rotated and removed; none is shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from dataclasses import dataclass
from uuid import uuid4

import pytest
from sqlalchemy import text

from bot.encryption import new_secret_key
from bot.sandbox import Sandbox, SandboxControl
from bot.x.keys import KEY_NAMES, variable
from tests.end_to_end.conftest import NO_KEYS, Cli, Rows, one_object, said, spilled
from tests.support.processes import Result
from tests.support.supabase import signed_in

SECRET_KEY = new_secret_key()
ACTIONS = ("add", "list", "remove", "test", "rotate", "new-key")


@dataclass(frozen=True)
class Ada:
    """A second account of the app, which knows no environment."""

    keys: dict[str, str]
    x_user_id: str

    @property
    def variables(self) -> dict[str, str]:
        return {variable(name): self.keys[name] for name in KEY_NAMES}

    @property
    def lines(self) -> str:
        return "".join(f"{self.keys[name]}\n" for name in KEY_NAMES)


@pytest.fixture
def ada(local_x: Sandbox) -> Ada:
    account = local_x.add_account("ada")
    tokens = {"access_token": account.access_token, "access_token_secret": account.access_token_secret}
    return Ada(vars(local_x.keys) | tokens, account.user_id)


@pytest.fixture
def cli(cli: Cli) -> Cli:
    cli.process.environment = {**cli.process.environment, "BOT_SECRET_KEY": SECRET_KEY}
    return cli


def piped(cli: Cli, ada: Ada, *arguments: str, given: bytes) -> Result:
    """How a command ends that is given this on standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env=cli.process.full_environment(),
        cwd=cli.process.folder,
        input=given,
        capture_output=True,
        check=False,
        timeout=60,
    )
    result = Result(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())
    shown = result.out + result.err
    assert "Traceback" not in shown, shown
    assert not spilled(shown, [*ada.keys.values(), SECRET_KEY])
    return result


def test_an_account_is_added_listed_tested_posted_for_and_removed(
    cli: Cli, ada: Ada, local_x: Sandbox, rows: Rows
) -> None:
    made = cli.json(
        *("accounts", "add", "--from-env", "--timezone", "Asia/Tokyo", "--mode", "auto"),
        *("--posts-per-day", "2"),
        **ada.variables,
    )
    assert {name: made[name] for name in ("profile", "x_user_id", "mode", "timezone", "posts_per_day")} == {
        "profile": "ada",
        "x_user_id": ada.x_user_id,
        "mode": "auto",
        "timezone": "Asia/Tokyo",
        "posts_per_day": 2,
    }
    assert made["replaced"] is False
    assert rows.count("plans", "status = 'active' AND posts_per_day = 2") == 1

    cli.json("run-once")
    posted = cli.json("run-once", "--profile", "ada")
    assert (posted["outcome"], posted["profile"]) == ("posted", "ada")
    accounts = {post.account_id for post in SandboxControl(local_x.base_url).posts()}
    assert accounts == {local_x.user_id, ada.x_user_id}

    assert [(one["profile"], one["keys"]) for one in cli.json("accounts", "list")["accounts"]] == [
        ("ada", "credentials"),
        (local_x.username, "environment"),
    ]
    tested = cli("accounts", "test")
    assert tested.code == 0
    assert [line.split()[:2] for line in tested.out.splitlines()] == [
        ["ok", "@ada"],
        ["ok", f"@{local_x.username}"],
    ]

    removed = cli("accounts", "remove", "@Ada")
    assert (removed.code, removed.out.count("\n")) == (0, 1)
    assert "@ada: keys deleted" in removed.out
    assert rows.count("credentials") == 0
    assert rows.count("tweets", "status = 'posted'") == 2
    assert cli("run-once", "--profile", "ada").code != 0


def test_a_persons_account_is_added_to_the_profile_that_they_set_up(cli: Cli, ada: Ada, rows: Rows) -> None:
    person = uuid4()
    with signed_in(rows.engine, user=person) as connection:
        wish = "jsonb_build_object('handle', 'ada', 'mode', 'review')"
        connection.execute(text(f"SELECT finalize_onboarding({wish})"))

    cli.json("accounts", "add", "--from-env", "--user", str(person), **ada.variables)

    found = rows.select("SELECT auth_user_id, x_user_id, mode::text FROM profiles")
    assert found == [{"auth_user_id": person, "x_user_id": ada.x_user_id, "mode": "review"}]
    posted = cli.json("run-once", "--profile", "ada", "--text", "mine")
    assert posted["outcome"] == "awaiting_approval"


@pytest.mark.parametrize("has_another", [True, False])
def test_an_account_for_a_person_without_a_free_profile_is_refused(
    cli: Cli, ada: Ada, rows: Rows, has_another: bool
) -> None:
    person = str(uuid4())
    said = f"{person} has no profile that @ada could be for - set it up first"
    if has_another:
        cli.json("run-once")
        cli.json("init", "--user", person)
        said = f"{person} has a profile already, @sandbox_bot"
    refused = cli("accounts", "add", "--from-env", "--user", person, **ada.variables)
    assert (refused.code, said in refused.err) == (2, True)
    assert rows.count("credentials") == 0


def test_nothing_is_written_for_an_account_whose_keys_no_secret_key_reads(
    cli: Cli, ada: Ada, rows: Rows
) -> None:
    piped(cli, ada, "accounts", "add", given=ada.lines.encode())

    refused = cli("run-once", "--profile", "ada", BOT_SECRET_KEY=new_secret_key())

    assert refused.code == 1
    assert "BOT_SECRET_KEY" in refused.out + refused.err
    assert rows.count("tweets") == 0
    assert cli.json("run-once", "--profile", "ada")["outcome"] == "posted"


def test_keys_are_read_from_standard_input_a_line_each(cli: Cli, ada: Ada) -> None:
    added = piped(cli, ada, "accounts", "add", given=ada.lines.encode())
    assert (added.code, added.out) == (0, "@ada: keys saved, encrypted; 4 posts a day in UTC, mode auto\n")

    again = piped(cli, ada, "accounts", "add", "--json", given=ada.lines.encode())
    assert one_object(again)["replaced"] is True


@pytest.mark.parametrize("given", [b"", b"one\ntwo\nthree\n", b"\xff\xfe\n"])
def test_other_than_four_keys_is_one_line_that_says_which_four(
    cli: Cli, ada: Ada, local_x: Sandbox, given: bytes
) -> None:
    refused = piped(cli, ada, "accounts", "add", given=given)

    assert (refused.code, refused.out) == (2, "")
    (line,) = said(refused)
    assert "X_API_KEY, X_API_SECRET, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET" in line
    assert local_x.calls == {}


def test_on_a_terminal_keys_are_asked_for_without_echo(cli: Cli, ada: Ada) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bot", "accounts", "add"],
        env=cli.process.full_environment(LOG_FORMAT="json"),
        cwd=cli.process.folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        shown = b""
        for name in KEY_NAMES:
            shown += until(master, f"{variable(name)}: ".encode())
            os.write(master, f"{ada.keys[name]}\n".encode())
        shown += until(master, b"mode auto")
    os.close(master)

    assert process.returncode == 0
    assert b"@ada: keys saved" in shown
    assert not spilled(shown.decode(), list(ada.keys.values()))


def until(master: int, wanted: bytes) -> bytes:
    """What a terminal shows up to and with these words."""
    shown, end = b"", time.monotonic() + 60
    while wanted not in shown:
        assert time.monotonic() < end, shown
        shown += os.read(master, 4096)
    return shown


def test_keys_that_x_refuses_are_not_saved_and_not_shown(cli: Cli, ada: Ada, rows: Rows) -> None:
    refused = cli("accounts", "add", "--from-env", **ada.variables | {"X_API_SECRET": "wrong-9f8e7d6c"})

    assert (refused.code, refused.out) == (1, "")
    assert "wrong-9f8e7d6c" not in refused.err
    assert rows.count("profiles") == rows.count("credentials") == 0


def test_a_refused_account_is_a_line_of_its_own_and_exit_code_1(cli: Cli, ada: Ada, local_x: Sandbox) -> None:
    cli.json("accounts", "add", "--from-env", **ada.variables)
    cli.json("run-once")

    answer = cli.json_ending(1, "accounts", "test", X_API_SECRET="wrong-9f8e7d6c")

    assert {one["profile"]: one["ok"] for one in answer["accounts"]} == {
        "ada": True,
        local_x.username: False,
    }


def test_without_a_secret_key_only_saved_accounts_fail_their_test(
    cli: Cli, ada: Ada, local_x: Sandbox
) -> None:
    cli.json("accounts", "add", "--from-env", **ada.variables)
    cli.json("run-once")

    answer = cli.json_ending(1, "accounts", "test", BOT_SECRET_KEY=None)

    told = {one["profile"]: (one["ok"], one["detail"]) for one in answer["accounts"]}
    assert told[local_x.username][0]
    assert not told["ada"][0]
    assert "BOT_SECRET_KEY is not set" in told["ada"][1]


@pytest.mark.parametrize("action", ["add", "rotate"])
def test_without_a_secret_key_one_line_says_how_to_make_one(
    cli: Cli, ada: Ada, local_x: Sandbox, action: str
) -> None:
    cli.json("accounts", "add", "--from-env", **ada.variables)
    before = local_x.calls

    how = ("--from-env",) if action == "add" else ()
    refused = cli("accounts", action, *how, BOT_SECRET_KEY=None)

    assert (refused.code, refused.out) == (2, "")
    (line,) = said(refused)
    assert "BOT_SECRET_KEY is not set" in line
    assert "python -m bot accounts new-key" in line
    assert local_x.calls == before


def test_a_malformed_secret_key_is_named_not_shown_and_keeps_no_new_one_from_being_made(bare: Cli) -> None:
    refused = bare("accounts", "list", BOT_SECRET_KEY="hunter2hunter2")
    assert (refused.code, refused.out) == (2, "")
    (line,) = refused.err.splitlines()
    assert "BOT_SECRET_KEY" in line
    assert "python -m bot accounts new-key" in line
    assert "hunter2" not in line

    made = bare("accounts", "new-key", BOT_SECRET_KEY="hunter2hunter2")
    assert (made.code, made.err) == (0, "")
    assert bare("accounts", "list", "--help", BOT_SECRET_KEY=made.out.strip()).code == 0
    assert bare.json("accounts", "new-key")["key"] != made.out.strip()


def test_a_secret_key_is_rotated_by_listing_two(cli: Cli, ada: Ada) -> None:
    cli.json("accounts", "add", "--from-env", **ada.variables)
    new = new_secret_key()

    assert "doesn't list" in cli("accounts", "test", "ada", BOT_SECRET_KEY=new).out
    assert cli.json("accounts", "rotate", BOT_SECRET_KEY=f"{new},{SECRET_KEY}") == {
        "rotated": 1,
        "unreadable": [],
    }
    assert cli("accounts", "test", "ada", BOT_SECRET_KEY=new).code == 0
    lost = cli("accounts", "rotate", BOT_SECRET_KEY=SECRET_KEY)
    assert lost.code == 1
    assert "@ada: no key of BOT_SECRET_KEY reads its keys" in lost.out


def test_without_an_action_help_names_them_all(bare: Cli) -> None:
    shown = bare("accounts")

    assert (shown.code, shown.out) == (2, "")
    assert all(action in shown.err for action in ACTIONS)


@pytest.mark.parametrize(
    "wrong",
    [
        ("remove", "nobody"),
        ("test", "nobody"),
        ("remove",),
        ("add", "--mode", "fast"),
        ("add", "--timezone", "Mars/Olympus"),
        ("add", "--posts-per-day", "101"),
        ("add", "--account", "ada"),
    ],
)
def test_a_wrong_call_ends_with_2_and_changes_nothing(
    cli: Cli, rows: Rows, local_x: Sandbox, wrong: tuple[str, ...]
) -> None:
    refused = cli("accounts", *wrong)

    assert (refused.code, refused.out) == (2, "")
    assert rows.count("profiles") == 0
    assert local_x.calls == {}


def test_without_keys_in_the_environment_a_saved_account_posts(cli: Cli, ada: Ada) -> None:
    cli.json("accounts", "add", "--from-env", **ada.variables)

    assert cli.json("run-once", **NO_KEYS)["profile"] == "ada"


@pytest.mark.parametrize("command", ["run-once", "pause", "resume", "reconcile"])
def test_of_several_saved_accounts_a_command_acts_for_none_that_is_not_named(
    cli: Cli, ada: Ada, local_x: Sandbox, command: str
) -> None:
    cli.json("accounts", "add", "--from-env", **ada.variables)
    carol = local_x.add_account("carol")
    tokens = {"access_token": carol.access_token, "access_token_secret": carol.access_token_secret}
    cli.json("accounts", "add", "--from-env", **Ada(ada.keys | tokens, carol.user_id).variables)

    refused = cli(command, **NO_KEYS)

    assert (refused.code, refused.out) == (2, "")
    (line,) = said(refused)
    assert "several accounts have saved keys: @ada, @carol - say which: --profile HANDLE" in line
    assert local_x.posts() == ()
    assert cli.json(command, "--profile", "carol", **NO_KEYS)["profile"] == "carol"


def test_doctor_says_whether_saved_keys_can_be_read(cli: Cli, ada: Ada) -> None:
    cli.json("accounts", "add", "--from-env", **ada.variables)

    bare = {one["name"]: one for one in cli.json("doctor", **NO_KEYS)["checks"]}
    assert (bare["x_keys"]["status"], bare["saved_keys"]["status"]) == ("ok", "ok")
    assert bare["saved_keys"]["detail"] == "1 saved"

    for secret_key, told in ((new_secret_key(), "reads those of @ada"), (None, "BOT_SECRET_KEY is not set")):
        answer = cli.json_ending(1, "doctor", BOT_SECRET_KEY=secret_key)
        (found,) = [one for one in answer["checks"] if one["name"] == "saved_keys"]
        assert found["status"] == "fail"
        assert told in found["detail"]
        assert found["fix"]


@pytest.mark.xdist_group("embedded")
def test_the_sandboxs_local_x_has_several_accounts_too(bare: Cli) -> None:
    sandboxed = {"BOT_SECRET_KEY": SECRET_KEY}
    first = bare.json("run-once", "--sandbox", **sandboxed)
    added = bare.json("accounts", "add", "--sandbox", "--account", "second", **sandboxed)
    posted = bare.json("run-once", "--sandbox", "--profile", "second", **sandboxed)

    assert (added["profile"], posted["profile"], posted["outcome"]) == ("second", "second", "posted")
    listed = bare.json("accounts", "list", "--sandbox", **sandboxed)["accounts"]
    assert [(one["profile"], one["keys"]) for one in listed] == [
        (first["profile"], "environment"),
        ("second", "credentials"),
    ]

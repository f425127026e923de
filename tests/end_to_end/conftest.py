"""The program under its user's hands: every run is checked for tracebacks and spilled keys."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from bot.sandbox import Sandbox
from bot.store.manager import DatabaseManager
from tests.conftest import is_counted
from tests.support.processes import PATIENCE, BotProcess, Result, eventually

NO_KEYS: dict[str, None] = dict.fromkeys(
    ("X_API_KEY", "X_API_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET")
)

HERE = Path(__file__).parent
# Counting takes as long again as a command. The other files run these files' lines, all but a few.
COUNTED = {
    "test_commands_accounts.py",
    "test_commands_model.py",
    "test_commands_run_once.py",
    "test_commands_sandbox.py",
    "test_commands_settings.py",
    "test_run_accounts.py",
    "test_run_worker.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Counts coverage in some files of this folder."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.name not in COUNTED:
            item.add_marker(pytest.mark.no_cover)


@dataclass(frozen=True)
class Rows:
    """Plain SQL on the test's database, as an operator would type it."""

    engine: Engine

    def select(self, statement: str, **values: object) -> list[dict[str, Any]]:
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def one(self, statement: str, **values: object) -> dict[str, Any]:
        (row,) = self.select(statement, **values)
        return row

    def execute(self, statement: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    @property
    def tables(self) -> list[str]:
        found = self.select("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [row["tablename"] for row in found]

    def count(self, table: str, where: str = "true") -> int:
        return int(self.one(f"SELECT count(*) AS n FROM {table} WHERE {where}")["n"])


@dataclass(frozen=True)
class Cli:
    """Runs commands; none may show a traceback or a key, whatever happens.

    `cold` ones are started in an interpreter of their own, as a shell starts them.
    """

    process: BotProcess
    cold: bool = False

    def __call__(self, *arguments: str, **variables: str | None) -> Result:
        given: dict[str, Any] = variables
        run = self.process.run_cold if self.cold else self.process.run
        result = run(*arguments, **given)
        shown = result.out + result.err
        assert "Traceback" not in shown, shown
        assert not spilled(shown, self.secrets(**variables))
        return result

    def json(self, *arguments: str, **variables: str | None) -> dict[str, Any]:
        """The answer of a command that must print one JSON object and end well."""
        return self.json_ending(0, *arguments, **variables)

    def json_ending(self, code: int, /, *arguments: str, **variables: str | None) -> dict[str, Any]:
        """The answer of a command that must print one JSON object and end with this code."""
        result = self(*arguments, "--json", **variables)
        assert result.code == code, result.out + result.err
        return one_object(result)

    def secrets(self, **variables: str | None) -> list[str]:
        """The keys that the program is given."""
        given = {**self.process.environment, **variables}
        return [
            value for name in (*NO_KEYS, "OPENAI_API_KEY", "BOT_SECRET_KEY") if (value := given.get(name))
        ]


def spilled(shown: str, secrets: list[str]) -> list[str]:
    return [secret for secret in secrets if secret in shown]


def one_object(result: Result) -> dict[str, Any]:
    assert result.out.endswith("\n")
    assert result.out.count("\n") == 1, result.out
    return result.json


def events(result: Result) -> list[str]:
    """The names of what was logged."""
    return [json.loads(line)["event"] for line in result.err.splitlines() if line.startswith("{")]


def said(result: Result) -> list[str]:
    """What stderr says to a person: all of it but the log."""
    return [line for line in result.err.splitlines() if not line.startswith("{")]


@pytest.fixture
def cli(bot_process: BotProcess) -> Cli:
    return Cli(bot_process)


@pytest.fixture
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Cli:
    """A machine on which nothing is set but where data goes."""
    environment = {"BOT_DATA_DIR": str(tmp_path / "data"), "LOG_FORMAT": "json"}
    return Cli(BotProcess(folder=tmp_path, environment=environment, covered=is_counted(request)))


@pytest.fixture
def rows(manager: DatabaseManager) -> Rows:
    return Rows(manager.engine)


@pytest.fixture
def texts(local_x: Sandbox) -> Any:
    """What is live on X now, oldest first."""
    return lambda: [post.text for post in local_x.posts()]


@pytest.fixture
def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a web server that serves the test's notes."""
    handler = partial(_Quiet, directory=str(tmp_path / "notes"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        return


def logged(program: BotProcess, process: Any, event: str) -> list[dict[str, Any]]:
    return [entry for entry in program.log(process) if entry["event"] == event]


def wait_for(program: BotProcess, process: Any, event: str, *, within: float = PATIENCE) -> dict[str, Any]:
    """The first such event in a running command's log; fails at once when the command has ended."""

    def there() -> bool:
        found = bool(logged(program, process, event))
        assert found or process.poll() is None, f"ended before {event}: {program.log(process)}"
        return found

    eventually(there, within=within, what=event)
    return logged(program, process, event)[0]

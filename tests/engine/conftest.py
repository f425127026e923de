"""A fresh world for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from bot.store.manager import DatabaseManager
from tests.engine.world import World
from tests.support.databases import admin, copy_of


@pytest.fixture(scope="session")
def shared(postgres_url: URL, template: str) -> Iterator[DatabaseManager]:
    """One database for all worlds of a test process: to empty it is quicker than to copy another."""
    name = f"worlds_{uuid.uuid4().hex[:12]}"
    admin(postgres_url, copy_of(template, name))
    opened = DatabaseManager(postgres_url.set(database=name))
    yield opened
    opened.close()
    admin(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def world(shared: DatabaseManager) -> World:
    """One profile with an active plan, and nothing planned. Its tables have to stay as they are."""
    return World(shared)


@pytest.fixture
def breakable(manager: DatabaseManager) -> World:
    """A world whose database is the test's own, so that its tables may be broken."""
    return World(manager)

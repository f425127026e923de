"""A fresh world for each test."""

from __future__ import annotations

import pytest

from bot.store.manager import DatabaseManager
from tests.engine.world import World


@pytest.fixture
def world(manager: DatabaseManager) -> World:
    """One profile with an active plan, and nothing planned."""
    return World(manager)

"""Never twice, never lost, over batches: random faults anywhere, in some of several profiles."""

from __future__ import annotations

import pytest

from bot.store.manager import DatabaseManager
from tests.engine.town_schedules import SOMETIMES, play_many

PROFILES = 4
EXAMPLES_A_SHARD = 9
pytestmark = pytest.mark.no_cover


@pytest.mark.long
@pytest.mark.parametrize("shard", range(2))
def test_whatever_breaks_in_some_profiles_each_text_is_live_once_or_not_at_all(
    manager: DatabaseManager, shard: int
) -> None:
    met = play_many(manager, examples=EXAMPLES_A_SHARD, number=shard, profiles=PROFILES)
    assert set(met) >= SOMETIMES, "these schedules never meet what they are for"

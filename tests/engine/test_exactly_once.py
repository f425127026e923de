"""Never twice, never lost: random faults anywhere, drawn from a seed."""

from __future__ import annotations

import pytest

from bot.store.manager import DatabaseManager
from tests.engine.schedules import Scenario, play, play_many

EXAMPLES_A_SHARD = 7
# Counting what is covered would take longer than the schedules do.
pytestmark = pytest.mark.no_cover


@pytest.mark.long
@pytest.mark.parametrize("shard", range(6))
def test_whatever_breaks_each_text_is_posted_once_or_not_at_all_with_a_reason(
    manager: DatabaseManager, shard: int
) -> None:
    play_many(manager, examples=EXAMPLES_A_SHARD, number=shard)


def test_a_post_that_shows_late_is_not_sent_again_where_x_takes_it_twice(manager: DatabaseManager) -> None:
    """The schedules that a resend at the first look gets wrong; few drawn ones come to that point."""
    for visibility in (28, 65):
        play(
            manager,
            Scenario(
                slots=[(20, 1)],
                script=["error_after"],
                reads=[],
                database=[],
                visibility=visibility,
                refuses_duplicates=False,
                jitter=1,
                jump=0,
            ),
        )

"""`run --sandbox` shows what the bot does while somebody watches."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from bot.core.content.drafts import DraftRequest, SourceItem
from bot.core.model import Source
from bot.pace import Endless, paced
from bot.settings import Settings
from bot.writer.offline import OfflineWriter

NOON = datetime(2026, 11, 24, 12, 0, 5, tzinfo=UTC)
SENTENCE = "The moon pulls the near side of the ocean more than the far side, so the water bulges on both."
REQUEST = DraftRequest(
    items=(
        SourceItem(
            source=Source(id="1", kind="note", title="Tides", location="tides.md", url=None), text=SENTENCE
        ),
    )
)


def endless() -> Endless:
    return Endless(OfflineWriter(Random(1)), lambda: NOON)  # noqa: S311 - picks a sentence


def test_what_is_new_is_said_as_it_is() -> None:
    assert endless().write(REQUEST).text == SENTENCE


def test_once_all_was_said_it_is_said_again_with_the_time() -> None:
    used_up = DraftRequest(items=REQUEST.items, avoid=(SENTENCE,))

    assert endless().write(used_up).text == f"Said again at 12:00:05 on 24 Nov: {SENTENCE}"


def test_what_the_guard_has_seen_before_is_said_again_with_the_time() -> None:
    # Its memory is longer than what a request names.
    refused = DraftRequest(items=REQUEST.items, feedback=("this text was posted before",))

    assert endless().write(refused).text.startswith("Said again")


def test_only_a_cap_that_was_set_stops_the_sandbox() -> None:
    assert paced(Settings(_env_file=None)).x_posts_per_24h is None
    assert paced(Settings(_env_file=None, x_posts_per_24h=17)).x_posts_per_24h == 17

"""The live timeline against the tables, both ways."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from bot.core.model import LivePost, Tweet, TweetId
from bot.core.posting.auditing import TOO_YOUNG, Findings, compare
from bot.core.states import TweetStatus
from tests.core.makers import TICK, tweet, utc

NOW = utc("2026-12-30T22:15:00")
TEXT = "The tide turns twice."


def row(number: int, **fields: Any) -> Tweet:
    known: dict[str, Any] = {"x_tweet_id": str(number), "posted_at": NOW - timedelta(days=1)}
    return tweet(TEXT, id=TweetId(UUID(int=number)), status=TweetStatus.POSTED, **{**known, **fields})


def live(number: int, text: str = TEXT, **links: str) -> LivePost:
    shorts = {f"https://t.co/{name}": target for name, target in links.items()}
    return LivePost(x_tweet_id=str(number), text=text, created_at=NOW, links=shorts)


def test_rows_that_x_shows_as_they_are_have_no_findings() -> None:
    assert compare([row(1), row(2)], [live(2), live(1)], complete=True, now=NOW) == Findings()
    assert compare([], [], complete=True, now=NOW) == Findings()


def test_a_row_that_a_complete_read_does_not_show_is_missing() -> None:
    found = compare([row(1), row(2)], [live(2)], complete=True, now=NOW)
    assert found == Findings(missing=(row(1),))
    assert compare([row(1)], [], complete=True, now=NOW).missing == (row(1),)


def test_a_read_that_was_cut_off_says_nothing_of_older_posts() -> None:
    rows = [row(99), row(100), row(101)]
    found = compare(rows, [live(102, "made by hand"), live(100)], complete=False, now=NOW)
    assert found.missing == (rows[2],)
    # Numbers are compared as numbers: 99 is older than 100.
    assert rows[0] not in found.missing


def test_a_read_that_was_cut_off_before_its_first_post_says_nothing_at_all() -> None:
    assert compare([row(1)], [], complete=False, now=NOW) == Findings()


def test_a_post_of_the_last_minutes_may_not_be_shown_yet() -> None:
    young = row(1, posted_at=NOW - TOO_YOUNG)
    old = row(2, posted_at=NOW - TOO_YOUNG - TICK)
    unknown = row(3, posted_at=None)
    assert compare([young, old, unknown], [], complete=True, now=NOW).missing == (old, unknown)


def test_live_posts_that_no_row_holds_are_foreign() -> None:
    found = compare([row(1)], [live(3), live(1), live(2)], complete=True, now=NOW)
    assert found == Findings(foreign=("3", "2"))


def test_a_live_text_that_is_another_is_an_edit() -> None:
    found = compare([row(1)], [live(1, "The tide turns thrice.")], complete=True, now=NOW)
    assert found == Findings(edited=(row(1).id,))


def test_a_picture_that_x_adds_to_a_text_is_no_edit() -> None:
    shown = live(1, f"{TEXT} https://t.co/mmmmmmmmmm", mmmmmmmmmm="")
    assert compare([row(1)], [shown], complete=True, now=NOW) == Findings()


def test_a_row_without_a_number_is_no_part_of_the_comparison() -> None:
    assert compare([row(1, x_tweet_id=None)], [live(2)], complete=True, now=NOW) == Findings(foreign=("2",))

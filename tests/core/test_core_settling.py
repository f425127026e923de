"""What a look at the timeline says about a tweet whose outcome is unknown."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.core.model import LivePost, Timeline
from bot.core.settling import REACH, Absence, covers, is_stale, judge_absence, match, pause_after, read_after
from tests.core.makers import TICK, tweet, utc

NOW = utc("2026-12-30T22:15:00")
DELAY = timedelta(seconds=30)


def live(number: int, text: str, *, at: datetime = NOW, **links: str) -> LivePost:
    shorts = {f"https://t.co/{name}": target for name, target in links.items()}
    return LivePost(x_tweet_id=str(number), text=text, created_at=at, links=shorts)


def absence(**fields: Any) -> Absence:
    return judge_absence(tweet(**fields), now=NOW, delay=DELAY)


def test_the_live_post_with_the_text_is_the_tweet() -> None:
    posts = [live(3, "The moon"), live(2, "The tide turns twice."), live(1, "The tide turns twice!")]
    assert match(tweet("The tide turns twice."), posts) == posts[1]


def test_a_timeline_without_the_text_has_no_match() -> None:
    assert match(tweet(), [live(1, "Another text")]) is None
    assert match(tweet(), []) is None


def test_of_equal_texts_the_newest_by_number_is_the_tweet() -> None:
    posts = [live(number, "The tide turns twice.") for number in (9, 100, 20)]
    assert match(tweet("The tide turns twice."), posts) == posts[1]


def test_of_equal_texts_only_the_one_with_the_same_link_is_the_tweet() -> None:
    sent = tweet("Read https://tides.example.com/why now")
    same = live(5, "Read https://t.co/aaaaaaaaaa now", aaaaaaaaaa="https://tides.example.com/why")
    newer = live(9, "Read https://t.co/bbbbbbbbbb now", bbbbbbbbbb="https://tides.example.com/how")
    assert match(sent, [newer, same]) == same
    assert match(sent, [newer]) is None
    bare = live(9, "Read https://t.co/bbbbbbbbbb now")
    assert match(sent, [bare]) == bare


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=9), -timedelta(days=9)])
def test_by_xs_own_order_a_post_from_before_the_first_intent_is_another_one(ahead: timedelta) -> None:
    sent = tweet("Said before", intent_at=NOW + ahead, first_intent_at=NOW + ahead, after_x_id="99")
    assert match(sent, [live(99, "Said before")]) is None
    assert match(sent, [live(100, "Said before")]) is not None


@pytest.mark.parametrize("reason", [None, "duplicate"])
def test_where_no_post_was_known_one_of_long_ago_is_another_one(reason: str | None) -> None:
    sent = tweet("Said before", intent_at=NOW, first_intent_at=NOW, reason=reason)
    assert match(sent, [live(3, "Said before", at=NOW - REACH - TICK)]) is None
    assert match(sent, [live(3, "Said before", at=NOW - REACH)]) is not None


def test_what_a_duplicate_answer_speaks_of_may_be_older_than_the_intent() -> None:
    sent = tweet("Said before", intent_at=NOW, after_x_id="99", reason="duplicate")
    assert read_after(sent) is None
    assert match(sent, [live(3, "Said before", at=NOW - timedelta(hours=1))]) is not None


def test_a_post_with_a_media_link_and_signs_is_still_found() -> None:
    sent = tweet("Ebb & flow < flood https://tides.example.com/why")
    shown = live(
        7,
        "Ebb & flow < flood https://t.co/aaaaaaaaaa https://t.co/mmmmmmmmmm",
        aaaaaaaaaa="https://tides.example.com/why",
        mmmmmmmmmm="",
    )
    assert match(sent, [shown]) == shown


def cut_off(*moments: datetime | None) -> Timeline:
    posts = tuple(
        LivePost(x_tweet_id=str(number), text="t", created_at=at) for number, at in enumerate(moments)
    )
    return Timeline(posts=posts, complete=False)


def test_a_complete_read_covers_every_intent() -> None:
    empty = Timeline(posts=(), complete=True)
    assert covers(empty, tweet(intent_at=NOW))
    assert covers(empty, tweet(intent_at=None))
    assert covers(empty, tweet(intent_at=NOW, reason="duplicate"))


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=1), -timedelta(days=9)])
def test_a_cut_off_read_covers_an_intent_when_it_shows_a_post_known_before(ahead: timedelta) -> None:
    read = Timeline(posts=(live(12, "t"), live(10, "t")), complete=False)
    assert covers(read, tweet(intent_at=NOW + ahead, after_x_id="10"))
    assert not covers(read, tweet(intent_at=NOW + ahead, after_x_id="9"))
    assert read_after(tweet(after_x_id="9")) == 9
    assert read_after(tweet()) is None


def test_a_cut_off_read_that_reaches_far_back_covers_even_where_the_newest_known_post_is_older() -> None:
    """A person posted hundreds of times since the bot's last post: no read shows that one."""
    sent = tweet(intent_at=NOW, after_x_id="9")
    assert covers(Timeline(posts=(live(12, "t", at=NOW - REACH - TICK),), complete=False), sent)
    assert not covers(Timeline(posts=(live(12, "t", at=NOW - REACH),), complete=False), sent)


@pytest.mark.parametrize(("vain", "pause"), [(0, 30), (1, 60), (4, 480), (7, 3600), (900, 3600)])
def test_a_timeline_that_proves_nothing_is_left_alone_ever_longer(vain: int, pause: int) -> None:
    assert pause_after(tweet(vain_reads=vain), delay=DELAY) == timedelta(seconds=pause)


def test_absence_is_good_for_a_resend_for_two_delays_only() -> None:
    assert not is_stale(tweet(), now=NOW, delay=DELAY)
    assert not is_stale(tweet(resends=1, looked_at=NOW - 2 * DELAY), now=NOW, delay=DELAY)
    assert is_stale(tweet(resends=1, looked_at=NOW - 2 * DELAY - TICK), now=NOW, delay=DELAY)
    assert is_stale(tweet(resends=1, looked_at=NOW + timedelta(hours=1)), now=NOW, delay=DELAY)
    assert is_stale(tweet(resends=1, looked_at=None), now=NOW, delay=DELAY)


def test_where_no_post_was_known_a_cut_off_read_must_reach_far_back() -> None:
    edge = NOW - REACH
    assert covers(cut_off(NOW, edge - TICK), tweet(intent_at=NOW))
    assert covers(cut_off(edge - TICK, None, NOW), tweet(intent_at=NOW))
    assert not covers(cut_off(NOW, edge), tweet(intent_at=NOW))
    assert not covers(cut_off(NOW), tweet(intent_at=NOW))


def test_a_cut_off_read_reaches_further_back_for_what_was_first_tried_or_live_long_before() -> None:
    first = NOW - timedelta(hours=3)
    resent = tweet(intent_at=NOW, first_intent_at=first)
    assert not covers(cut_off(NOW - REACH - TICK), resent)
    assert covers(cut_off(first - REACH - TICK), resent)
    duplicate = tweet(intent_at=NOW, reason="duplicate", after_x_id="0")
    assert not covers(cut_off(NOW - REACH), duplicate)
    assert covers(cut_off(NOW - REACH - TICK), duplicate)


def test_a_cut_off_read_without_times_covers_nothing() -> None:
    long_ago = NOW - timedelta(days=30)
    assert not covers(cut_off(), tweet(intent_at=NOW))
    assert not covers(cut_off(None), tweet(intent_at=NOW))
    assert not covers(cut_off(long_ago), tweet(intent_at=None))


def test_a_look_sooner_than_xs_delay_after_the_intent_does_not_count() -> None:
    assert absence(intent_at=NOW - DELAY + TICK) is Absence.LOOK_AGAIN
    assert absence(intent_at=NOW - DELAY) is Absence.COUNTS


def test_a_look_sooner_than_xs_delay_after_the_last_look_does_not_count() -> None:
    intent = NOW - timedelta(hours=1)
    early = absence(intent_at=intent, looked_at=NOW - DELAY + TICK, absent_reads=1)
    assert early is Absence.LOOK_AGAIN
    assert absence(intent_at=intent, looked_at=NOW - DELAY, absent_reads=1) is Absence.RESEND


def test_a_look_before_the_latest_intent_does_not_shorten_its_delay() -> None:
    fields = {"looked_at": NOW - timedelta(hours=1), "intent_at": NOW - timedelta(seconds=1)}
    assert absence(**fields, absent_reads=1, resends=1) is Absence.LOOK_AGAIN


def test_a_clock_that_jumped_back_counts_no_look() -> None:
    assert absence(intent_at=NOW + timedelta(hours=1), absent_reads=1) is Absence.LOOK_AGAIN


def test_only_the_second_absence_leads_to_a_resend() -> None:
    old = NOW - timedelta(hours=1)
    assert absence(intent_at=old, absent_reads=0) is Absence.COUNTS
    assert absence(intent_at=old, absent_reads=1) is Absence.RESEND


@pytest.mark.parametrize("absent_reads", [1, 2, 5])
def test_a_text_that_stays_absent_after_its_resend_is_given_up(absent_reads: int) -> None:
    old = NOW - timedelta(hours=1)
    assert absence(intent_at=old, absent_reads=0, resends=1) is Absence.COUNTS
    assert absence(intent_at=old, absent_reads=absent_reads, resends=1) is Absence.GIVE_UP


def test_what_x_called_a_duplicate_is_never_resent() -> None:
    old = NOW - timedelta(hours=1)
    assert absence(intent_at=old, absent_reads=0, reason="duplicate") is Absence.COUNTS
    assert absence(intent_at=old, absent_reads=1, reason="duplicate") is Absence.GIVE_UP


def test_any_run_of_looks_resends_at_most_once() -> None:
    looks: dict[str, Any] = {"intent_at": NOW, "looked_at": None, "absent_reads": 0, "resends": 0}
    seen: list[Absence] = []
    for step in range(1, 400):
        now = NOW + timedelta(seconds=7) * step
        verdict = judge_absence(tweet(**looks), now=now, delay=DELAY)
        seen.append(verdict)
        if verdict is Absence.COUNTS:
            looks = {**looks, "looked_at": now, "absent_reads": 1}
        if verdict is Absence.RESEND:
            looks = {"intent_at": now, "looked_at": None, "absent_reads": 0, "resends": 1}
        if verdict is Absence.GIVE_UP:
            break
    counted = [verdict for verdict in seen if verdict is not Absence.LOOK_AGAIN]
    assert counted == [Absence.COUNTS, Absence.RESEND, Absence.COUNTS, Absence.GIVE_UP]

"""What a look at the timeline says about a tweet whose outcome is unknown."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.core.model import KnownPost, LivePost, Timeline
from bot.core.posting.settling import (
    DUPLICATE,
    DUPLICATE_HOLDS_UP,
    DUPLICATE_SOUGHT,
    REACH,
    RESENT_DELAYS,
    UNSEEN,
    Absence,
    covers,
    holds_up,
    is_over,
    is_stale,
    is_unseen,
    judge_absence,
    match,
    pause_after,
)
from bot.core.posting.snowflakes import IN_ORDER, TOLERANCE, is_before, made_at, newest_believed
from tests.core.makers import TICK, tweet, utc

NOW = utc("2026-12-30T22:15:00")
DELAY = timedelta(seconds=30)


def live(number: int, text: str, *, at: datetime = NOW, **links: str) -> LivePost:
    shorts = {f"https://t.co/{name}": target for name, target in links.items()}
    return LivePost(x_tweet_id=str(number), text=text, created_at=at, links=shorts)


def snowflake(moment: datetime) -> int:
    """An id as X makes them, counted by hand."""
    return int(moment.timestamp() * 1000 - 1_288_834_974_657) << 22


def from_x(text: str, *, at: datetime) -> LivePost:
    return live(snowflake(at), text, at=at)


def absence(**fields: Any) -> Absence:
    return judge_absence(tweet(**fields), now=NOW, delay=DELAY)


def test_the_live_post_with_the_text_is_the_tweet() -> None:
    posts = [live(3, "The moon"), live(2, "The tide turns twice."), live(1, "The tide turns twice!")]
    assert match(tweet("The tide turns twice."), posts) == posts[1]


def test_a_text_that_speaks_of_entities_is_found_on_a_server_that_makes_none() -> None:
    """A timeline's texts are unescaped when they are read; such a server sent them as they were."""
    sent = tweet("AT&amp;T is written with &lt;amp&gt;")
    assert match(sent, [live(1, "AT&T is written with <amp>")]) is not None
    assert match(sent, [live(1, "AT+T is written with <amp>")]) is None


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


def test_an_id_says_when_its_post_was_made() -> None:
    assert made_at(str(snowflake(NOW))) == NOW
    assert made_at("0") == utc("2010-11-04T01:42:54.657000")


def known(x_tweet_id: int, *, posted_at: datetime | None = NOW) -> KnownPost:
    return KnownPost(str(x_tweet_id), posted_at)


def test_an_id_is_believed_that_lies_near_the_time_of_its_post() -> None:
    fine = known(snowflake(NOW - timedelta(hours=2)), posted_at=NOW - timedelta(hours=2) + TOLERANCE)
    assert newest_believed([fine]) == fine.x_tweet_id
    off = known(snowflake(NOW), posted_at=NOW + TOLERANCE + timedelta(milliseconds=1))
    odd = [
        known(9_999_999_999_999_999_999),
        known(1),
        known(1000),
        known(snowflake(NOW), posted_at=None),
        off,
    ]
    assert newest_believed(odd) is None
    assert newest_believed([*odd, fine]) == fine.x_tweet_id
    assert newest_believed([]) is None


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=9), -timedelta(days=9)])
def test_by_xs_own_order_a_post_from_before_the_first_intent_is_another_one(ahead: timedelta) -> None:
    after = str(snowflake(NOW))
    sent = tweet("Said before", intent_at=NOW + ahead, first_intent_at=NOW + ahead, after_x_id=after)
    assert match(sent, [from_x("Said before", at=NOW - IN_ORDER - timedelta(milliseconds=1))]) is None
    if ahead <= REACH:
        assert match(sent, [from_x("Said before", at=NOW - IN_ORDER)]) is not None


@pytest.mark.parametrize("x_id", [1, 1000, 9_999_999_999_999_999_999, snowflake(NOW - timedelta(days=90))])
def test_a_post_whose_id_is_odd_is_found_by_its_text_and_time(x_id: int) -> None:
    after = str(snowflake(NOW - timedelta(minutes=1)))
    sent = tweet("Oddly numbered", intent_at=NOW, first_intent_at=NOW, after_x_id=after)
    assert match(sent, [live(x_id, "Oddly numbered", at=NOW)]) is not None
    assert match(sent, [live(x_id, "Oddly numbered", at=NOW - REACH - TICK)]) is None


def test_ids_that_descend_by_little_hide_no_post() -> None:
    """Each lies near its time, and yet the younger post has the smaller id."""
    after = str(snowflake(NOW))
    sent = tweet("Numbered down", intent_at=NOW, first_intent_at=NOW, after_x_id=after)
    assert match(sent, [live(snowflake(NOW) - 1, "Numbered down", at=NOW)]) is not None
    assert not covers(Timeline(posts=(live(snowflake(NOW) - 1, "t", at=NOW),), complete=False), sent)


def test_a_post_is_before_nothing_where_no_other_is_known() -> None:
    assert not is_before(from_x("t", at=NOW), None)


def test_a_post_without_a_time_may_be_the_tweet() -> None:
    sent = tweet("Undated", intent_at=NOW, first_intent_at=NOW)
    undated = LivePost(x_tweet_id="3", text="Undated", created_at=None)
    assert match(sent, [undated]) == undated


@pytest.mark.parametrize("reason", [None, "duplicate"])
def test_where_no_post_was_known_one_of_long_ago_is_another_one(reason: str | None) -> None:
    sent = tweet("Said before", intent_at=NOW, first_intent_at=NOW, reason=reason)
    assert match(sent, [live(3, "Said before", at=NOW - REACH - TICK)]) is None
    assert match(sent, [live(3, "Said before", at=NOW - REACH)]) is not None


@pytest.mark.parametrize("reason", [DUPLICATE, UNSEEN])
def test_what_a_duplicate_answer_speaks_of_may_be_older_than_the_intent(reason: str) -> None:
    sent = tweet("Said before", intent_at=NOW, after_x_id=str(snowflake(NOW)), reason=reason)
    assert match(sent, [from_x("Said before", at=NOW - timedelta(hours=1))]) is not None


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
    sent = tweet(intent_at=NOW + ahead, after_x_id=str(snowflake(NOW)))
    before = from_x("t", at=NOW - IN_ORDER - timedelta(milliseconds=1))
    assert covers(Timeline(posts=(from_x("t", at=NOW), before), complete=False), sent)
    assert not covers(Timeline(posts=(from_x("t", at=NOW),), complete=False), sent)


def test_a_cut_off_read_that_does_not_show_the_newest_first_covers_nothing() -> None:
    sent = tweet(intent_at=NOW, after_x_id=str(snowflake(NOW)))
    before = from_x("t", at=NOW - timedelta(hours=1))
    assert not covers(Timeline(posts=(before, from_x("t", at=NOW)), complete=False), sent)
    assert covers(Timeline(posts=(before, from_x("t", at=NOW))), sent)


def test_a_read_that_is_not_whole_covers_nothing() -> None:
    assert not covers(Timeline(posts=(), whole=False), tweet(intent_at=NOW))
    long_ago = from_x("t", at=NOW - 2 * REACH)
    assert not covers(Timeline(posts=(long_ago,), complete=False, whole=False), tweet(intent_at=NOW))


def test_a_cut_off_read_that_reaches_far_back_covers_even_where_the_newest_known_post_is_older() -> None:
    """A person posted hundreds of times since the bot's last post: no read shows that one."""
    sent = tweet(intent_at=NOW, after_x_id=str(snowflake(NOW - timedelta(days=90))))
    assert covers(Timeline(posts=(from_x("t", at=NOW - REACH - TICK),), complete=False), sent)
    assert not covers(Timeline(posts=(from_x("t", at=NOW - REACH),), complete=False), sent)


@pytest.mark.parametrize(("inconclusive", "pause"), [(0, 30), (1, 60), (4, 480), (7, 3600), (900, 3600)])
def test_a_timeline_that_proves_nothing_is_left_alone_ever_longer(inconclusive: int, pause: int) -> None:
    assert pause_after(tweet(inconclusive_reads=inconclusive), now=NOW, delay=DELAY) == timedelta(
        seconds=pause
    )


def looks(begun: datetime, **fields: Any) -> list[timedelta]:
    """When a text is looked for that no look finds, from its last call on."""
    seen, now = [timedelta(0)], begun
    while True:
        now += pause_after(tweet(intent_at=begun, **fields), now=now, delay=DELAY)
        seen.append(now - begun)
        state = {"looked_at": begun, "absent_reads": 9, **fields}
        if judge_absence(tweet(intent_at=begun, **state), now=now, delay=DELAY) is Absence.GIVE_UP:
            return seen


@pytest.mark.parametrize("reason", [DUPLICATE, UNSEEN])
def test_a_text_that_x_says_is_there_is_looked_for_ever_more_seldom_for_a_day(reason: str) -> None:
    seen = looks(NOW, reason=reason)
    assert seen[-1] == DUPLICATE_SOUGHT == timedelta(days=1)
    assert len(seen) == 14
    assert [one.total_seconds() for one in seen[:5]] == [0, 30, 60, 120, 240]


def test_a_text_that_was_sent_twice_is_looked_for_over_several_delays() -> None:
    assert [one.total_seconds() for one in looks(NOW, resends=1)] == [0, 30, 60, 120, 240, 300]
    over = tweet(intent_at=NOW - timedelta(hours=3), resends=1, inconclusive_reads=5)
    assert pause_after(over, now=NOW, delay=DELAY) == DELAY * 32


@pytest.mark.parametrize(
    ("fields", "sought"),
    [({"reason": DUPLICATE}, timedelta(days=1)), ({"resends": 1}, timedelta(minutes=5))],
)
def test_what_was_looked_for_to_the_end_is_left_alone_as_long_as_any_other(
    fields: dict[str, Any], sought: timedelta
) -> None:
    def pause(age: timedelta) -> timedelta:
        return pause_after(tweet(intent_at=NOW - age, inconclusive_reads=3, **fields), now=NOW, delay=DELAY)

    assert (pause(sought - TICK), pause(sought)) == (DELAY, 8 * DELAY)


def test_a_text_that_x_says_is_there_keeps_others_waiting_for_an_hour() -> None:
    sent = tweet(intent_at=NOW, reason=DUPLICATE)
    assert holds_up(sent)
    assert holds_up(tweet(intent_at=NOW))
    assert not holds_up(tweet(intent_at=NOW, reason=UNSEEN))
    hour = NOW + DUPLICATE_HOLDS_UP
    assert not is_unseen(sent, now=hour - TICK)
    assert is_unseen(sent, now=hour)
    assert not is_unseen(tweet(intent_at=NOW, reason=UNSEEN), now=hour)
    assert not is_unseen(tweet(intent_at=NOW, reason="no_answer"), now=hour)
    assert not is_over(sent, now=NOW + DUPLICATE_SOUGHT - TICK)
    assert is_over(sent, now=NOW + DUPLICATE_SOUGHT)
    assert not is_over(tweet(intent_at=NOW), now=NOW + DUPLICATE_SOUGHT)


def test_absence_is_good_for_a_resend_for_two_delays_only() -> None:
    assert not is_stale(tweet(), now=NOW, delay=DELAY)
    assert not is_stale(tweet(resends=1, looked_at=NOW - 2 * DELAY), now=NOW, delay=DELAY)
    assert is_stale(tweet(resends=1, looked_at=NOW - 2 * DELAY - TICK), now=NOW, delay=DELAY)
    assert is_stale(tweet(resends=1, looked_at=NOW + timedelta(hours=1)), now=NOW, delay=DELAY)
    assert is_stale(tweet(resends=1, looked_at=None), now=NOW, delay=DELAY)


def test_where_no_post_was_known_a_cut_off_read_must_reach_far_back() -> None:
    edge = NOW - REACH
    assert covers(cut_off(NOW, edge - TICK), tweet(intent_at=NOW))
    assert not covers(cut_off(edge - TICK, None, NOW), tweet(intent_at=NOW))
    assert not covers(cut_off(NOW, None, edge - TICK), tweet(intent_at=NOW))
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
def test_a_text_that_stays_absent_long_after_its_resend_is_given_up(absent_reads: int) -> None:
    long_ago = NOW - RESENT_DELAYS * DELAY
    assert absence(intent_at=long_ago, absent_reads=0, resends=1) is Absence.COUNTS
    assert absence(intent_at=long_ago, absent_reads=absent_reads, resends=1) is Absence.GIVE_UP
    assert absence(intent_at=long_ago + TICK, absent_reads=absent_reads, resends=1) is Absence.COUNTS


@pytest.mark.parametrize("reason", [DUPLICATE, UNSEEN])
def test_what_x_called_a_duplicate_is_never_resent(reason: str) -> None:
    hours = NOW - timedelta(hours=23)
    assert absence(intent_at=hours, absent_reads=0, reason=reason) is Absence.COUNTS
    assert absence(intent_at=hours, absent_reads=30, reason=reason) is Absence.COUNTS
    assert absence(intent_at=NOW - timedelta(days=1), absent_reads=1, reason=reason) is Absence.GIVE_UP


def test_any_run_of_looks_resends_at_most_once() -> None:
    state: dict[str, Any] = {"intent_at": NOW, "looked_at": None, "absent_reads": 0, "resends": 0}
    seen: list[Absence] = []
    for step in range(1, 400):
        now = NOW + timedelta(seconds=7) * step
        verdict = judge_absence(tweet(**state), now=now, delay=DELAY)
        seen.append(verdict)
        if verdict is Absence.COUNTS:
            state = {**state, "looked_at": now, "absent_reads": state["absent_reads"] + 1}
        if verdict is Absence.RESEND:
            state = {"intent_at": now, "looked_at": None, "absent_reads": 0, "resends": 1}
        if verdict is Absence.GIVE_UP:
            break
    counted = [verdict for verdict in seen if verdict is not Absence.LOOK_AGAIN]
    assert counted[:2] == [Absence.COUNTS, Absence.RESEND]
    assert set(counted[2:-1]) == {Absence.COUNTS}
    assert counted[-1] is Absence.GIVE_UP

"""Where a rule turns: the last that fits, the first that doesn't, and what has no size at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.content.guard import judge
from bot.core.content.text import fingerprint, links
from bot.core.errors import Retryable
from bot.core.model import LivePost
from bot.core.posting.settling import match, pause_after
from bot.core.rates import RateWindow
from bot.core.spending.forecast import forecast
from bot.core.spending.limits import Allow, Usage, Wait, Wanted, bounded, decide, gauge_limits
from bot.core.spending.usage import Gauge
from bot.core.states import CallKind
from tests.core.makers import SECOND, capped, read, seen, spent, told, tweet, utc

NOW = utc("2026-11-20T12:00:00")
LATER = "2026-11-20T12:10:00"
dollars = st.decimals(min_value=0, max_value=100, places=3, allow_nan=False)


def shown(found: Gauge) -> tuple[object, object, str]:
    return found.used, found.cap, found.window


def gauge(
    name: str, usage: Usage, now: datetime = NOW, wanted: Wanted | None = None, **caps: object
) -> Gauge:
    (found,) = (
        one for one in gauge_limits(usage, capped(**caps), now, wanted or Wanted()) if one.name == name
    )
    return found


# What X's headers say.


@pytest.mark.parametrize(("left", "verdict"), [(0, "wait"), (1, "allow"), (2, "allow")])
def test_the_last_read_of_xs_window_may_be_made(left: int, verdict: str) -> None:
    window = seen(left, LATER, endpoint="GET /2/users/:id/tweets")
    assert decide(Usage(seen=(window,)), capped(), NOW, read(100)).verdict == verdict


@pytest.mark.parametrize(("left", "units", "verdict"), [(2, 2, "allow"), (2, 3, "wait"), (1, 1, "allow")])
def test_a_thread_needs_a_place_of_xs_window_for_each_part(left: int, units: int, verdict: str) -> None:
    usage = Usage(seen=(seen(left, LATER),))
    assert decide(usage, capped(), NOW, Wanted(units=units)).verdict == verdict


@pytest.mark.parametrize(("remaining", "since", "used"), [(40, 0, 60), (40, 5, 65), (3, 5, 100)])
def test_a_window_of_x_shows_what_is_used_of_its_quota(remaining: int, since: int, used: int) -> None:
    found = gauge("x_15m", Usage(seen=(seen(remaining, LATER, used_since=since),)))
    assert shown(found) == (used, 100, "POST /2/tweets, as X counts")
    assert found.resets_at == utc(LATER)


def test_a_window_without_a_quota_shows_what_was_used_since() -> None:
    found = gauge(
        "x_block", Usage(seen=(seen(0, LATER, name="block", limit=None, used_since=4, reason="429"),))
    )
    assert shown(found) == (4, None, "429")
    assert (found.frees_at, found.never) == (utc(LATER), False)


def test_a_window_ends_at_its_reset() -> None:
    closed = Usage(seen=(seen(0, LATER),))
    assert decide(closed, capped(), utc(LATER) - SECOND).verdict == "wait"
    assert decide(closed, capped(), utc(LATER)).verdict == "allow"


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("15m", timedelta(minutes=15)),
        ("keys", timedelta(minutes=15)),
        ("24h_user", timedelta(hours=24)),
        ("block", timedelta(hours=24)),
        ("credits", timedelta(hours=24)),
        ("usage_cap", timedelta(days=10, hours=12)),  # the month's end
    ],
)
def test_no_window_lasts_longer_than_its_name_says_whatever_an_answer_said(
    name: str, longest: timedelta
) -> None:
    def reset(told: datetime) -> timedelta:
        window = RateWindow(name=name, limit=None, remaining=0, resets_at=told)
        return bounded(window, NOW).resets_at - NOW

    assert reset(NOW + timedelta(days=400)) == longest
    assert reset(NOW + longest + SECOND) == longest
    assert reset(NOW + longest - SECOND) == longest - SECOND
    assert reset(NOW - timedelta(days=400)) == -timedelta(hours=24)
    assert reset(NOW - timedelta(hours=23)) == -timedelta(hours=23)


def test_a_window_keeps_what_was_said_of_it_beside_its_reset() -> None:
    window = RateWindow(name="15m", limit=9, remaining=4, resets_at=NOW + timedelta(days=1), reason="429")
    assert bounded(window, NOW) == replace(window, resets_at=NOW + timedelta(minutes=15))


def test_a_window_that_a_clock_ahead_of_ours_has_seen_is_bounded_from_now() -> None:
    ahead = replace(seen(0, "2026-11-20T18:00:00"), seen_at=utc("2026-11-20T17:50:00"))
    assert gauge("x_15m", Usage(seen=(ahead,))).resets_at == NOW + timedelta(minutes=15)


def test_an_open_window_is_told_by_its_figures_whatever_its_name() -> None:
    """X tells a month's cap in its headers, too, while there is still room in it."""
    window = seen(4, LATER, endpoint="*", name="usage_cap", limit=10)
    verdict = decide(Usage(seen=(window,)), capped(), NOW)
    assert (verdict.verdict, verdict.reason) == (
        "allow",
        "x_usage_cap: 6 of 10 used (*, as X counts), room left",
    )


# Gauges: what a person reads.


def test_the_oldest_post_of_a_window_says_when_it_resets() -> None:
    found = gauge("posts_24h", Usage(posts=spent("2026-11-20T11:00:00", "2026-11-20T01:00:00")), posts_24h=3)
    assert shown(found) == (2, 3, "24h")
    assert found.resets_at == utc("2026-11-21T01:00:00")
    assert (found.frees_at, found.never, found.weighed) == (None, False, True)
    assert gauge("posts_24h", Usage(), posts_24h=3).resets_at is None


def test_a_quarter_of_an_hour_is_a_window_of_its_own() -> None:
    usage = Usage(posts=spent("2026-11-20T11:45:00", "2026-11-20T11:45:01"))
    found = gauge("posts_15min", usage, posts_15min=1)
    assert shown(found) == (1, 1, "15min")
    assert found.frees_at == utc("2026-11-20T12:00:01")


@pytest.mark.parametrize(
    ("name", "figures", "usage", "cap"),
    [
        ("posts_month", ("month", 3, "2026-12-01T00:00:00"), Usage(posts_month=3), 10),
        ("reads_month", ("month", 4, "2026-12-01T00:00:00"), Usage(reads_month=4), 10),
        ("tokens_day", ("day", 5, "2026-11-21T00:00:00"), Usage(tokens_day=5), 10),
        ("budget_usd", ("month", 6, "2026-12-01T00:00:00"), Usage(cost_month=Decimal(6)), Decimal(10)),
    ],
)
def test_a_calendar_limit_shows_its_use_and_its_end(
    name: str, figures: tuple[str, int, str], usage: Usage, cap: Any
) -> None:
    found = gauge(name, usage, **{name: cap})
    window, used, resets = figures
    assert shown(found) == (used, 10, window)
    assert (found.remaining, found.resets_at) == (Decimal(10 - used), utc(resets))


@pytest.mark.parametrize(
    ("wanted", "weighed"),
    [
        (Wanted(cost_usd=Decimal(1)), {"posts_15min", "posts_24h", "posts_month", "budget_usd"}),
        (read(1), {"reads_month"}),
        (Wanted(kind=CallKind.MODEL, tokens=9, spaced=False), {"tokens_day"}),
    ],
)
def test_a_call_is_weighed_by_what_it_spends_only(wanted: Wanted, weighed: set[str]) -> None:
    found = gauge_limits(Usage(), capped(), NOW, wanted)
    assert {one.name for one in found if one.weighed} == weighed
    assert len(found) == 6


@pytest.mark.parametrize(
    ("usage", "caps", "wanted"),
    [
        (Usage(posts=spent(NOW, units=3)), {"posts_24h": 2, "posts_15min": 2}, read(1)),
        (Usage(posts_month=3), {"posts_month": 2}, read(1)),
        (Usage(reads_month=3), {"reads_month": 2}, Wanted()),
        (Usage(tokens_day=3), {"tokens_day": 2}, Wanted()),
        (Usage(cost_month=Decimal(3)), {"budget_usd": Decimal(2)}, Wanted()),
    ],
)
def test_a_limit_that_is_exceeded_holds_up_no_call_that_spends_nothing_of_it(
    usage: Usage, caps: dict[str, Any], wanted: Wanted
) -> None:
    assert decide(usage, capped(**caps), NOW, wanted).verdict == "allow"


def test_a_verdict_keeps_every_gauge_it_weighed() -> None:
    for limits in (capped(posts_month=2), capped(posts_month=1)):
        usage = Usage(posts_month=1)
        assert decide(usage, limits, NOW).gauges == gauge_limits(usage, limits, NOW)


def test_a_verdict_may_stand_without_gauges_and_never_prints_them() -> None:
    free = Allow(limit=None, used=None, cap=None, reason="free")
    full = Wait(until=None, limit="paused", used=Decimal(0), cap=None, reason="paused")
    assert (free.gauges, full.gauges) == ((), ())
    assert "gauges" not in f"{free}{full}"


def test_without_spacing_a_last_post_ahead_of_the_clock_holds_nothing_up() -> None:
    usage = Usage(last_post_at=NOW + timedelta(minutes=5))
    assert decide(usage, capped(), NOW).verdict == "allow"


def test_spacing_shows_the_seconds_since_the_last_post() -> None:
    usage = Usage(last_post_at=NOW - timedelta(seconds=100))
    found = gauge("spacing", usage, spacing=timedelta(minutes=30))
    assert shown(found) == (100, 1800, "1800s")
    assert found.resets_at == found.frees_at == NOW + timedelta(seconds=1700)
    ahead = gauge("spacing", Usage(last_post_at=NOW + SECOND), spacing=timedelta(minutes=30))
    assert ahead.used == 0


def test_where_nothing_spaces_or_bounds_posts_nothing_is_shown_of_it() -> None:
    usage = Usage(last_post_at=NOW)
    found = gauge_limits(usage, capped(planned_per_day=4, cost_per_post=Decimal(1)), NOW)
    assert {one.name for one in found} & {"spacing", "budget_pace", "restarts"} == set()


def test_a_pace_shows_the_budget_and_when_the_next_post_may_go() -> None:
    usage = Usage(cost_month=Decimal(5), last_post_at=utc("2026-11-20T00:00:00"))
    found = gauge("budget_pace", usage, budget_usd=Decimal(15), planned_per_day=4, cost_per_post=Decimal(1))
    assert shown(found) == (5, 15, "month")
    assert found.resets_at == utc("2026-12-01T00:00:00")
    assert found.frees_at == utc("2026-11-21T00:00:00")


def test_a_pace_lets_go_at_its_very_moment() -> None:
    usage = Usage(cost_month=Decimal(5), last_post_at=utc("2026-11-20T00:00:00"))
    limits = capped(budget_usd=Decimal(15), planned_per_day=4, cost_per_post=Decimal(1))
    assert decide(usage, limits, utc("2026-11-21T00:00:00")).verdict == "allow"
    assert decide(usage, limits, utc("2026-11-21T00:00:00") - SECOND).limit == "budget_pace"


def test_a_budget_that_pays_for_no_post_of_the_plan_still_pays_for_a_cheaper_one() -> None:
    usage = Usage(cost_month=Decimal("9.9"), last_post_at=NOW - SECOND)
    limits = capped(budget_usd=Decimal(10), planned_per_day=4, cost_per_post=Decimal("0.2"))
    assert decide(usage, limits, NOW, Wanted(cost_usd=Decimal("0.1"))).verdict == "allow"


def test_starts_brake_and_show_how_many_there_were() -> None:
    starts = tuple(NOW - timedelta(minutes=minutes) for minutes in (1, 2, 3, 4, 5, 9))
    found = gauge("restarts", Usage(starts=starts))
    assert shown(found) == (6, 4, "10min")
    assert found.resets_at == NOW + timedelta(minutes=1)
    # Four may remain, so the second-oldest of six has to leave.
    assert found.frees_at == NOW + timedelta(minutes=5)


def test_a_gauge_never_has_less_than_nothing_left() -> None:
    assert Gauge(name="n", used=Decimal(5), cap=Decimal(3), window="w").remaining == 0
    assert Gauge(name="n", used=Decimal(5), cap=None, window="w").remaining is None


def test_what_can_never_fit_says_so_without_a_moment() -> None:
    verdict = decide(Usage(), capped(posts_24h=2), NOW, Wanted(units=3))
    assert isinstance(verdict, Wait)
    assert (verdict.until, verdict.limit) == (None, "posts_24h")
    assert verdict.reason == "posts_24h: 0 of 2 used (24h): never fits under this limit"


def test_a_verdict_says_its_limit_in_plain_figures() -> None:
    full = decide(Usage(posts_month=20), capped(posts_month=20), NOW)
    assert full.reason == "posts_month: 20 of 20 used (month)"
    room = decide(Usage(posts_month=10), capped(posts_month=20), NOW)
    assert isinstance(room, Allow)
    assert told(room) == ("posts_month", 10, 20)
    assert room.reason == "posts_month: 10 of 20 used (month), room left"
    free = decide(Usage(), capped(), NOW)
    assert isinstance(free, Allow)
    assert (told(free), free.until) == ((None, None, None), None)
    assert free.reason == "no limit is set"


def test_the_tightest_limit_is_the_one_with_the_smallest_share_left() -> None:
    limits = capped(posts_month=100, posts_24h=10)
    usage = Usage(posts_month=80, posts=spent("2026-11-20T11:00:00", units=7))
    assert decide(usage, limits, NOW).limit == "posts_month"
    usage = Usage(posts_month=60, posts=spent("2026-11-20T11:00:00", units=7))
    assert decide(usage, limits, NOW).limit == "posts_24h"
    # At the same share, the one with less in it.
    usage = Usage(posts_month=70, posts=spent("2026-11-20T11:00:00", units=7))
    assert decide(usage, limits, NOW).limit == "posts_24h"


@pytest.mark.parametrize("name", ["keys", "credits", "block", "usage_cap"])
def test_a_refusal_of_x_names_resume(name: str) -> None:
    window = seen(0, LATER, endpoint="*", name=name, limit=None, reason="keys_invalid")
    verdict = decide(Usage(seen=(window,)), capped(), NOW)
    assert verdict.reason == f"x_{name}: X refused (keys_invalid); `resume` tries again at once"


def test_of_several_closed_limits_the_one_that_lets_go_last_holds() -> None:
    usage = Usage(posts_month=1, posts=spent("2026-11-20T11:59:00"))
    verdict = decide(usage, capped(posts_month=1, posts_24h=1), NOW)
    assert (verdict.limit, verdict.until) == ("posts_month", utc("2026-12-01T00:00:00"))
    never = decide(usage, capped(posts_month=1, posts_24h=1, posts_15min=0), NOW)
    assert (never.limit, never.until) == ("posts_15min", None)


def test_a_wait_ends_on_a_whole_second_and_not_before_the_limit_does() -> None:
    moment = NOW - timedelta(hours=23, microseconds=1)
    verdict = decide(Usage(posts=spent(moment)), capped(posts_24h=1), NOW)
    assert verdict.until == NOW + timedelta(hours=1)
    exact = decide(Usage(posts=spent(NOW - timedelta(hours=23))), capped(posts_24h=1), NOW)
    assert exact.until == NOW + timedelta(hours=1)


# The month's end.


def test_a_forecast_is_the_plan_for_the_days_that_are_left() -> None:
    found = forecast(
        Usage(cost_month=Decimal(3)), capped(planned_per_day=4, cost_per_post=Decimal("0.5")), NOW
    )
    assert (found.posts_left, found.days_left, found.cost_usd) == (42, 10, Decimal("24.0"))


@given(
    caps=st.fixed_dictionaries(
        {
            "planned_per_day": st.integers(0, 40),
            "cost_per_post": dollars,
            "budget_usd": st.none() | dollars,
            "posts_month": st.none() | st.integers(0, 500),
            "posts_24h": st.none() | st.integers(0, 40),
        }
    ),
    used=dollars,
    seconds=st.integers(0, 30 * 24 * 3600 - 1),
)
def test_a_forecast_never_goes_beyond_the_plan_nor_any_limit(
    caps: dict[str, Any], used: Decimal, seconds: int
) -> None:
    now = utc("2026-11-01T00:00:00") + timedelta(seconds=seconds)
    limits = capped(**caps)
    found = forecast(Usage(cost_month=used, posts_month=7), limits, now)
    left = (utc("2026-12-01T00:00:00") - now) / timedelta(days=1)
    assert 0 <= found.posts_left <= limits.planned_per_day * left
    assert found.cost_usd == used + found.posts_left * limits.cost_per_post
    if limits.posts_month is not None:
        assert found.posts_left <= max(0, limits.posts_month - 7)
    if limits.posts_24h is not None:
        assert found.posts_left <= limits.posts_24h * (left + 1)
    if limits.budget_usd is not None and limits.cost_per_post:
        assert found.cost_usd <= max(limits.budget_usd, used)


def test_posts_that_cost_nothing_have_a_forecast_and_a_verdict() -> None:
    free = capped(planned_per_day=4, budget_usd=Decimal(1))
    usage = Usage(last_post_at=NOW - SECOND)
    assert forecast(usage, free, NOW).posts_left == 42
    assert decide(usage, free, NOW).verdict == "allow"


def test_a_forecast_knows_that_the_last_day_holds_a_days_posts() -> None:
    late = utc("2026-11-30T12:00:00")
    assert forecast(Usage(), capped(planned_per_day=40, posts_24h=4), late).posts_left == 3


# Links and texts.


def live(text: str, **targets: str) -> LivePost:
    shorts = {f"https://t.co/{name}": target for name, target in targets.items()}
    return LivePost(x_tweet_id="9", text=text, created_at=NOW, links=shorts)


@pytest.mark.parametrize(
    "target", ["https://example.org/Tides", "http://EXAMPLE.org/tides/", "https://example.org/tides"]
)
@pytest.mark.parametrize("sent", ["HTTP://example.org/tides", "HTTPS://Example.org/tides/"])
def test_an_address_is_the_same_whatever_its_case_scheme_or_last_stroke(sent: str, target: str) -> None:
    row = tweet(f"Read {sent}", intent_at=NOW)
    assert match(row, [live("Read https://t.co/one", one=target)]) is not None


def test_a_link_whose_target_x_does_not_tell_may_be_any() -> None:
    row = tweet("Read https://example.org/tides", intent_at=NOW)
    assert match(row, [live("Read https://t.co/one")]) is not None
    assert match(row, [live("Read https://t.co/one https://t.co/pic", pic="")]) is not None
    assert match(row, [live("Read https://t.co/one", one="https://example.org/moon")]) is None


def test_a_timeline_in_vain_is_left_alone_twice_as_long_each_time_up_to_an_hour() -> None:
    pauses = [
        pause_after(tweet(inconclusive_reads=vain), now=NOW, delay=timedelta(seconds=30)).total_seconds()
        for vain in (0, 1, 2, 6, 7, 20, 10_000)
    ]
    assert pauses == [30, 60, 120, 1920, 3600, 3600, 3600]


@pytest.mark.parametrize("text", ["\x00", "\x07\x07", "\u200b", "\u2028", "\u00a0\u2003", "\ufeff", "\n \t"])
def test_a_text_that_shows_nothing_is_empty(text: str) -> None:
    found = judge(text)
    assert [problem.rule for problem in found.problems] == ["empty"]
    assert (found.valid, found.weighted_length) == (False, 0)


def test_half_a_character_has_a_fingerprint_of_its_own() -> None:
    assert len({fingerprint("half \ud83c"), fingerprint("half \ud83d"), fingerprint("half ")}) == 3


def test_half_a_character_is_named() -> None:
    assert [problem.rule for problem in judge("half \ud83c").problems] == ["characters"]


@pytest.mark.parametrize(("length", "rules"), [(279, []), (280, []), (281, ["length"])])
def test_a_text_of_two_hundred_and_eighty_fits(length: int, rules: list[str]) -> None:
    found = judge("a" * length)
    assert ([problem.rule for problem in found.problems], found.weighted_length) == (rules, length)
    assert all("281, 1 over 280" in problem.message for problem in found.problems)


@pytest.mark.parametrize("count", [12, 13])
def test_twelve_cashtags_are_named_and_that_there_are_more(count: int) -> None:
    tags = [f"${letter}" for letter in "ABCDEFGHIJKLM"[:count]]
    (problem,) = judge(" ".join(tags)).problems
    more = ", ..." if count > 12 else ""
    assert problem.message == f"{count} cashtags ({', '.join(tags[:12])}{more}): one is allowed"


@pytest.mark.parametrize(("length", "found"), [(1, 1), (40, 1), (41, 0)])
def test_a_short_address_of_x_has_a_name_of_forty_characters_at_most(length: int, found: int) -> None:
    assert len(links(f"see https://t.co/{'a' * length}")) == found


def test_a_service_that_failed_has_served_nothing_until_it_is_said() -> None:
    assert Retryable().served == 0


def test_a_character_that_x_refuses_is_named() -> None:
    assert [problem.rule for problem in judge("a\ufffeb").problems] == ["characters"]

"""What profiles share: the limits of one X app, and those of all together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import SettingError, UsageUnreadable
from bot.core.spending.caps import caps_with_overrides
from bot.core.spending.forecast import forecast
from bot.core.spending.limits import (
    CREATE_POST,
    Allow,
    Limits,
    Scope,
    SharedCaps,
    SharedUsage,
    Spent,
    Usage,
    Wait,
    Wanted,
    decide,
    next_month,
)
from bot.core.spending.tally import Tally
from tests.core.makers import SECOND, capped, read, seen, spent, told, utc

NOON = utc("2026-11-12T12:00:00")
DAY = timedelta(hours=24)
FULL = SharedUsage(posts=spent("2026-11-12T09:00:30", "2026-11-12T08:00:10"), posts_month=40, reads_month=90)


@pytest.mark.parametrize(
    ("limits", "wanted", "limit", "reason", "until"),
    [
        (
            capped(app=SharedCaps(posts_24h=2)),
            Wanted(),
            "app_posts_24h",
            "app_posts_24h: 2 of 2 used (24h, the app's)",
            utc("2026-11-13T08:00:10"),
        ),
        (
            capped(in_all=SharedCaps(posts_24h=2)),
            Wanted(units=2),
            "all_posts_24h",
            "all_posts_24h: 2 of 2 used (24h, in all)",
            utc("2026-11-13T09:00:30"),
        ),
        (
            capped(app=SharedCaps(posts_month=40)),
            Wanted(),
            "app_posts_month",
            "app_posts_month: 40 of 40 used (month, the app's)",
            utc("2026-12-01T00:00:00"),
        ),
        (
            capped(in_all=SharedCaps(reads_month=100)),
            read(11),
            "all_reads_month",
            "all_reads_month: 90 of 100 used (month, in all)",
            utc("2026-12-01T00:00:00"),
        ),
        (
            capped(app=SharedCaps(posts_24h=1)),
            Wanted(units=2),
            "app_posts_24h",
            "app_posts_24h: 2 of 1 used (24h, the app's): never fits under this limit",
            None,
        ),
    ],
)
def test_a_full_limit_names_whose_it_is(
    limits: Limits, wanted: Wanted, limit: str, reason: str, until: datetime | None
) -> None:
    verdict = decide(Usage(app=FULL, in_all=FULL), limits, NOON, wanted)

    assert (verdict.limit, verdict.reason, verdict.until) == (limit, reason, until)


def test_a_profiles_own_budget_binds_beside_that_of_all() -> None:
    usage = Usage(cost_month=Decimal(9), own_cost_month=Decimal(2))
    dear = Wanted(cost_usd=Decimal(1))
    own = decide(usage, capped(budget_usd=Decimal(10), profile_budget_usd=Decimal("2.5")), NOON, dear)
    both = decide(usage, capped(budget_usd=Decimal(10), profile_budget_usd=Decimal(3)), NOON, dear)
    all_of_it = decide(usage, capped(budget_usd=Decimal("9.5"), profile_budget_usd=Decimal(3)), NOON, dear)

    assert told(own) == ("profile_budget_usd", Decimal(2), Decimal("2.5"))
    assert both.verdict == "allow"
    assert all_of_it.reason == "budget_usd: 9 of 9.5 used (month, in all)"


def test_a_profiles_own_budget_is_spread_over_the_month() -> None:
    usage = Usage(own_cost_month=Decimal(1), cost_month=Decimal(1), last_post_at=NOON - SECOND)
    plan = {"planned_per_day": 10, "cost_per_post": Decimal(1)}
    paced = decide(usage, capped(profile_budget_usd=Decimal(4), **plan), NOON, Wanted(cost_usd=Decimal(1)))

    assert told(paced) == ("budget_pace", Decimal(1), Decimal(4))
    assert [gauge.scope for gauge in paced.gauges if gauge.name == "budget_pace"] == [Scope.PROFILE]
    assert forecast(usage, capped(profile_budget_usd=Decimal(4), **plan), NOON).posts_left == 3


@pytest.mark.parametrize(
    "plan", [{"planned_per_day": 0, "cost_per_post": Decimal(1)}, {"planned_per_day": 9}]
)
def test_a_plan_that_posts_nothing_or_costs_nothing_is_not_paced(plan: dict[str, Any]) -> None:
    usage = Usage(own_cost_month=Decimal(1), cost_month=Decimal(1), last_post_at=NOON - SECOND)
    assert decide(usage, capped(profile_budget_usd=Decimal(4), **plan), NOON).verdict == "allow"


def test_a_forecast_posts_no_more_than_all_may() -> None:
    limits = capped(planned_per_day=10, app=SharedCaps(posts_month=45), in_all=SharedCaps(posts_24h=1))
    assert forecast(Usage(app=FULL, in_all=FULL), limits, NOON).posts_left == 5
    assert forecast(Usage(app=FULL, in_all=FULL), replace(limits, app=SharedCaps()), NOON).posts_left == 19


@pytest.mark.parametrize("scope", ["app", "in_all"])
def test_a_limit_whose_use_was_not_read_lets_nothing_pass(scope: str) -> None:
    limits = capped(**{scope: SharedCaps(posts_24h=1_000)})
    with pytest.raises(UsageUnreadable, match="its use was not read"):
        decide(Usage(), limits, NOON)


def test_limits_that_are_not_set_are_not_shown_and_need_no_use() -> None:
    assert not any(gauge.scope is Scope.APP for gauge in decide(Usage(), Limits(), NOON).gauges)
    assert Limits().shared == frozenset()
    both = Limits(app=SharedCaps(posts_24h=1), in_all=SharedCaps(reads_month=0))
    assert both.shared == {Scope.APP, Scope.ALL}


def test_an_operator_sets_each_shared_cap_alone() -> None:
    caps = Limits(app=SharedCaps(posts_24h=5, reads_month=7))
    given = {"app_posts_24h": 9, "app_posts_month": 3, "all_posts_24h": 0, "profile_budget_usd": "1.5"}
    assert caps_with_overrides(caps, given) == Limits(
        app=SharedCaps(posts_24h=9, posts_month=3, reads_month=7),
        in_all=SharedCaps(posts_24h=0),
        profile_budget_usd=Decimal("1.5"),
    )
    assert caps_with_overrides(caps, {"app_posts_24h": None}).app == SharedCaps(reads_month=7)
    for wrong in ({"app_budget_usd": 1}, {"all_posts_24h": "3"}, {"app_posts_24h": -1}, {"app": 3}):
        with pytest.raises(SettingError, match="is not a cap"):
            caps_with_overrides(caps, wrong)


# One profile of each app, and one whose app isn't known: it counts for both.
APPS = {"ada": "one", "eve": "one", "bob": "two", "new": None}
moments = st.integers(0, 3_000).map(lambda minutes: timedelta(minutes=minutes, seconds=minutes % 59))


@dataclass(frozen=True)
class Row:
    """A post as the ledger keeps it."""

    who: str
    at: datetime
    units: int
    cost_usd: Decimal = Decimal("0.015")


def counting(rows: Iterable[Row], app: str | None) -> list[Row]:
    return [row for row in rows if APPS[row.who] in {app, None}]


def used(rows: Iterable[Row], now: datetime) -> SharedUsage:
    """As the store sums it: by the minute, under the last moment of each."""
    minutes: dict[datetime, list[Row]] = defaultdict(list)
    rows = list(rows)
    for row in rows:
        if row.at > now - DAY:
            minutes[row.at.replace(second=0, microsecond=0)].append(row)
    posts = [
        Spent(at=max(one.at for one in some), units=sum(one.units for one in some))
        for some in minutes.values()
    ]
    month = sum(row.units for row in rows if next_month(row.at) == next_month(now))
    return SharedUsage(posts=tuple(sorted(posts, key=lambda one: one.at, reverse=True)), posts_month=month)


def usage_of(who: str, rows: list[Row], now: datetime) -> Usage:
    this_month = [row for row in rows if next_month(row.at) == next_month(now)]
    return Usage(
        app_id=APPS[who],
        app=used(counting(rows, APPS[who]), now),
        in_all=used(rows, now),
        cost_month=sum((row.cost_usd for row in this_month), Decimal(0)),
        own_cost_month=sum((row.cost_usd for row in this_month if row.who == who), Decimal(0)),
    )


def fullest(rows: Iterable[Row]) -> int:
    rows = list(rows)
    return max((sum(o.units for o in rows if row.at <= o.at < row.at + DAY) for row in rows), default=0)


caps = st.none() | st.integers(0, 6)
shared = st.builds(SharedCaps, posts_24h=caps, posts_month=st.none() | st.integers(0, 15))
budgets = st.none() | st.sampled_from([Decimal("0.03"), Decimal("0.06"), Decimal("0.1")])
limits_of_all_kinds = st.builds(
    Limits,
    posts_15min=st.none(),
    posts_24h=st.none(),
    app=shared,
    in_all=shared,
    budget_usd=budgets,
    profile_budget_usd=budgets,
)
wishes = st.lists(
    st.tuples(st.sampled_from(sorted(APPS)), moments, st.integers(1, 3), st.booleans()), max_size=25
)


@given(limits=limits_of_all_kinds, wishes=wishes)
def test_no_order_of_wishes_of_any_profiles_passes_a_limit_and_none_waits_without_need(
    limits: Limits, wishes: list[tuple[str, timedelta, int, bool]]
) -> None:
    rows: list[Row] = []
    tally, now = Tally(), utc("2026-11-29T20:00:00")
    pending: list[Row] = []
    for who, pause, units, together in wishes:
        # Some are weighed in the transaction of those before them, and no row tells of these yet.
        if not together:
            rows, pending, tally = [*rows, *pending], [], Tally()
            now += pause
        wanted = Wanted(units=units, cost_usd=Decimal("0.015"))
        usage = tally.onto(usage_of(who, rows, now), now)
        own = sum((row.cost_usd for row in pending if row.who == who), Decimal(0))
        usage = replace(usage, own_cost_month=usage.own_cost_month + own)
        verdict = decide(usage, limits, now, wanted)
        if isinstance(verdict, Allow):
            pending.append(Row(who, now, units))
            tally = tally.plus(APPS[who], wanted)
        elif verdict.until is not None:
            later = decide(usage_of(who, [*rows, *pending], verdict.until), limits, verdict.until, wanted)
            assert later.verdict == "allow"
            assert fits_nowhere(limits, [*rows, *pending], who, now, units)
    rows += pending

    for app in {app for app in APPS.values() if app is not None}:
        of_app = [row for row in counting(rows, app) if APPS[row.who] == app]
        assert limits.app.posts_24h is None or fullest(of_app) <= limits.app.posts_24h
    assert limits.in_all.posts_24h is None or fullest(rows) <= limits.in_all.posts_24h
    for month in {next_month(row.at) for row in rows}:
        inside = [row for row in rows if next_month(row.at) == month]
        most = limits.in_all.posts_month
        assert most is None or sum(row.units for row in inside) <= most
        assert limits.budget_usd is None or sum(row.cost_usd for row in inside) <= limits.budget_usd
        for who in APPS:
            own = sum((row.cost_usd for row in inside if row.who == who), Decimal(0))
            assert limits.profile_budget_usd is None or own <= limits.profile_budget_usd


def fits_nowhere(limits: Limits, rows: list[Row], who: str, now: datetime, units: int) -> bool:
    """Whether some limit is really in the way, by counting rows one by one."""
    month = [row for row in rows if next_month(row.at) == next_month(now)]
    day = [row for row in rows if row.at > now - DAY]
    for caps, of in ((limits.app, APPS[who]), (limits.in_all, "all")):
        inside = [day, month] if of == "all" else [counting(day, of), counting(month, of)]
        if of is None:
            inside = [[row for row in some if APPS[row.who] is None] for some in (day, month)]
        for cap, some in zip((caps.posts_24h, caps.posts_month), inside, strict=True):
            if cap is not None and sum(row.units for row in some) + units > cap:
                return True
    price = Decimal("0.015")
    own = [row for row in month if row.who == who]
    money = ((limits.budget_usd, month), (limits.profile_budget_usd, own))
    return any(cap is not None and sum(row.cost_usd for row in some) + price > cap for cap, some in money)


def test_what_a_batch_reserves_is_taken_off_xs_window_of_the_same_app() -> None:
    window = replace(seen(2, "2026-11-12T20:00:00", name="24h_app"), scope=Scope.APP)
    usage = Usage(app_id="one", seen=(window,))
    others = Tally().plus("one", Wanted()).plus("two", Wanted()).plus("two", Wanted())
    assert decide(others.onto(usage, NOON), capped(), NOON).verdict == "allow"

    full = decide(others.plus("one", Wanted()).onto(usage, NOON), capped(), NOON)
    assert isinstance(full, Wait)
    assert full.reason == f"x_24h_app: 100 of 100 used ({CREATE_POST}, as X counts, the app's)"


def test_what_a_batch_reserves_leaves_other_windows_as_they_were() -> None:
    own = seen(2, "2026-11-12T20:00:00", name="24h_user")
    reads = replace(seen(2, "2026-11-12T20:00:00", endpoint="GET /2/users/me"), scope=Scope.APP)
    usage = Usage(app_id="one", seen=(own, reads))
    assert Tally().plus("one", Wanted()).onto(usage, NOON).seen == (own, reads)


@pytest.mark.parametrize("name", ["posts_15min", "posts_24h", "posts_month", "reads_month", "tokens_day"])
def test_an_operator_sets_each_cap_of_a_profile_by_its_name(name: str) -> None:
    assert caps_with_overrides(Limits(), {name: 3}) == Limits(**{name: 3})  # type: ignore[arg-type]  # each is a count
    assert getattr(caps_with_overrides(Limits(), {name: None}), name) is None

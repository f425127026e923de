"""What the ledger says was used: sums of rows that count, and whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from bot.core.errors import ForbiddenTransition
from bot.core.model import CallId, Profile
from bot.core.spending.limits import Limits, Spent, Usage, decide
from bot.core.states import CALL_TRANSITIONS, CallKind, CallState
from bot.store.manager import DatabaseManager
from tests.store.rows import DAY, HOUR, NOW, a_call, a_tweet, usage_of

SECOND = timedelta(seconds=1)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)


def test_an_untouched_ledger_says_nothing_was_used(manager: DatabaseManager, profile: Profile) -> None:
    assert usage_of(manager, profile) == Usage()


@pytest.mark.parametrize("state", CallState)
def test_only_a_released_call_does_not_count(
    manager: DatabaseManager, profile: Profile, state: CallState
) -> None:
    at = NOW - HOUR
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=at, units=2, tokens=7, state=state))
        tx.ledger.reserve(a_call(profile.id, at=at, units=5, kind=CallKind.READ, state=state))
    usage = usage_of(manager, profile)

    if state is CallState.RELEASED:
        assert usage == Usage()
        return
    assert usage.posts == (Spent(at=at, units=2),)
    assert (usage.posts_month, usage.reads_month, usage.tokens_day) == (2, 5, 7)
    assert usage.cost_month == Decimal("0.030")
    assert usage.last_post_at == at


def test_a_profile_is_charged_for_its_own_and_nobodys_calls_but_not_for_its_neighbours(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        for owner, units in ((profile.id, 1), (neighbour.id, 10), (None, 100)):
            tx.ledger.reserve(a_call(owner, units=units, at=NOW - units * SECOND))
            tx.ledger.reserve(a_call(owner, units=units, kind=CallKind.READ))

    mine, theirs, nobodys = (usage_of(manager, one) for one in (profile, neighbour, None))

    assert [(one.posts_month, one.reads_month) for one in (mine, theirs, nobodys)] == [
        (101, 101),
        (110, 110),
        (100, 100),
    ]
    assert [spent.units for spent in mine.posts] == [1, 100]
    assert {one.cost_month for one in (mine, theirs, nobodys)} == {6 * Decimal("0.015")}


def test_what_another_profile_or_nobody_posted_does_not_space_this_one(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=NOW - 2 * HOUR))
        tx.ledger.reserve(a_call(neighbour.id, at=NOW - HOUR))
        tx.ledger.reserve(a_call(None, at=NOW - HOUR))

    assert usage_of(manager, profile).last_post_at == NOW - 2 * HOUR
    assert usage_of(manager, None).last_post_at is None


def test_a_deleted_profiles_calls_stay_on_everybodys_account(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=NOW - HOUR))
        tx.connection.execute(text("DELETE FROM profiles WHERE id = :id"), {"id": profile.id})

    assert usage_of(manager, neighbour).posts == (Spent(at=NOW - HOUR),)


def test_a_post_leaves_the_day_after_exactly_24_hours(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=NOW - DAY))
        tx.ledger.reserve(a_call(profile.id, at=NOW - DAY + timedelta(microseconds=1)))

    assert [one.at for one in usage_of(manager, profile).posts] == [NOW - DAY + timedelta(microseconds=1)]


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        (MONTH - timedelta(microseconds=1), False),
        (MONTH, True),
        (MONTH + timedelta(microseconds=1), True),
        (NOW, True),
    ],
)
def test_the_month_begins_with_its_first_moment_in_every_figure(
    manager: DatabaseManager, profile: Profile, at: datetime, counts: bool
) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=at))
        tx.ledger.reserve(a_call(profile.id, at=at, kind=CallKind.READ, units=3))
    usage = usage_of(manager, profile)

    assert usage.cost_month == (Decimal("0.030") if counts else 0)
    assert (usage.posts_month, usage.reads_month) == ((1, 3) if counts else (0, 0))


def test_tokens_count_from_midnight(manager: DatabaseManager, profile: Profile) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    with manager.transaction() as tx:
        for at, tokens in ((midnight - SECOND, 1000), (midnight, 10), (NOW, 1)):
            tx.ledger.reserve(a_call(profile.id, api="openai", kind=CallKind.MODEL, at=at, tokens=tokens))

    usage = usage_of(manager, profile)
    assert usage.tokens_day == 11
    assert usage.posts_month == 0


MANY = 10_005


def add_posts(manager: DatabaseManager, profile: Profile | None, *, many: int, every: str) -> None:
    with manager.transaction() as tx:
        tx.connection.execute(
            text(
                "INSERT INTO api_calls (profile_id, api, kind, endpoint, units, cost_usd, at) "
                "SELECT :profile, 'twitter', 'post', 'e', 1, 0, "
                "CAST(:now AS timestamptz) - n * CAST(:every AS interval) FROM generate_series(1, :many) AS n"
            ),
            {"profile": profile.id if profile else None, "now": NOW, "many": many, "every": every},
        )


def test_all_posts_of_a_day_count_newest_first(manager: DatabaseManager, profile: Profile) -> None:
    add_posts(manager, profile, many=MANY, every="1 s")
    usage = usage_of(manager, profile)

    assert [one.at for one in usage.posts] == [NOW - n * SECOND for n in range(1, MANY + 1)]
    assert usage.posts_month == MANY


def test_ten_thousand_later_updates_of_the_daily_row_push_no_post_out(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=NOW - HOUR))
        tx.ledger.reserve(a_call(None, at=NOW - HOUR, units=0, cost_usd=Decimal("0.01")))
    add_posts(manager, None, many=MANY, every="10 ms")
    usage = usage_of(manager, profile)

    assert sum(one.units for one in usage.posts) == MANY + 1
    assert usage.posts[-1] == Spent(at=NOW - HOUR)
    assert len(usage.posts) < 110


def test_rows_without_units_are_no_posts(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=NOW - HOUR, units=0))
    usage = usage_of(manager, profile)

    assert (usage.posts, usage.last_post_at) == ((), None)


@given(
    rows=st.lists(st.tuples(st.integers(-86_400_000, 0), st.integers(0, 3)), min_size=1, max_size=8),
    cap=st.integers(1, 6),
    late=st.integers(0, 999_999),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_posts_summed_by_the_second_free_the_day_to_the_second_as_single_ones_do(
    manager: DatabaseManager, rows: list[tuple[int, int]], cap: int, late: int
) -> None:
    now, limits = NOW + timedelta(microseconds=late), Limits(posts_24h=cap, posts_15min=None)
    spent = [Spent(at=NOW + timedelta(milliseconds=at), units=units) for at, units in rows]
    with manager.transaction() as tx:
        tx.connection.execute(text("DELETE FROM api_calls"))
        for one in spent:
            tx.ledger.reserve(a_call(None, at=one.at, units=one.units))
        summed = tx.ledger.usage(None, now=now).posts

    single = tuple(one for one in spent if one.units and one.at > now - DAY)
    exact, found = (decide(Usage(posts=posts), limits, now) for posts in (single, summed))
    assert (found.verdict, found.until, found.used) == (exact.verdict, exact.until, exact.used)


def test_a_correction_at_settling_counts_instead_of_the_estimate(
    manager: DatabaseManager, profile: Profile
) -> None:
    call = a_call(profile.id, kind=CallKind.READ, units=100, cost_usd=Decimal("0.500000"), tokens=5)
    with manager.transaction() as tx:
        tx.ledger.reserve(call)
    with manager.transaction() as tx:
        tx.ledger.change(call.id, CallState.SETTLED, units=3, cost_usd=Decimal("0.015001"), tokens=0)

    usage = usage_of(manager, profile)
    assert (usage.reads_month, usage.cost_month, usage.tokens_day) == (3, Decimal("0.015001"), 0)


@pytest.mark.parametrize("current", CallState)
@pytest.mark.parametrize("wanted", CallState)
def test_a_call_changes_only_along_the_diagram(
    standing: DatabaseManager, current: CallState, wanted: CallState
) -> None:
    call = a_call(None, state=current)
    with standing.transaction() as tx:
        tx.ledger.reserve(call)
        if wanted in CALL_TRANSITIONS[current]:
            tx.ledger.change(call.id, wanted)
        else:
            with pytest.raises(ForbiddenTransition):
                tx.ledger.change(call.id, wanted)
            wanted = current
        state = tx.connection.scalar(
            text("SELECT state::text FROM api_calls WHERE id = :id"), {"id": call.id}
        )

    assert state == wanted


def test_a_call_that_is_not_there_cannot_change(standing: DatabaseManager) -> None:
    with pytest.raises(LookupError, match="is gone"), standing.transaction() as tx:
        tx.ledger.change(CallId(uuid4()), CallState.SETTLED)


def test_a_tweets_open_calls_come_newest_first(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tweet, other = (tx.tweets.add(a_tweet(profile.id)) for _ in range(2))
        calls = [
            tx.ledger.reserve(a_call(profile.id, tweet_id=tweet.id, at=NOW + n * SECOND, state=state))
            for n, state in enumerate(CallState)
        ]
        tx.ledger.reserve(a_call(profile.id, tweet_id=other.id))
        found = tx.ledger.of_tweet(tweet.id)

    opened = [call for call in calls if call.state in {CallState.RESERVED, CallState.UNKNOWN}]
    assert found == opened[::-1]


def test_an_orphan_is_an_old_reservation_without_a_tweet(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tweet = tx.tweets.add(a_tweet(profile.id))
        orphan = tx.ledger.reserve(a_call(profile.id, at=NOW - SECOND, kind=CallKind.READ))
        for other in (
            a_call(profile.id, at=NOW),
            a_call(profile.id, at=NOW - HOUR, tweet_id=tweet.id),
            a_call(profile.id, at=NOW - HOUR, state=CallState.SETTLED),
            a_call(profile.id, at=NOW - HOUR, state=CallState.UNKNOWN),
            a_call(neighbour.id, at=NOW - HOUR),
        ):
            tx.ledger.reserve(other)

        assert tx.ledger.orphans(profile.id, before=NOW) == [orphan]

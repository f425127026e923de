"""What X's own headers and refusals last said is kept, and calls since are taken off it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bot.core.model import Call, Profile
from bot.core.spending.limits import CREATE_POST, EVERY_ENDPOINT, Limits, decide
from bot.core.states import CallKind, CallState
from bot.store.manager import DatabaseManager
from tests.store.rows import DAY, HOUR, NOW, a_call, a_window, usage_of

TIMELINE = "GET /2/users/:id/tweets"
SECOND = timedelta(seconds=1)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)


def test_xs_windows_are_kept_and_the_newest_word_counts(manager: DatabaseManager, profile: Profile) -> None:
    day, quarter = a_window(remaining=90), a_window("15m", limit=None, resets_at=NOW + timedelta(minutes=9))
    newer = a_window(remaining=80, resets_at=NOW + 22 * HOUR)
    with manager.transaction() as tx:
        tx.rates.saw(profile.id, CREATE_POST, [day, quarter], now=NOW - SECOND)
        tx.rates.saw(profile.id, CREATE_POST, [newer], now=NOW)
        seen = tx.ledger.usage(profile.id, now=NOW).seen

    assert {one.window.name: one.window for one in seen} == {"24h_user": newer, "15m": quarter}
    assert {one.window.name: one.seen_at for one in seen} == {"24h_user": NOW, "15m": NOW - SECOND}
    assert {one.endpoint for one in seen} == {CREATE_POST}


def test_a_window_is_forgotten_at_its_reset(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.rates.saw(profile.id, CREATE_POST, [a_window(resets_at=NOW)], now=NOW - HOUR)

    assert len(usage_of(manager, profile, NOW - SECOND).seen) == 1
    assert usage_of(manager, profile, NOW).seen == ()


def test_xs_windows_belong_to_one_profile(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.rates.saw(profile.id, CREATE_POST, [a_window()], now=NOW)

    assert usage_of(manager, neighbour).seen == ()
    assert usage_of(manager, None).seen == ()


def test_what_is_under_way_since_x_last_spoke_is_taken_off_its_window(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.rates.saw(profile.id, CREATE_POST, [a_window()], now=NOW)
        for call in (
            a_call(profile.id, at=NOW + SECOND, units=2),
            a_call(profile.id, at=NOW + SECOND, units=4, state=CallState.UNKNOWN),
            a_call(profile.id, at=NOW + SECOND, units=8, state=CallState.SETTLED),
            a_call(profile.id, at=NOW + SECOND, units=16, state=CallState.RELEASED),
            a_call(profile.id, at=NOW, units=32),
            a_call(neighbour.id, at=NOW + SECOND, units=64),
            a_call(profile.id, at=NOW + SECOND, units=128, endpoint="GET /2/users/me", kind=CallKind.READ),
        ):
            tx.ledger.reserve(call)
        (seen,) = tx.ledger.usage(profile.id, now=NOW + 2 * SECOND).seen

    # X's windows count requests, whatever a request is worth elsewhere.
    assert seen.used_since == 2


def older(profile: Profile) -> Call:
    """A row that shows that the ledger was kept before any window of these tests began."""
    return a_call(profile.id, at=NOW - 3 * DAY, state=CallState.SETTLED)


def test_drift_is_what_x_counts_beyond_the_ledger(manager: DatabaseManager, profile: Profile) -> None:
    resets_at = NOW + HOUR
    with manager.transaction() as tx:
        tx.ledger.reserve(older(profile))
        for n in range(3):
            at = resets_at - DAY + (1 + n) * SECOND
            tx.ledger.reserve(a_call(profile.id, at=at, state=CallState.SETTLED))
        tx.ledger.reserve(a_call(profile.id, at=resets_at - DAY - 2 * SECOND, units=50))
        none = tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=97, resets_at=resets_at)], now=NOW)
        fewer = tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=99, resets_at=resets_at)], now=NOW)
        more = tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=90, resets_at=resets_at)], now=NOW)
        (seen,) = tx.ledger.usage(profile.id, now=NOW).seen

    assert (dict(none), dict(fewer), dict(more)) == ({}, {}, {"24h_user": 7})
    assert seen.drift == 7


def test_our_own_refused_calls_that_x_counted_are_no_drift(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(older(profile))
        for state in (CallState.RELEASED, CallState.RELEASED, CallState.UNKNOWN, CallState.SETTLED):
            tx.ledger.reserve(a_call(profile.id, at=NOW - HOUR, state=state))
        four = tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=96)], now=NOW)
        five = tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=95)], now=NOW)

    assert (dict(four), dict(five)) == ({}, {"24h_user": 1})


@pytest.mark.parametrize(("units", "requests"), [(0, 1), (40, 1), (250, 3)])
def test_a_window_of_reads_counts_requests_and_no_posts(
    manager: DatabaseManager, profile: Profile, units: int, requests: int
) -> None:
    window = a_window("15m", limit=900, remaining=900 - requests, resets_at=NOW + timedelta(minutes=15))
    more = a_window("15m", limit=900, remaining=898 - requests, resets_at=NOW + timedelta(minutes=15))
    with manager.transaction() as tx:
        tx.ledger.reserve(older(profile))
        tx.ledger.reserve(
            a_call(
                profile.id,
                at=NOW,
                kind=CallKind.READ,
                endpoint=TIMELINE,
                units=units,
                state=CallState.SETTLED,
            )
        )
        tx.ledger.reserve(a_call(profile.id, at=NOW))
        tx.ledger.reserve(a_call(profile.id, at=NOW, kind=CallKind.READ, endpoint="GET /2/users/me"))
        none = tx.rates.saw(profile.id, TIMELINE, [window], now=NOW)
        two = tx.rates.saw(profile.id, TIMELINE, [more], now=NOW)

    assert (dict(none), dict(two)) == ({}, {"15m": 2})


def test_of_what_was_before_the_first_row_no_drift_is_known(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=NOW - HOUR, state=CallState.SETTLED))

        assert not tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=90)], now=NOW)


def test_an_apps_window_counts_whoever_uses_the_app(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(older(profile))

        assert not tx.rates.saw(profile.id, CREATE_POST, [a_window("24h_app", remaining=9)], now=NOW)


def test_drift_that_was_recorded_is_not_asked_for_again(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.ledger.reserve(older(profile))
        tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=90)], now=NOW)
    with manager.transaction() as tx:
        tx.connection.execute(text("SELECT track_twitter_usage(4, 90, :now)"), {"now": NOW})
    (some,) = usage_of(manager, profile).seen
    with manager.transaction() as tx:
        tx.connection.execute(text("SELECT track_twitter_usage(6, 0, :now)"), {"now": NOW})
    (none,) = usage_of(manager, profile).seen

    assert (some.drift, none.drift) == (6, 0)


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("15m", timedelta(minutes=15)),
        ("24h_app", DAY),
        ("24h_user", DAY),
        ("block", DAY),
        ("credits", DAY),
        ("keys", timedelta(minutes=15)),
        ("usage_cap", datetime(2026, 12, 1, tzinfo=UTC) - NOW),
    ],
)
@pytest.mark.parametrize("kept", ["by this version", "before"])
def test_no_window_closes_longer_than_its_own_length(
    manager: DatabaseManager, profile: Profile, name: str, longest: timedelta, kept: str
) -> None:
    """X said 99999999999, which is in the year 5138."""
    window = a_window(name, limit=None, remaining=0, resets_at=datetime.fromtimestamp(99_999_999_999, UTC))
    with manager.transaction() as tx:
        tx.rates.saw(profile.id, CREATE_POST, [window], now=NOW)
        if kept == "before":
            tx.connection.execute(text("UPDATE rate_windows SET resets_at = '2199-12-31+00'"))
    verdict = decide(usage_of(manager, profile), Limits(), NOW)
    opened = decide(usage_of(manager, profile, NOW + longest), Limits(), NOW + longest)

    assert (verdict.limit, verdict.until) == (f"x_{name}", NOW + longest)
    assert opened.verdict == "allow"


def test_a_window_without_a_length_or_a_quota_has_no_drift(
    manager: DatabaseManager, profile: Profile
) -> None:
    windows = [a_window("usage_cap", remaining=0), a_window("24h_app", limit=None)]
    with manager.transaction() as tx:
        assert not tx.rates.saw(profile.id, CREATE_POST, windows, now=NOW)


def test_resume_lifts_every_closed_window_of_every_endpoint(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    shut = {"remaining": 0, "limit": None}
    with manager.transaction() as tx:
        for one in (profile, neighbour):
            blocks = [a_window(name, **shut) for name in ("credits", "keys", "usage_cap", "block")]
            tx.rates.saw(one.id, EVERY_ENDPOINT, blocks, now=NOW)
            tx.rates.saw(one.id, CREATE_POST, [a_window("24h_user", **shut)], now=NOW)
            tx.rates.saw(one.id, TIMELINE, [a_window("15m", **shut)], now=NOW)
            tx.rates.saw(one.id, "GET /2/tweets", [a_window("15m", remaining=1)], now=NOW)
            tx.rates.saw(one.id, CREATE_POST, [a_window("24h_app", remaining=1)], now=NOW)
            tx.ledger.reserve(a_call(one.id, at=NOW + SECOND))
        lifted = tx.rates.lift_blocks(profile.id)

    # One call is under way: of the app's window nothing is left either.
    assert lifted == 7
    assert {one.endpoint for one in usage_of(manager, profile).seen} == {"GET /2/tweets"}
    assert len(usage_of(manager, neighbour).seen) == 8


def test_the_ledgers_lock_lets_one_transaction_weigh_at_a_time(manager: DatabaseManager) -> None:
    taken = text(
        "SELECT pg_try_advisory_xact_lock(objid::bigint + (classid::bigint << 32)) FROM pg_locks "
        "WHERE locktype = 'advisory' AND granted AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with manager.transaction() as one:
        one.ledger.lock()
        with manager.transaction() as other:
            assert other.connection.scalars(taken).all() == [False]
    with manager.transaction() as after:
        assert after.connection.scalars(taken).all() == []
        after.ledger.lock()


def test_a_call_whose_answer_nobody_heard_is_taken_off_what_was_left_before_it(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    left = {"24h_user": 5, "24h_app": 0, "15m": 9}
    windows = [a_window(name, remaining=remaining) for name, remaining in left.items()]
    call = a_call(profile.id, at=NOW + SECOND)
    with manager.transaction() as tx:
        for owner in (profile.id, neighbour.id):
            tx.rates.saw(owner, CREATE_POST, windows[:2], now=NOW)
            tx.rates.saw(owner, CREATE_POST, windows[2:], now=NOW + 2 * SECOND)
        tx.rates.count_unheard(call)
        ours = tx.ledger.usage(profile.id, now=NOW).seen
        theirs = tx.ledger.usage(neighbour.id, now=NOW).seen

    # What X said after the call has counted it already.
    assert {one.window.name: one.window.remaining for one in ours} == {**left, "24h_user": 4}
    assert {one.window.name: one.window.remaining for one in theirs} == left


@pytest.mark.parametrize("name", ["15m", "24h_user", "rate", "usage_cap"])
def test_a_reset_of_long_ago_is_over_and_kept_as_such(
    manager: DatabaseManager, profile: Profile, name: str
) -> None:
    """X, or something on the way to it, said 0, which is in the year 1970."""
    window = a_window(name, limit=100, remaining=0, resets_at=datetime.fromtimestamp(0, UTC))
    with manager.transaction() as tx:
        assert tx.rates.saw(profile.id, CREATE_POST, [window], now=NOW) == {}

    assert usage_of(manager, profile).seen == ()

"""What X's own headers and refusals last said is kept, and calls since are taken off it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from bot.core.limits import CREATE_POST, EVERY_ENDPOINT
from bot.core.model import Profile
from bot.core.states import CallKind, CallState
from bot.store.manager import DatabaseManager
from tests.store.rows import DAY, HOUR, NOW, a_call, a_window, usage_of

SECOND = timedelta(seconds=1)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)


def test_xs_windows_are_kept_and_the_newest_word_counts(manager: DatabaseManager, profile: Profile) -> None:
    day, quarter = a_window(remaining=90), a_window("15m", limit=None, resets_at=NOW + timedelta(minutes=9))
    newer = a_window(remaining=80, resets_at=NOW + 22 * HOUR)
    with manager.transaction() as tx:
        tx.rates.saw(profile.id, CREATE_POST, [day, quarter], now=NOW - HOUR)
        tx.rates.saw(profile.id, CREATE_POST, [newer], now=NOW)
        seen = tx.ledger.usage(profile.id, now=NOW).seen

    assert {one.window.name: one.window for one in seen} == {"24h_user": newer, "15m": quarter}
    assert {one.window.name: one.seen_at for one in seen} == {"24h_user": NOW, "15m": NOW - HOUR}
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


def test_drift_is_what_x_counts_beyond_the_ledger(manager: DatabaseManager, profile: Profile) -> None:
    resets_at = NOW + HOUR
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, at=resets_at - DAY + SECOND, units=3, state=CallState.SETTLED))
        tx.ledger.reserve(a_call(profile.id, at=resets_at - DAY - 2 * SECOND, units=50))
        tx.ledger.reserve(a_call(profile.id, at=NOW, units=50, state=CallState.RELEASED))
        none = tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=97, resets_at=resets_at)], now=NOW)
        fewer = tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=99, resets_at=resets_at)], now=NOW)
        more = tx.rates.saw(profile.id, CREATE_POST, [a_window(remaining=90, resets_at=resets_at)], now=NOW)
        (seen,) = tx.ledger.usage(profile.id, now=NOW).seen

    assert (dict(none), dict(fewer), dict(more)) == ({}, {}, {"24h_user": 7})
    assert seen.drift == 7


def test_a_window_without_a_length_or_a_quota_has_no_drift(
    manager: DatabaseManager, profile: Profile
) -> None:
    windows = [a_window("usage_cap", remaining=0), a_window("24h_app", limit=None)]
    with manager.transaction() as tx:
        assert not tx.rates.saw(profile.id, CREATE_POST, windows, now=NOW)


def test_resume_lifts_what_an_operator_can_mend_and_leaves_xs_own_windows(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    shut = {"remaining": 0, "limit": None}
    with manager.transaction() as tx:
        for one in (profile, neighbour):
            tx.rates.saw(
                one.id,
                EVERY_ENDPOINT,
                [
                    *(a_window(name, **shut) for name in ("credits", "keys", "usage_cap", "block")),
                    a_window("24h_user", **shut),
                    a_window("15m", remaining=1),
                ],
                now=NOW,
            )
        lifted = tx.rates.lift_blocks(profile.id)

    assert lifted == 4
    assert {one.window.name for one in usage_of(manager, profile).seen} == {"24h_user", "15m"}
    assert len(usage_of(manager, neighbour).seen) == 6


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

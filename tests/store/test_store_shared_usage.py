"""What the rows say of one X app, and of everybody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, event, text

from bot.core.model import Profile
from bot.core.spending.limits import CREATE_POST, Scope, Spent, Usage
from bot.core.states import CallKind, CallState
from bot.store.manager import DatabaseManager
from tests.store.rows import DAY, HOUR, NOW, a_call, a_window

BOTH = frozenset({Scope.APP, Scope.ALL})
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
SUMS = """
SELECT coalesce(app, ''), (at AT TIME ZONE 'UTC')::date,
       coalesce(sum(units) FILTER (WHERE kind = 'post'), 0)::int,
       coalesce(sum(units) FILTER (WHERE kind = 'read'), 0)::int
  FROM api_calls WHERE state <> 'released' AND kind <> 'model' GROUP BY 1, 2
"""
KEPT = "SELECT app, date, tweets_posted::int, reads_made::int FROM app_usage"


def shared_of(manager: DatabaseManager, profile: Profile | None) -> Usage:
    with manager.transaction() as tx:
        return tx.ledger.usage(profile.id if profile else None, now=NOW, shared=BOTH)


def use_apps(manager: DatabaseManager, **apps: str) -> None:
    with manager.transaction() as tx:
        for profile in tx.profiles.all():
            if profile.handle in apps:
                tx.profiles.use_app(profile.id, apps[profile.handle])


def test_an_apps_use_is_that_of_its_profiles_and_of_what_is_nobodys(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        other = tx.profiles.create(handle="eve", x_user_id="33", timezone="UTC", mode="auto")
    use_apps(manager, ada="one", bob="one", eve="two")
    with manager.transaction() as tx:
        for number, owner in enumerate((profile.id, neighbour.id, other.id, None)):
            tx.ledger.reserve(a_call(owner, at=NOW - number * HOUR, units=10**number))
            tx.ledger.reserve(
                a_call(owner, kind=CallKind.READ, endpoint="GET /2/tweets", units=2 * 10**number)
            )
            tx.ledger.reserve(a_call(owner, kind=CallKind.MODEL, api="openai", endpoint="m", tokens=5))
        gone = tx.ledger.reserve(a_call(profile.id, units=7))
        tx.ledger.change(gone.id, CallState.RELEASED)
        tx.ledger.reserve(a_call(profile.id, at=NOW - 20 * DAY, units=5))

    ada, eve, nobody = (shared_of(manager, one) for one in (profile, other, None))
    assert ada.app == shared_of(manager, neighbour).app
    assert ada.app is not None
    assert eve.app is not None
    assert nobody.app is not None
    assert [one.units for one in ada.app.posts] == [1, 10, 1_000]
    assert (ada.app.posts_month, ada.app.reads_month) == (1_011, 2_022)
    assert [one.units for one in eve.app.posts] == [100, 1_000]
    assert [one.units for one in nobody.app.posts] == [1_000]
    for one in (ada, eve, nobody):
        assert one.in_all is not None
        assert [spent.units for spent in one.in_all.posts] == [1, 10, 100, 1_000]
        assert (one.in_all.posts_month, one.in_all.reads_month) == (1_111, 2_222)
    assert (ada.app_id, nobody.app_id) == ("one", None)


def test_a_profiles_own_cost_is_of_all_it_calls_and_of_what_is_nobodys(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        for number, owner in enumerate((profile.id, neighbour.id, None)):
            for kind in CallKind:
                tx.ledger.reserve(a_call(owner, kind=kind, cost_usd=Decimal(10) ** number))
    usage = shared_of(manager, profile)

    assert (usage.own_cost_month, usage.cost_month) == (Decimal(303), Decimal(333))
    assert shared_of(manager, None).own_cost_month == 300


def test_calls_stay_with_the_app_that_made_them(manager: DatabaseManager, profile: Profile) -> None:
    use_apps(manager, ada="one")
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, units=3))
        asked = tx.ledger.reserve(a_call(None, kind=CallKind.READ, endpoint="GET /2/users/me"))
        tx.ledger.change(asked.id, CallState.SETTLED, profile_id=profile.id)
    use_apps(manager, ada="two")
    with manager.transaction() as tx:
        tx.ledger.reserve(a_call(profile.id, units=4))
        found = tx.connection.execute(text("SELECT app, units FROM api_calls ORDER BY units")).all()

    assert found == [("one", 1), ("one", 3), ("two", 4)]
    usage = shared_of(manager, profile)
    assert usage.app is not None
    assert (usage.app.posts_month, usage.app.reads_month) == (4, 0)


def test_an_apps_days_are_its_ledgers_sums_whatever_becomes_of_calls(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    use_apps(manager, ada="one")
    calls = [
        a_call(owner, kind=kind, units=3, at=NOW - days * DAY)
        for owner in (profile.id, neighbour.id, None)
        for kind in CallKind
        for days in (0, 1)
    ]

    def agree() -> None:
        with manager.transaction() as tx:
            kept = {tuple(row) for row in tx.connection.execute(text(KEPT)) if any(row[2:])}
            assert kept == {tuple(row) for row in tx.connection.execute(text(SUMS))}

    with manager.transaction() as tx:
        tx.ledger.reserve_all(calls)
    agree()
    with manager.transaction() as tx:
        tx.ledger.change(calls[0].id, CallState.RELEASED)
        tx.ledger.change(calls[2].id, CallState.SETTLED, units=1)
        tx.ledger.change(calls[-1].id, CallState.UNKNOWN)
        for one in calls[3:-1]:
            tx.ledger.change(one.id, CallState.SETTLED)
        tx.connection.execute(text("SELECT track_twitter_usage(2, 10)"))
    agree()
    with manager.transaction() as tx:
        tx.connection.execute(text("UPDATE api_calls SET at = at - interval '1 day', app = 'two'"))
        tx.connection.execute(text("DELETE FROM api_calls WHERE id = :id"), {"id": calls[2].id})
    agree()


def test_what_is_forgotten_stays_on_its_apps_account(manager: DatabaseManager, profile: Profile) -> None:
    use_apps(manager, ada="one")
    with manager.transaction() as tx:
        tx.ledger.change(tx.ledger.reserve(a_call(profile.id, units=3)).id, CallState.SETTLED)
    with manager.transaction() as tx:
        assert tx.ledger.forget(before=NOW + DAY, released_before=NOW) == 1
    usage = shared_of(manager, profile)

    assert usage.app is not None
    assert usage.app.posts_month == 3


def test_settling_as_reserved_locks_no_sum(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        call = tx.ledger.reserve(a_call(profile.id))
    lock = text("SELECT count(*) FROM (SELECT 1 FROM api_usage_tracking FOR UPDATE NOWAIT) AS daily")
    apps = text("SELECT count(*) FROM (SELECT 1 FROM app_usage FOR UPDATE NOWAIT) AS apps")
    with manager.transaction() as tx, manager.transaction() as other:
        tx.ledger.change(call.id, CallState.SETTLED)
        assert (other.connection.scalar(lock), other.connection.scalar(apps)) == (1, 1)


def test_posts_of_many_profiles_are_summed_by_the_minute(manager: DatabaseManager, profile: Profile) -> None:
    use_apps(manager, ada="one")
    moments = [NOW - MINUTE + SECOND, NOW - MINUTE + 2 * SECOND, NOW - 3 * MINUTE, NOW - DAY]
    with manager.transaction() as tx:
        tx.ledger.reserve_all([a_call(profile.id, at=at) for at in moments])
    usage = shared_of(manager, profile)

    together = (Spent(at=moments[1], units=2), Spent(at=moments[2], units=1))
    assert usage.app is not None
    assert usage.in_all is not None
    assert (usage.app.posts, usage.in_all.posts) == (together, together)


def statements(manager: DatabaseManager, profile: Profile, shared: frozenset[Scope]) -> Sequence[str]:
    said: list[str] = []

    def note(_c: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    with manager.transaction() as tx:
        event.listen(tx.connection, "before_cursor_execute", note)
        tx.ledger.usage(profile.id, now=NOW, shared=shared)
        event.remove(tx.connection, "before_cursor_execute", note)
    return said


def test_all_use_is_read_by_one_statement_beside_the_check_of_what_it_stands_on(
    manager: DatabaseManager, profile: Profile
) -> None:
    assert len(statements(manager, profile, frozenset())) == 2
    assert len(statements(manager, profile, BOTH)) == 2
    assert shared_of(manager, profile).app is not None
    with manager.transaction() as tx:
        usage = tx.ledger.usage(profile.id, now=NOW)
    assert (usage.app, usage.in_all) == (None, None)


def test_xs_window_of_an_app_is_what_it_said_last_to_any_of_its_profiles(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        other = tx.profiles.create(handle="eve", x_user_id="33", timezone="UTC", mode="auto")
    use_apps(manager, ada="one", bob="one", eve="two")
    with manager.transaction() as tx:
        for owner, left, at in ((profile, 9, -HOUR), (neighbour, 5, -MINUTE), (other, 70, -MINUTE)):
            windows = [a_window("24h_app", remaining=left), a_window("24h_user", remaining=left)]
            tx.rates.saw(owner.id, CREATE_POST, windows, now=NOW + at)
        # Under way from before X spoke, unheard since, and refused.
        tx.ledger.reserve(a_call(profile.id, at=NOW - 2 * MINUTE))
        tx.ledger.change(tx.ledger.reserve(a_call(neighbour.id, at=NOW)).id, CallState.SETTLED)
        refused = tx.ledger.reserve(a_call(profile.id, at=NOW))
        tx.ledger.change(refused.id, CallState.RELEASED)
        tx.ledger.reserve(a_call(other.id, at=NOW))

    found = {
        one.handle: {
            (seen.window.name, seen.window.remaining, seen.used_since, seen.scope)
            for seen in shared_of(manager, one).seen
        }
        for one in (profile, neighbour, other)
    }
    app = ("24h_app", 5, 2, Scope.APP)
    assert found == {
        "ada": {app, ("24h_user", 9, 1, Scope.PROFILE)},
        "bob": {app, ("24h_user", 5, 0, Scope.PROFILE)},
        "eve": {("24h_app", 70, 1, Scope.APP), ("24h_user", 70, 1, Scope.PROFILE)},
    }


def test_resume_lifts_the_apps_window_for_all_its_profiles(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    use_apps(manager, ada="one", bob="one")
    with manager.transaction() as tx:
        for owner in (profile.id, neighbour.id):
            tx.rates.saw(owner, CREATE_POST, [a_window("24h_app", remaining=0)], now=NOW)
            tx.rates.saw(owner, CREATE_POST, [a_window("24h_user", remaining=0)], now=NOW)
        assert tx.rates.lift_blocks(profile.id) == 3

    assert shared_of(manager, profile).seen == ()
    assert [one.window.name for one in shared_of(manager, neighbour).seen] == ["24h_user"]

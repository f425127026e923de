"""`finalize_onboarding`: one step, for whoever is signed in, all of it or nothing, and the same again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from bot.core.errors import SettingError
from bot.store.manager import DatabaseManager
from tests.support.supabase import signed_in

ADA = uuid4()
CALL = text("SELECT finalize_onboarding(CAST(:payload AS jsonb))")


def finalize(
    manager: DatabaseManager, payload: object, *, user: UUID | None = ADA, role: str = "authenticated"
) -> Any:
    """Calls it as PostgREST does."""
    with signed_in(manager.engine, role, user) as connection:
        return connection.scalar(CALL, {"payload": json.dumps(payload)})


def count(manager: DatabaseManager, table: str) -> int:
    with manager.transaction() as tx:
        return int(tx.connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def refused(manager: DatabaseManager, payload: object) -> tuple[str, Mapping[str, str]]:
    with pytest.raises(DBAPIError) as caught:
        finalize(manager, payload)
    told = caught.value.orig
    assert isinstance(told, psycopg.Error)
    assert told.diag.sqlstate == "PT422"
    return str(told.diag.message_primary), json.loads(told.diag.message_detail or "{}")


@pytest.mark.as_migrated
def test_nothing_at_all_makes_a_profile_with_an_active_plan(manager: DatabaseManager) -> None:
    made = finalize(manager, {})

    assert made["role"] == "owner"
    assert {**made["profile"], "id": ""} == {
        "id": "",
        "handle": "unnamed",
        "timezone": "UTC",
        "mode": "auto",
        "persona": {},
        "paused": False,
    }
    assert {**made["plan"], "id": ""} == {
        "id": "",
        "status": "active",
        "topics": [],
        "posts_per_day": 4,
        "day_starts": "08:00",
        "day_ends": "22:00",
        "late_policy": "move",
        "late_tolerance_seconds": 1200,
        "spacing_seconds": 10,
        "include_links": False,
    }
    assert finalize(manager, None) == made
    assert (count(manager, "profiles"), count(manager, "plans")) == (1, 1)


def test_values_come_as_they_may_and_leave_as_they_are_meant(manager: DatabaseManager) -> None:
    made = finalize(
        manager,
        {
            "handle": "@ada_lovelace",
            "timezone": "europe/berlin",
            "mode": "DRY_RUN",
            "persona": "dry and exact",
            "plan": {
                "topics": "tides, engines ,",
                "posts_per_day": "7",
                "day_starts": "9:30",
                "day_ends": "21:00",
                "late_policy": "Expire",
                "include_links": "yes",
                "spacing_seconds": 60,
            },
        },
    )
    assert made["profile"] == made["profile"] | {
        "handle": "ada_lovelace",
        "timezone": "Europe/Berlin",
        "mode": "dry-run",
        "persona": {"voice": "dry and exact"},
    }
    assert made["plan"] == made["plan"] | {
        "topics": ["tides", "engines"],
        "posts_per_day": 7,
        "day_starts": "09:30",
        "day_ends": "21:00",
        "late_policy": "expire",
        "include_links": True,
        "spacing_seconds": 60,
    }


def test_a_second_call_changes_what_it_names_and_leaves_the_rest(manager: DatabaseManager) -> None:
    before = finalize(manager, {"handle": "ada", "plan": {"topics": ["tides"], "posts_per_day": 2}})
    after = finalize(manager, {"mode": "review", "plan": {"posts_per_day": 3}})

    assert after["profile"] == before["profile"] | {"mode": "review"}
    assert after["plan"] == before["plan"] | {"posts_per_day": 3}


def test_the_same_again_writes_nothing(manager: DatabaseManager) -> None:
    payload = {"handle": "ada", "mode": "review", "plan": {"topics": ["tides"], "posts_per_day": 2}}
    made = finalize(manager, payload)
    versions = text("SELECT xmin::text FROM profiles UNION ALL SELECT xmin::text FROM plans")
    with manager.transaction() as tx:
        before = tx.connection.scalars(versions).all()
    assert finalize(manager, payload) == made
    with manager.transaction() as tx:
        assert tx.connection.scalars(versions).all() == before


def test_what_a_person_chose_is_remembered_beside_what_is_in_force(manager: DatabaseManager) -> None:
    finalize(manager, {"mode": "review", "plan": {"posts_per_day": 2}})
    with manager.transaction() as tx:
        (profile,) = tx.profiles.all()
        tx.profiles.configure(profile.id, timezone="Asia/Tokyo", mode="auto")
    finalize(manager, {"timezone": "Europe/Berlin"})
    with manager.transaction() as tx:
        (profile,) = tx.profiles.all()
    assert profile.chosen == {"mode": "review", "posts_per_day": 2, "timezone": "Europe/Berlin"}


def test_other_hours_are_planned_anew_and_the_same_leave_the_slots(manager: DatabaseManager) -> None:
    made = finalize(manager, {})
    with manager.transaction() as tx:
        for status in ("planned", "claimed", "done"):
            tx.connection.execute(
                text(
                    "INSERT INTO posting_schedule (profile_id, plan_id, due_at, status) VALUES "
                    "(:profile, :plan, now() + random() * interval '1 day', CAST(:status AS slot_status))"
                ),
                {"profile": made["profile"]["id"], "plan": made["plan"]["id"], "status": status},
            )
    finalize(manager, {"plan": {"topics": ["tides"], "posts_per_day": 4}})
    assert count(manager, "posting_schedule") == 3
    finalize(manager, {"plan": {"posts_per_day": 5}})
    assert count(manager, "posting_schedule") == 2


@pytest.mark.parametrize(
    ("payload", "field", "said"),
    [
        ({"handle": "a b"}, "handle", "'a b' is no handle of X"),
        ({"handle": "x" * 16}, "handle", "is no handle of X"),
        ({"handle": ["a"]}, "handle", "it is an array"),
        ({"timezone": "Nowhere/There"}, "timezone", "'Nowhere/There' is no time zone"),
        ({"timezone": "posix/UTC"}, "timezone", "is no time zone"),
        ({"timezone": "FOO5"}, "timezone", "is no time zone"),
        ({"mode": "fast"}, "mode", "'fast' is no mode"),
        ({"persona": 7}, "persona", "it is no text and no object"),
        ({"persona": "x" * 10_001}, "persona", "it is too long"),
        ({"handel": "ada"}, "handel", "nothing here is called so"),
        ([], "payload", "it is no object"),
        ({"plan": "four a day"}, "plan", "it is no object"),
        ({"plan": {"posts": 3}}, "posts", "nothing here is called so"),
        ({"plan": {"posts_per_day": 101}}, "posts_per_day", "'101' is out of range"),
        ({"plan": {"posts_per_day": -1}}, "posts_per_day", "'-1' is out of range"),
        ({"plan": {"posts_per_day": 2.5}}, "posts_per_day", "'2.5' is out of range"),
        ({"plan": {"posts_per_day": "9" * 400}}, "posts_per_day", "it is too long"),
        ({"timezone": "É" * 60_000}, "payload", "it is too long"),
        ({"persona": {"voice": 7}}, "persona", "a part of it is no text"),
        ({"timezone": "posixrules"}, "timezone", "is no time zone"),
        ({"plan": {"topics": [1]}}, "topics", "they are no list of texts"),
        ({"plan": {"topics": {"a": 1}}}, "topics", "they are no list of texts"),
        ({"plan": {"topics": ["t"] * 51}}, "topics", "they are too many or too long"),
        ({"plan": {"topics": ["t" * 101]}}, "topics", "they are too many or too long"),
        ({"plan": {"day_starts": "25:00"}}, "day_starts", "'25:00' is no time"),
        ({"plan": {"day_ends": "noon"}}, "day_ends", "'noon' is no time"),
        ({"plan": {"day_starts": "22:00"}}, "day_ends", "it is not after day_starts"),
        ({"plan": {"late_policy": "hope"}}, "late_policy", "'hope' is none"),
        ({"plan": {"include_links": "maybe"}}, "include_links", "'maybe' is neither"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_right_and_nothing_is_kept(
    manager: DatabaseManager, payload: object, field: str, said: str
) -> None:
    message, detail = refused(manager, payload)

    assert message.startswith(f"{field}: ")
    assert said in message
    assert (detail["code"], detail["field"]) == ("invalid", field)
    assert detail["fix"]
    assert (count(manager, "profiles"), count(manager, "plans")) == (0, 0)


@pytest.mark.as_migrated
@pytest.mark.parametrize(("role", "user"), [("anon", None), ("authenticated", None)])
def test_without_a_token_it_says_that_it_takes_one(
    manager: DatabaseManager, role: str, user: UUID | None
) -> None:
    with pytest.raises(DBAPIError, match="requires authentication") as caught:
        finalize(manager, {}, user=user, role=role)
    told = caught.value.orig
    assert isinstance(told, psycopg.Error)
    assert told.diag.sqlstate == "PT401"
    assert count(manager, "profiles") == 0


@pytest.mark.as_migrated
def test_what_it_is_made_of_is_nobody_elses_to_call(manager: DatabaseManager) -> None:
    mine = finalize(manager, {})
    with (
        pytest.raises(DBAPIError, match="permission denied for function onboarding_plan"),
        signed_in(manager.engine, user=uuid4()) as connection,
    ):
        connection.execute(text("SELECT onboarding_plan(:id, '{}')"), {"id": mine["profile"]["id"]})


def test_each_person_has_a_profile_of_their_own_and_reads_no_other(manager: DatabaseManager) -> None:
    grace = uuid4()
    finalize(manager, {"handle": "ada"})
    finalize(manager, {"handle": "grace"}, user=grace)
    with signed_in(manager.engine, user=grace) as connection:
        assert connection.scalars(text("SELECT handle FROM profiles")).all() == ["grace"]


def test_an_account_that_x_named_keeps_its_name(manager: DatabaseManager) -> None:
    finalize(manager, {"handle": "ada"})
    with manager.transaction() as tx:
        tx.connection.execute(text("UPDATE profiles SET x_user_id = '1'"))
    assert finalize(manager, {"handle": "another"})["profile"]["handle"] == "ada"


@pytest.mark.parametrize("table", ["profiles", "plans"])
def test_a_failure_half_way_leaves_nothing_and_the_next_call_is_whole(
    manager: DatabaseManager, table: str
) -> None:
    with manager.transaction() as tx:
        tx.connection.execute(
            text(
                "CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'full disk' USING ERRCODE = 'disk_full'; END $$"
            )
        )
        tx.connection.execute(
            text(f"CREATE TRIGGER z_breaks AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION breaks()")
        )
    with pytest.raises(DBAPIError, match="full disk"):
        finalize(manager, {})
    assert (count(manager, "profiles"), count(manager, "plans")) == (0, 0)

    with manager.transaction() as tx:
        tx.connection.execute(text(f"DROP TRIGGER z_breaks ON {table}"))
    assert finalize(manager, {})["plan"]["status"] == "active"


def test_a_profile_that_has_no_plan_any_more_gets_one(manager: DatabaseManager) -> None:
    before = finalize(manager, {})
    with manager.transaction() as tx:
        tx.connection.execute(text("UPDATE plans SET status = 'archived'"))
    after = finalize(manager, {})
    assert after["profile"] == before["profile"]
    assert (after["plan"]["status"], after["plan"]["id"] != before["plan"]["id"]) == ("active", True)


@pytest.mark.parametrize("cut", [False, True])
def test_fifty_calls_at_once_make_one_profile_and_hear_the_same(
    manager: DatabaseManager, database_url: URL, cut: bool
) -> None:
    """Where connections are cut, half of the calls are lost and made again."""
    payload = json.dumps({"handle": "ada", "plan": {"posts_per_day": 3}})
    address = database_url.set(drivername="postgresql").render_as_string(hide_password=False)

    def ask(number: int, *, again: bool) -> Any:
        with psycopg.connect(address) as connection:
            claims = json.dumps({"sub": str(ADA)})
            connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
            (row,) = connection.execute("SELECT finalize_onboarding(%s)", [payload]).fetchall()
            if cut and number % 2 and not again:
                connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            return row[0]

    def call(number: int) -> str:
        try:
            answer = ask(number, again=False)
        except psycopg.OperationalError:
            answer = ask(number, again=True)
        return json.dumps(answer, sort_keys=True)

    with ThreadPoolExecutor(10) as threads:
        answers = set(threads.map(call, range(50)))

    assert len(answers) == 1
    assert (count(manager, "profiles"), count(manager, "plans")) == (1, 1)


def test_the_bots_own_way_in_is_the_same_function(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        made = tx.profiles.finalize({"handle": "ada"}, auth_user_id=ADA)
    assert finalize(manager, {}) == made
    with pytest.raises(SettingError) as caught, manager.transaction() as tx:
        tx.profiles.finalize({"mode": "fast"}, auth_user_id=ADA)
    assert caught.value.line == "mode: 'fast' is no mode - auto, review or dry-run"


def test_the_environments_keys_serve_what_a_person_set_up_only_once_it_is_adopted(
    manager: DatabaseManager,
) -> None:
    finalize(manager, {"handle": "ada"})
    with manager.transaction() as tx:
        assert [one.adoptable for one in tx.profiles.all()] == [False]
        assert tx.profiles.adopt(ADA).adoptable
    finalize(manager, {"mode": "review"})
    with manager.transaction() as tx:
        assert [one.adoptable for one in tx.profiles.all()] == [True]

"""What was tried against the first tables, and what keeps it from working."""

from __future__ import annotations

import subprocess
import sys
from uuid import uuid4

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from bot.core.model import Profile, Slot, Tweet
from bot.store.manager import DatabaseManager, StoreTransaction
from tests.store.rows import NOW, ROOT, a_call, a_decision, a_tweet, a_wish
from tests.support.supabase import GRANT_EVERYTHING, signed_in

BOTS_X_ID = "1234567890"


@pytest.fixture(autouse=True)
def _everything_is_granted(request: pytest.FixtureRequest, manager: DatabaseManager) -> None:
    if request.node.get_closest_marker("as_migrated"):
        return
    with manager.transaction() as tx:
        for statement in GRANT_EVERYTHING:
            tx.connection.execute(text(statement))


def a_slot(tx: StoreTransaction, profile: Profile) -> Slot:
    plan = tx.plans.start(profile.id, posts_per_day=1)
    tx.slots.add(profile.id, plan, [a_wish(NOW)])
    (slot,) = tx.slots.overdue(profile.id, now=NOW)
    return slot


def a_root(tx: StoreTransaction, profile: Profile) -> Tweet:
    return tx.tweets.add(a_tweet(profile.id))


def test_a_stranger_makes_no_profile_for_the_bot_to_adopt(manager: DatabaseManager) -> None:
    stranger = uuid4()
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        signed_in(manager.engine, user=stranger) as connection,
    ):
        connection.execute(
            text("INSERT INTO profiles (auth_user_id, handle, x_user_id) VALUES (:user, 'bot', :x)"),
            {"user": stranger, "x": BOTS_X_ID},
        )

    with manager.transaction() as tx:
        assert tx.profiles.all() == []


def test_an_owner_does_not_become_another_account(manager: DatabaseManager, profile: Profile) -> None:
    with signed_in(manager.engine, user=profile.auth_user_id) as connection:
        done = connection.execute(text("UPDATE profiles SET x_user_id = :x"), {"x": BOTS_X_ID})
        assert done.rowcount == 0


KEYS = "not ada's real keys"


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("statement", ["SELECT encrypted_keys FROM credentials", "TABLE credentials"])
def test_nobody_who_comes_in_by_the_platform_reads_keys_whatever_is_granted(
    manager: DatabaseManager, profile: Profile, role: str, statement: str
) -> None:
    with manager.transaction() as tx:
        tx.credentials.put(profile.id, KEYS)
    with signed_in(manager.engine, role, profile.auth_user_id) as connection:
        assert connection.execute(text(statement)).all() == []


@pytest.mark.as_migrated
@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT profile_id FROM credentials",
        "UPDATE credentials SET encrypted_keys = ''",
        "DELETE FROM credentials",
        "TRUNCATE credentials",
        "INSERT INTO credentials (profile_id, encrypted_keys) VALUES (gen_random_uuid(), '')",
    ],
)
def test_keys_are_closed_on_a_platform_whose_defaults_grant_all(
    manager: DatabaseManager, profile: Profile, role: str, statement: str
) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied for table credentials"),
        signed_in(manager.engine, role, profile.auth_user_id) as connection,
    ):
        connection.execute(text(statement))


def test_an_owner_puts_no_keys_of_their_own_in_place_of_the_workers(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.credentials.put(profile.id, KEYS)
    with signed_in(manager.engine, user=profile.auth_user_id) as connection:
        changed = connection.execute(text("UPDATE credentials SET encrypted_keys = 'mine'"))
        assert changed.rowcount == 0
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        signed_in(manager.engine, user=neighbour.auth_user_id) as connection,
    ):
        connection.execute(
            text("INSERT INTO credentials (profile_id, encrypted_keys) VALUES (:profile, 'mine')"),
            {"profile": neighbour.id},
        )


def test_a_stranger_joins_no_profile(manager: DatabaseManager, profile: Profile) -> None:
    stranger = uuid4()
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        signed_in(manager.engine, user=stranger) as connection,
    ):
        connection.execute(
            text("INSERT INTO members (profile_id, auth_user_id, role) VALUES (:profile, :user, 'owner')"),
            {"profile": profile.id, "user": stranger},
        )


def test_a_draft_is_not_attached_to_another_profiles_slot(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        slot = a_slot(tx, profile)
    with (
        pytest.raises(IntegrityError, match="fk_tweets_profile_id_slot_id"),
        manager.transaction() as tx,
    ):
        tx.tweets.add(a_tweet(neighbour.id, slot_id=slot.id))


def test_a_draft_that_got_into_another_profiles_slot_is_not_the_slots_tweet(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        tx.connection.execute(text("ALTER TABLE tweets DROP CONSTRAINT fk_tweets_profile_id_slot_id"))
        slot = a_slot(tx, profile)
        own = tx.tweets.add(a_tweet(profile.id, slot_id=slot.id))
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(neighbour.id, slot_id=slot.id))
    with manager.transaction() as tx:
        assert tx.tweets.of_slot(slot.id) == own


def test_no_row_references_another_profiles_row(
    manager: DatabaseManager, profile: Profile, neighbour: Profile
) -> None:
    with manager.transaction() as tx:
        slot, tweet = a_slot(tx, profile), a_root(tx, profile)
    attempts = {
        "fk_posting_schedule_profile_id_plan_id": (
            "INSERT INTO posting_schedule (profile_id, due_at, plan_id) SELECT :mine, now(), id FROM plans"
        ),
        "fk_tweets_profile_id_slot_id": (
            f"INSERT INTO tweets (profile_id, text, slot_id) VALUES (:mine, 'x', '{slot.id}')"
        ),
        "fk_tweets_profile_id_thread_id": (
            f"INSERT INTO tweets (profile_id, text, thread_id, part) VALUES (:mine, 'x', '{tweet.id}', 2)"
        ),
        "fk_api_calls_profile_id_tweet_id": (
            "INSERT INTO api_calls (profile_id, tweet_id, api, kind, endpoint, units, cost_usd, at) "
            f"VALUES (:mine, '{tweet.id}', 'twitter', 'post', 'x', 1, 0, now())"
        ),
        "fk_decisions_profile_id_slot_id": (
            "INSERT INTO decisions (profile_id, slot_id, at, last_at, kind, verdict, reason) "
            f"VALUES (:mine, '{slot.id}', now(), now(), 'x', 'x', 'x')"
        ),
        "fk_decisions_profile_id_tweet_id": (
            "INSERT INTO decisions (profile_id, tweet_id, at, last_at, kind, verdict, reason) "
            f"VALUES (:mine, '{tweet.id}', now(), now(), 'x', 'x', 'x')"
        ),
    }
    for constraint, statement in attempts.items():
        with pytest.raises(IntegrityError, match=constraint), manager.transaction() as tx:
            tx.connection.execute(text(statement), {"mine": neighbour.id})
        with manager.transaction() as tx:
            tx.connection.execute(text(statement), {"mine": profile.id})


def test_a_decision_of_nobody_references_nobodys_row(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tweet = a_root(tx, profile)
    with pytest.raises(IntegrityError, match="ck_decisions_of_nobody"), manager.transaction() as tx:
        tx.decisions.record(a_decision(None, tweet_id=tweet.id))


def test_every_reference_between_rows_of_profiles_carries_the_profile(manager: DatabaseManager) -> None:
    """From the catalogue, so that a reference of tomorrow is asked too."""
    with manager.transaction() as tx:
        bare = tx.connection.execute(
            text(
                """
                WITH owned AS (
                    SELECT attrelid, attnum FROM pg_attribute
                     WHERE attname = 'profile_id' AND NOT attisdropped
                ), keys AS (
                    SELECT conname, conrelid, conkey, owned.attnum = ANY (conkey) AS whole, owned.attnum
                      FROM pg_constraint JOIN owned ON owned.attrelid = conrelid
                     WHERE contype = 'f' AND confrelid IN (SELECT attrelid FROM owned)
                )
                SELECT conname FROM keys WHERE NOT whole AND NOT EXISTS (
                    SELECT FROM keys AS other
                     WHERE other.conrelid = keys.conrelid AND other.conkey = keys.attnum || keys.conkey
                )
                """
            )
        ).all()

    assert bare == []


def test_what_is_referenced_goes_and_its_rows_keep_their_profile(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        slot = a_slot(tx, profile)
        tweet = tx.tweets.add(a_tweet(profile.id, slot_id=slot.id))
        tx.ledger.reserve(a_call(profile.id, tweet_id=tweet.id))
        tx.decisions.record(a_decision(profile.id, slot_id=slot.id, tweet_id=tweet.id))
        tx.connection.execute(text("DELETE FROM plans"))
        assert tx.slots.overdue(profile.id, now=NOW)[0].plan_id is None
        tx.connection.execute(text("DELETE FROM posting_schedule"))
        assert tx.tweets.get(tweet.id).slot_id is None
        tx.connection.execute(text("DELETE FROM tweets"))
        rows = [
            tx.connection.execute(text(f"SELECT profile_id, tweet_id FROM {table}")).one()
            for table in ("api_calls", "decisions")
        ]

    assert rows == [(profile.id, None), (profile.id, None)]


def test_a_deleted_profiles_calls_name_no_tweet_that_is_gone(
    manager: DatabaseManager, profile: Profile
) -> None:
    with manager.transaction() as tx:
        tweet = a_root(tx, profile)
        tx.ledger.reserve(a_call(profile.id, tweet_id=tweet.id))
        tx.connection.execute(text("DELETE FROM profiles"))
        left = tx.connection.execute(text("SELECT profile_id, tweet_id, units FROM api_calls")).one()

    assert left == (None, None, 1)


def test_nobody_takes_the_revision_away(manager: DatabaseManager) -> None:
    for role in ("anon", "authenticated"):
        with signed_in(manager.engine, role, uuid4()) as connection:
            assert connection.execute(text("DELETE FROM alembic_version")).rowcount == 0


FUNCTIONS = """
SELECT oid::regprocedure::text AS name, prosecdef AS definer,
       coalesce((SELECT split_part(setting, '=', 2) FROM unnest(proconfig) AS setting
                  WHERE setting LIKE 'search_path=%'), '') AS path,
       has_function_privilege(:role, oid, 'EXECUTE') AS executable
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind <> 'a'
"""


@pytest.mark.as_migrated
@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_functions_look_for_temporary_tables_last_and_are_the_workers(
    manager: DatabaseManager, role: str
) -> None:
    with manager.transaction() as tx:
        functions = tx.connection.execute(text(FUNCTIONS), {"role": role}).all()

    assert len(functions) > 4
    assert [one.name for one in functions if one.path != "public, pg_temp"] == []
    # It writes for whoever the verified token names, and for nobody else.
    assert [one.name for one in functions if one.definer] == ["finalize_onboarding(jsonb)"]
    assert {one.name for one in functions if one.executable} == (
        {"current_auth_user_id()", "finalize_onboarding(jsonb)"}
    )


HIJACK = (
    "CREATE TEMP TABLE ran_as (name text)",
    "CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING ALL)",
    """
    CREATE FUNCTION pg_temp.mine() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO pg_temp.ran_as VALUES (current_user);
        RETURN NEW;
    END
    $$
    """,
    "GRANT ALL ON pg_temp.ran_as, pg_temp.{table} TO PUBLIC",
    """
    CREATE TRIGGER mine BEFORE INSERT OR UPDATE ON pg_temp.{table}
    FOR EACH ROW EXECUTE FUNCTION pg_temp.mine()
    """,
)


@pytest.mark.parametrize(
    ("table", "fires"),
    [
        (
            "api_calls",
            "INSERT INTO public.api_usage_tracking (date, api_type, tweets_posted) VALUES (now(), 'x', 1)",
        ),
        (
            "api_usage_tracking",
            """
            INSERT INTO public.api_calls (api, kind, endpoint, units, cost_usd, at)
            VALUES ('x', 'post', 'x', 1, 0, now())
            """,
        ),
        ("api_calls", "SELECT track_twitter_usage(1, 1)"),
        ("api_calls", "UPDATE public.api_usage_tracking SET tweets_posted = tweets_posted + 1"),
        ("profiles", "SELECT finalize_onboarding('{}')"),
        ("plans", "SELECT finalize_onboarding('{}')"),
    ],
)
def test_a_function_runs_nothing_of_a_sessions_own_as_somebody_else(
    manager: DatabaseManager, table: str, fires: str
) -> None:
    with manager.transaction() as tx:
        tx.connection.execute(text("SELECT track_twitter_usage(2, 2)"))
    with signed_in(manager.engine, user=uuid4()) as connection:
        for statement in HIJACK:
            connection.execute(text(statement.format(table=table)))
        savepoint = connection.begin_nested()
        try:
            connection.execute(text(fires))
        except ProgrammingError as refused:
            assert "row-level security" in str(refused)  # noqa: PT017 - refusing is right too
            savepoint.rollback()
        assert connection.scalars(text("SELECT name FROM pg_temp.ran_as")).all() == []


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_a_stranger_uses_up_no_cap(manager: DatabaseManager, role: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        signed_in(manager.engine, role, uuid4()) as connection,
    ):
        connection.execute(text("SELECT track_twitter_usage(17, 0)"))


@pytest.mark.as_migrated
@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_a_stranger_may_not_even_call_what_counts_usage(manager: DatabaseManager, role: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied for function track_twitter_usage"),
        signed_in(manager.engine, role, uuid4()) as connection,
    ):
        connection.execute(text("SELECT track_twitter_usage(17, 0)"))


@pytest.mark.as_migrated
def test_a_linter_of_policies_finds_nothing(database_url: URL) -> None:
    address = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "pgrls", "lint", "--config", ROOT / "pgrls.toml", "--database-url", address],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues found" in done.stdout

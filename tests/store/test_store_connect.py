"""How an address becomes connections."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import URL, Connection, text

from bot.core.errors import DatabaseUnavailable, SettingError
from bot.core.model import Profile
from bot.store.connect import LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS, parse_url
from bot.store.manager import DatabaseManager
from tests.support.databases import admin
from tests.support.processes import eventually


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_is_understood(scheme: str) -> None:
    url = parse_url(f" {scheme}://ada:p%40ss@db.example:6543/bot?sslmode=require \n")

    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password, url.host, url.port) == ("ada", "p@ss", "db.example", 6543)
    assert (url.database, dict(url.query)) == ("bot", {"sslmode": "require"})


def test_a_poolers_hint_for_another_library_is_left_out() -> None:
    url = parse_url("postgresql://ada:pw@db.example:6543/bot?pgbouncer=true&sslmode=require")

    assert dict(url.query) == {"sslmode": "require"}


@pytest.mark.parametrize(
    "address",
    [
        "mysql://ada:hunter2@db.example/bot",
        "sqlite:///hunter2.db",
        "postgresql+psycopg2://ada:hunter2@db.example/bot",
        "db.example:5432 hunter2",
        "ada:hunter2@db.example/bot",
        "postgresql://ada:hunter2@db.example:port/bot",
        "hunter2",
    ],
)
def test_anything_else_is_refused_with_the_mend_and_without_the_password(address: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_url(address)

    assert "DATABASE_URL" in str(caught.value)
    assert caught.value.fix == "give postgresql://USER:PASSWORD@HOST:5432/DATABASE"
    assert "hunter2" not in caught.value.line
    assert "\n" not in caught.value.line


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_can_not_hold_every_text_is_refused_with_the_mend(
    postgres_url: URL, encoding: str
) -> None:
    name = f"in_{encoding.lower()}"
    locale = "LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    admin(postgres_url, f"CREATE DATABASE {name} ENCODING '{encoding}' {locale}")
    opened = DatabaseManager(postgres_url.set(database=name))
    try:
        with pytest.raises(DatabaseUnavailable) as caught:
            opened.ping()
    finally:
        opened.close()
        admin(postgres_url, f"DROP DATABASE {name}")

    assert caught.value.line == (
        f"the database {name} is encoded in {encoding}, and posts need UTF8"
        f" - make it anew: createdb -E UTF8 -T template0 {name}"
    )


def test_every_transaction_is_bounded_and_the_session_keeps_its_own_settings(
    manager: DatabaseManager,
) -> None:
    shown = text(
        "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), "
        "current_setting('idle_in_transaction_session_timeout'), pg_backend_pid()"
    )
    with manager.transaction() as tx:
        *inside, session = tx.connection.execute(shown).one()
    pooled = manager.engine.raw_connection()
    cursor = pooled.cursor()
    cursor.execute(str(shown))
    row = cursor.fetchone()
    pooled.close()
    assert row is not None
    *outside, same = row

    assert inside == ["10s", "8s", "30s"]
    assert (STATEMENT_TIMEOUT_MS, LOCK_TIMEOUT_MS) == (10_000, 8_000)
    assert (outside, same) == (["0", "0", "0"], session)


def test_a_worker_that_freezes_while_it_weighs_holds_the_others_up_for_five_seconds(
    manager: DatabaseManager,
) -> None:
    shown = text("SELECT current_setting('idle_in_transaction_session_timeout')")
    with manager.transaction() as tx:
        tx.ledger.lock()
        assert tx.connection.scalar(shown) == "5s"
    with manager.transaction() as tx:
        assert tx.connection.scalar(shown) == "30s"


def prepared(manager: DatabaseManager) -> tuple[int, int]:
    """How many statements are prepared after 30 transactions, and in how many sessions."""
    pids = set()
    for _ in range(30):
        with manager.transaction() as tx:
            pids.add(tx.connection.scalar(text("SELECT pg_backend_pid()")))
            tx.config.put("key", "value")
            assert tx.config.get("key") == "value"
            count = tx.connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    return int(count or 0), len(pids)


def test_what_runs_often_is_prepared_where_the_server_itself_answers(manager: DatabaseManager) -> None:
    count, sessions = prepared(manager)
    assert count > 0
    assert sessions == 1


def test_nothing_is_prepared_where_another_number_greets_than_the_servers(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A pooler's; the tests with one are in test_store_pooler.
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", property(lambda _info: 1))
    manager.close()
    assert prepared(manager) == (0, 1)


def test_a_table_that_changes_under_prepared_statements_is_read_as_it_is_now(
    manager: DatabaseManager, profile: Profile
) -> None:
    def read() -> None:
        with manager.transaction() as tx:
            assert [one.id for one in tx.profiles.all()] == [profile.id]

    for _ in range(5):
        read()
    other = DatabaseManager(manager.engine.url)
    with other.transaction() as tx:
        tx.connection.execute(text("ALTER TABLE profiles ADD COLUMN later text"))
    other.close()
    for _ in range(5):
        read()


def test_a_column_that_changes_under_prepared_statements_is_a_trouble_that_passes(
    manager: DatabaseManager, profile: Profile
) -> None:
    def read() -> list[str]:
        with manager.transaction() as tx:
            return [one.handle for one in tx.profiles.all()]

    for _ in range(5):
        read()
    other = DatabaseManager(manager.engine.url)
    with other.transaction() as tx:
        tx.connection.execute(text("ALTER TABLE profiles ALTER COLUMN handle TYPE varchar(100)"))
    other.close()
    with pytest.raises(DatabaseUnavailable, match="was changed meanwhile"):
        read()
    assert read() == [profile.handle]


def test_a_connection_that_the_network_forgot_is_soon_known_for_dead(manager: DatabaseManager) -> None:
    with manager.engine.connect() as connection:
        told = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]  # psycopg's

    idle, interval, count = (int(told[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle + interval * count <= 30
    assert int(told["tcp_user_timeout"]) <= 30_000


def test_parameters_are_not_shown_in_errors(manager: DatabaseManager) -> None:
    statement = text("SELECT CAST(:value AS integer) + no_such_column")
    with pytest.raises(Exception, match="no_such_column") as caught, manager.engine.connect() as connection:
        connection.execute(statement, {"value": 4242})

    assert "4242" not in str(caught.value)


def test_an_address_parses_to_one_that_sqlalchemy_hides_the_password_of() -> None:
    url = parse_url("postgres://ada:hunter2@db.example/bot")

    assert isinstance(url, URL)
    assert "hunter2" not in f"{url} {url!r}"


def set_for_all(manager: DatabaseManager, *settings: str) -> None:
    """What the database gives every session from now on."""
    name = manager.engine.url.database
    with manager.transaction() as tx:
        for setting in settings:
            tx.connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET {setting}')
    manager.close()


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_who_waited_for_a_lock_sees_what_its_holder_wrote_whatever_the_database_isolates(
    manager: DatabaseManager, profile: Profile, isolation: str
) -> None:
    set_for_all(manager, f"default_transaction_isolation = '{isolation}'")
    waiting, seen = threading.Event(), []

    def wait_and_read() -> None:
        with manager.transaction() as tx:
            waiting.set()
            tx.tweets.lock_texts(profile.id)
            seen.append(tx.config.get("said"))

    with manager.transaction() as tx:
        tx.tweets.lock_texts(profile.id)
        other = threading.Thread(target=wait_and_read)
        other.start()
        waiting.wait(5)
        eventually(lambda: is_waited_for(tx.connection))
        tx.config.put("said", value=True)
    other.join(10)

    assert seen == [True]


def is_waited_for(connection: Connection) -> bool:
    found = connection.scalar(text("SELECT exists(SELECT FROM pg_locks WHERE NOT granted)"))
    return bool(found)


@pytest.mark.parametrize(
    "setting",
    [
        "DateStyle = 'SQL, DMY'",
        "DateStyle = 'German'",
        "client_encoding = 'LATIN1'",
        "client_encoding = 'SQL_ASCII'",
    ],
)
def test_moments_and_words_are_read_whatever_way_the_database_shows_them(
    manager: DatabaseManager, setting: str
) -> None:
    set_for_all(manager, setting)
    with manager.transaction() as tx:
        profile = tx.profiles.create(handle="ünï 😀", x_user_id="11", timezone="UTC", mode="auto")
        now = tx.connection.scalar(text("SELECT timestamptz '2026-02-01 03:04:05+00'"))
        assert [one.handle for one in tx.profiles.all()] == [profile.handle] == ["ünï 😀"]

    assert now == datetime(2026, 2, 1, 3, 4, 5, tzinfo=UTC)


def test_backslashes_stand_for_themselves_whatever_the_database_takes_them_for(
    manager: DatabaseManager,
) -> None:
    set_for_all(manager, "standard_conforming_strings = off")
    with manager.transaction() as tx:
        assert tx.connection.exec_driver_sql(r"SELECT '\\n'").scalar_one() == r"\\n"


def test_usage_is_read_where_the_database_quotes_all_names(
    manager: DatabaseManager, profile: Profile
) -> None:
    set_for_all(manager, "quote_all_identifiers = on")
    with manager.transaction() as tx:
        assert tx.ledger.usage(profile.id, now=datetime.now(UTC)).posts_month == 0

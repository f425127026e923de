"""The one way to the rows: transactions, and errors in the bot's own words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from threading import Barrier

import psycopg
import pytest
from sqlalchemy import URL, Connection, event, text
from sqlalchemy.exc import IntegrityError, InternalError

from bot.core.errors import BotError, DatabaseUnavailable, SchemaOutdated
from bot.core.model import Profile
from bot.store.connect import parse_url
from bot.store.manager import DatabaseManager
from bot.store.schema import migrate
from tests.store.conftest import OwnServer
from tests.store.rows import plain_connection
from tests.support.databases import admin
from tests.support.processes import eventually

# One process has the server that is stopped.
stopped = pytest.mark.xdist_group("own server")


def complaint(url: URL) -> BotError:
    """What a transaction on this address says."""
    manager = DatabaseManager(url)
    with pytest.raises(BotError) as caught, manager.transaction() as tx:
        tx.profiles.all()
    manager.close()
    return caught.value


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:hunter2@127.0.0.1:1/bot",
        "postgresql://ada:hunter2@localhost:1/bot",
        "postgresql://ada:hunter2@nowhere.invalid/bot",
        "postgresql://ada:hunter2@/bot?host=/nowhere",
    ],
)
def test_a_server_that_is_not_there_is_one_line_with_its_place_and_mend_and_no_password(address: str) -> None:
    error = complaint(parse_url(address))

    assert isinstance(error, DatabaseUnavailable)
    assert "does not answer: " in str(error)
    assert "/bot" in str(error)
    assert error.fix == "start it, or correct DATABASE_URL"
    assert "\n" not in str(error)
    assert not str(error).endswith(":")
    assert "hunter2" not in error.line
    assert "ada" not in error.line


@stopped
def test_a_wrong_password_is_one_line_without_it(own_server: OwnServer) -> None:
    error = complaint(own_server.url.set(username="careful", password="wrong-horse"))

    assert isinstance(error, DatabaseUnavailable)
    assert "password authentication failed" in str(error)
    assert "DATABASE_URL" in error.fix
    assert "\n" not in str(error)
    assert "wrong-horse" not in error.line


@stopped
def test_a_wrong_password_is_not_tried_again(own_server: OwnServer) -> None:
    before = own_server.log.count('password authentication failed for user "careful"')

    complaint(own_server.url.set(username="careful", password="wrong-horse"))

    assert own_server.log.count('password authentication failed for user "careful"') == before + 1


@stopped
def test_the_right_password_is_right(own_server: OwnServer) -> None:
    manager = DatabaseManager(own_server.url.set(username="careful", password="right-horse"))

    assert manager.ping() > 0
    manager.close()


def test_a_missing_database_is_named(postgres_url: URL) -> None:
    error = complaint(postgres_url.set(database="never_made"))

    assert isinstance(error, DatabaseUnavailable)
    assert 'database "never_made" does not exist' in str(error)
    assert "\n" not in str(error)


def test_an_option_that_only_another_library_knows_points_to_the_address(postgres_url: URL) -> None:
    # As hosters print it for Prisma: ...:6543/postgres?pgbouncer=true&connection_limit=1
    error = complaint(postgres_url.update_query_dict({"connection_limit": "1"}))

    assert "connection_limit" in str(error)
    assert "DATABASE_URL" in error.fix


def test_a_missing_table_says_that_the_schema_is_not_whole(empty_url: URL) -> None:
    error = complaint(empty_url)

    assert isinstance(error, SchemaOutdated)
    assert 'relation "profiles" does not exist' in str(error)
    assert error.fix == "run: alembic upgrade head"
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("ALTER TABLE profiles RENAME COLUMN handle TO name", "handle"),
        ("ALTER TABLE api_usage_tracking DROP CONSTRAINT uq_api_usage_tracking_date_api_type", "ON CONFLICT"),
        ("DROP FUNCTION track_twitter_usage", "track_twitter_usage"),
    ],
)
def test_a_schema_that_lacks_a_piece_is_outdated_not_unavailable(
    database_url: URL, manager: DatabaseManager, damage: str, named: str
) -> None:
    admin(database_url, damage)

    with pytest.raises(SchemaOutdated, match=named), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        tx.profiles.all()
        tx.connection.execute(text("SELECT track_twitter_usage(1, 1)"))


def test_a_right_that_the_role_lacks_is_named(database_url: URL, manager: DatabaseManager) -> None:
    with pytest.raises(DatabaseUnavailable) as caught, manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        tx.connection.execute(text("CREATE ROLE powerless"))
        tx.connection.execute(text("SET LOCAL ROLE powerless"))
        tx.profiles.all()

    assert "permission denied for table profiles" in str(caught.value)
    assert caught.value.fix == "grant the bot's role its rights"
    assert database_url.database
    assert database_url.database in str(caught.value)


def test_what_the_tables_own_rules_refuse_is_not_called_a_missing_right(manager: DatabaseManager) -> None:
    with pytest.raises(Exception, match="whole numbers from 0") as caught, manager.transaction() as tx:
        tx.connection.execute(text("SELECT track_twitter_usage(-1, 0)"))

    assert "grant" not in getattr(caught.value, "fix", "")


def test_a_block_that_ends_is_committed(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        tx.config.put("key", 1)

    with manager.transaction() as tx:
        assert tx.config.get("key") == 1


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit])
def test_an_error_inside_the_block_rolls_everything_back_and_is_passed_on(
    manager: DatabaseManager, error: type[BaseException]
) -> None:
    with pytest.raises(error), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        tx.config.put("key", 1)
        tx.profiles.create(handle="ada", x_user_id=None, timezone="UTC", mode="auto")
        raise error

    with manager.transaction() as tx:
        assert tx.config.get("key") is None
        assert tx.profiles.all() == []


def test_a_constraints_refusal_rolls_back_and_keeps_its_own_error(
    manager: DatabaseManager, profile: Profile
) -> None:
    with pytest.raises(IntegrityError, match="uq_profiles_x_user_id"), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        tx.config.put("key", 1)
        tx.profiles.create(handle="eve", x_user_id=profile.x_user_id, timezone="UTC", mode="auto")

    with manager.transaction() as tx:
        assert tx.config.get("key") is None


def test_every_table_of_a_transaction_is_on_its_one_connection(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        tables = (tx.profiles, tx.slots, tx.tweets, tx.ledger, tx.leases, tx.decisions, tx.config)
        assert {id(table.connection) for table in tables} == {id(tx.connection)}


def test_time_spent_in_transactions_is_added_up_also_when_they_fail(manager: DatabaseManager) -> None:
    assert manager.spent_ms == 0
    with manager.transaction() as tx:
        tx.connection.execute(text("SELECT pg_sleep(0.02)"))
    after_one = manager.spent_ms
    with pytest.raises(ZeroDivisionError), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        tx.connection.execute(text("SELECT pg_sleep(0.02)"))
        raise ZeroDivisionError

    assert after_one >= 20
    assert manager.spent_ms >= after_one + 20


def test_ping_measures_an_answer(manager: DatabaseManager) -> None:
    assert 0 < manager.ping() < 5_000


def test_the_place_shows_host_and_database_and_nothing_secret(postgres_url: URL) -> None:
    remote = DatabaseManager(parse_url("postgresql://ada:hunter2@db.example:6543/bot"))
    local = DatabaseManager(postgres_url.set(database="bot"))
    bare = DatabaseManager(parse_url("postgresql:///bot"))

    assert remote.place == "db.example/bot"
    assert local.place == f"{postgres_url.query['host']}/bot"
    assert bare.place == "localhost/bot"


@stopped
def test_a_server_that_stops_between_transactions_is_found_again(own_server: OwnServer) -> None:
    manager = DatabaseManager(own_server.url)
    migrate(manager)
    with manager.transaction() as tx:
        tx.config.put("before", 1)

    own_server.stop()
    with pytest.raises(DatabaseUnavailable):
        manager.ping()
    with pytest.raises(DatabaseUnavailable):
        in_transaction(manager)
    own_server.start()

    with manager.transaction() as tx:
        assert tx.config.get("before") == 1
    manager.close()


@stopped
def test_a_server_that_stops_inside_a_block_takes_the_block_with_it(own_server: OwnServer) -> None:
    manager = DatabaseManager(own_server.url)
    migrate(manager)

    ended = pytest.raises(DatabaseUnavailable, match="ended the connection")
    with ended as caught, manager.transaction() as tx:
        tx.config.put("inside", 1)
        own_server.stop()
        tx.config.put("inside", 2)
    own_server.start()

    assert "\n" not in str(caught.value)
    with manager.transaction() as tx:
        assert tx.config.get("inside") is None
    manager.close()


@stopped
def test_a_server_that_stops_before_the_commit_is_told_as_unavailable(own_server: OwnServer) -> None:
    manager = DatabaseManager(own_server.url)
    migrate(manager)

    with pytest.raises(DatabaseUnavailable), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        tx.config.put("uncommitted", 1)
        own_server.stop()
    own_server.start()

    with manager.transaction() as tx:
        assert tx.config.get("uncommitted") is None
    manager.close()


def test_a_connection_that_was_cut_off_is_replaced(manager: DatabaseManager, database_url: URL) -> None:
    with manager.transaction() as tx:
        session = tx.connection.scalar(text("SELECT pg_backend_pid()"))
    with plain_connection(database_url) as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": session})

    with manager.transaction() as tx:
        assert tx.connection.scalar(text("SELECT pg_backend_pid()")) != session


@pytest.mark.parametrize(("dropped", "begun"), [(True, 2), (False, 1)])
def test_only_a_connection_that_was_dropped_is_replaced_whatever_the_pooler_calls_it(
    manager: DatabaseManager, dropped: bool, begun: int
) -> None:
    """A pooler may end a connection with a code that stands for an error of the server's own."""
    cause = psycopg.errors.InternalError_("the pooler gave this connection up")
    begins: list[Connection] = []

    def begin(connection: Connection) -> None:
        begins.append(connection)
        if len(begins) == 1:
            raise InternalError("SET LOCAL", {}, cause, connection_invalidated=dropped)

    event.listen(manager.engine, "begin", begin)
    told: AbstractContextManager[object] = nullcontext() if dropped else pytest.raises(InternalError)
    with told:
        assert manager.ping() > 0
    assert len(begins) == begun
    assert manager.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of the pool in use


def test_a_statement_that_takes_too_long_ends_in_the_bots_words(manager: DatabaseManager) -> None:
    with pytest.raises(DatabaseUnavailable, match="statement timeout"), manager.transaction() as tx:  # noqa: PT012 - a transaction's end is part of it
        tx.connection.execute(text("SET LOCAL statement_timeout = 20"))
        tx.connection.execute(text("SELECT pg_sleep(5)"))

    assert manager.ping() > 0


def test_a_read_only_database_says_so_and_what_to_do(database_url: URL) -> None:
    admin(database_url, f'ALTER DATABASE "{database_url.database}" SET default_transaction_read_only = on')
    manager = DatabaseManager(database_url)
    with pytest.raises(DatabaseUnavailable) as caught, manager.transaction() as tx:
        tx.config.put("key", 1)
    with pytest.raises(DatabaseUnavailable) as asked:
        manager.require_writable()
    assert manager.ping() > 0
    manager.close()

    for error in (caught.value, asked.value):
        assert f"{database_url.database} is read-only" in str(error)
        assert "DATABASE_URL" in error.fix
        assert "\n" not in error.line


TROUBLES = {
    "25006": ("is read-only", "primary"),
    "53100": ("has no room left", "disk"),
    "53300": ("takes no more connections", "max_connections"),
    "57014": ("is busy", "tried again"),
    "55P03": ("is busy", "tried again"),
    "40P01": ("is busy", "tried again"),
    "40001": ("is busy", "tried again"),
    "25P03": ("is busy", "tried again"),
    "0A000": ("was changed meanwhile", "tried again"),
}


@pytest.mark.parametrize("code", TROUBLES)
def test_a_servers_trouble_is_one_line_with_its_meaning(manager: DatabaseManager, code: str) -> None:
    what, fix = TROUBLES[code]
    raises = f"DO $$ BEGIN RAISE EXCEPTION E'first\nsecond' USING ERRCODE = '{code}'; END $$"
    with pytest.raises(DatabaseUnavailable) as caught, manager.transaction() as tx:
        tx.connection.execute(text(raises))

    assert f"{what}: first" in str(caught.value)
    assert fix in caught.value.fix
    assert "second" not in caught.value.line
    assert manager.ping() > 0


def test_a_server_without_a_free_connection_says_so(postgres_url: URL, database_url: URL) -> None:
    name = database_url.database
    admin(postgres_url, "CREATE ROLE crowded LOGIN", f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
    error = complaint(database_url.set(username="crowded"))
    admin(postgres_url, "DROP ROLE crowded")

    assert isinstance(error, DatabaseUnavailable)
    assert "takes no more connections" in str(error)
    assert "pooler" in error.fix


def test_two_transactions_that_wait_for_each_other_end_in_the_bots_words(manager: DatabaseManager) -> None:
    with manager.transaction() as tx:
        tx.config.put("a", 1)
        tx.config.put("b", 1)
    barrier = Barrier(2)

    def cross(first: str, second: str) -> BotError | None:
        try:
            with manager.transaction() as tx:
                tx.config.put(first, 2)
                barrier.wait(timeout=30)
                tx.config.put(second, 2)
        except BotError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as threads:
        ends = list(threads.map(cross, "ab", "ba"))

    (lost,) = [error for error in ends if error is not None]
    assert isinstance(lost, DatabaseUnavailable)
    assert "is busy: deadlock detected" in str(lost)


def test_a_pool_that_is_used_up_says_so_and_not_for_ever(database_url: URL) -> None:
    manager = DatabaseManager(database_url, pool_size=1)
    manager.engine.pool._timeout = 0.05  # type: ignore[attr-defined]  # five seconds are the product's
    with manager.transaction(), manager.transaction(), pytest.raises(DatabaseUnavailable, match="QueuePool"):
        manager.ping()
    assert manager.ping() > 0
    manager.close()


def test_many_threads_share_one_manager(manager: DatabaseManager) -> None:
    def count_up(number: int) -> None:
        with manager.transaction() as tx:
            tx.ledger.lock()
            tx.config.put("count", (tx.config.get("count") or 0) + number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(20)))

    with manager.transaction() as tx:
        assert tx.config.get("count") == sum(range(20))


def in_transaction(manager: DatabaseManager) -> object:
    with manager.transaction() as tx:
        return tx.profiles.all()


def test_a_closed_manager_gives_its_connections_back(database_url: URL) -> None:
    manager = DatabaseManager(database_url)
    manager.ping()
    manager.close()

    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with plain_connection(database_url) as other:
        eventually(lambda: other.scalar(others) == 0, what="no session is left")

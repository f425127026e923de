"""Settings in, a wired bot out: the only place that picks adapters."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

from bot.accounts import Accounts
from bot.adapters import Adapters
from bot.clock import SystemClock
from bot.core.errors import SchemaOutdated
from bot.core.model import Profile
from bot.core.profiles import choose, is_adoptable, own_profiles
from bot.core.spending.pricing import LISTED
from bot.core.spending.usage import ModelUsage
from bot.engine.context import EngineSettings, Services
from bot.engine.identifying import identify
from bot.engine.posting.posting_engine import PostingEngine
from bot.engine.spending.limits_agent import LimitsAgent
from bot.local_x import local_x
from bot.logs import get_logger
from bot.ports.log import Log
from bot.settings import Settings, read_settings
from bot.store.connect import parse_url
from bot.store.embedded import EmbeddedPostgres
from bot.store.manager import DatabaseManager
from bot.store.schema import migrate, require_head

if TYPE_CHECKING:
    from sqlalchemy import URL

DATABASE_NAME = "bot"
SANDBOX_DATABASE_NAME = "bot_sandbox"
# What a draft from a handful of items usually takes; only the forecast and the budget's pace use it.
USUAL_DRAFT = (4_000, 400)


@dataclass
class Bot:
    """A wired bot. Adapters are made when they are first needed, so that a look stays quick."""

    settings: Settings
    manager: DatabaseManager
    clock: SystemClock
    services: Services
    adapters: Adapters
    accounts: Accounts
    sandbox: bool = False

    @property
    def log(self) -> Log:
        """The program's log."""
        return self.services.log

    @property
    def limits(self) -> LimitsAgent:
        """The one who is asked before anything is spent."""
        return self.services.limits

    @cached_property
    def engine(self) -> PostingEngine:
        """What the worker's jobs and the commands call."""
        return PostingEngine(context=self.accounts.context)

    def identify(self, handle: str | None = None, *, keep: bool = False) -> Profile:
        """The profile meant: with saved keys, or the one that the environment's keys serve.

        X is asked whose the environment's keys are on their first use.
        """
        saved = self.accounts.saved(handle)
        return saved or identify(self.services, self.accounts.own, handle=handle, keep=keep)

    def meant(self, handle: str | None) -> str | None:
        """The handle of the account that a command acts for; None for the environment's own.

        Args:
            handle: as a person gave it.

        Raises:
            SettingError: none was given, and several accounts have saved keys.
        """
        return handle if self.sandbox else self.accounts.meant(handle)

    def require_keys(self, handle: str | None = None) -> None:
        """Refuses to go on where the profile meant has neither saved keys nor the environment's.

        Raises:
            SettingError: it names those that are not set, or no profile has the handle.
        """
        if self.accounts.saved(handle) is None:
            self.settings.require_keys()

    def known_profile(self, handle: str | None = None) -> Profile | None:
        """The profile as the tables know it; asks nobody."""
        owner = self.accounts.owner
        with self.manager.transaction() as tx:
            found = tx.profiles.with_keys()
        own = () if handle is not None else own_profiles(found, owner)
        # What a signed-in person set up is only acted on where it is named.
        others = [one for one, _ in found if handle is not None or is_adoptable(one)]
        return choose(own or others, handle=handle, x_user_id=owner)

    def own_profile(self) -> Profile | None:
        """The profile that the environment's keys serve, as the tables know it; asks nobody."""
        owner = self.accounts.owner
        with self.manager.transaction() as tx:
            found = tx.profiles.with_keys()
        return choose(own_profiles(found, owner), handle=None, x_user_id=owner)

    def announce(self) -> None:
        """Says at start-up what is connected, or what isn't and how to mend it."""
        self.log.info("database_connected", place=self.manager.place, ms=round(self.manager.ping(), 1))
        if self.settings.redis_url is None:
            self.log.info("redis_not_set", effect="an in-process cache is used")
            return
        from bot.store.cache import RedisCache

        cache = self.adapters.cache
        if isinstance(cache, RedisCache) and cache.ping() is None:
            self.log.info("redis_connected")


@contextmanager
def open_bot(
    settings: Settings,
    *,
    sandbox: bool = False,
    needs_x: bool = False,
    check_schema: bool = True,
    stop: Event | None = None,
) -> Iterator[Bot]:
    """Opens the bot on a database whose schema is right, and closes all it opened.

    Args:
        settings: what the environment says.
        sandbox: use a local X and a database of its own.
        needs_x: start the local X, which only commands that post or read need.
        check_schema: refuse a database whose schema is not this version's.
        stop: ends every wait of the bot's once it is set.

    Raises:
        SettingError, DatabaseUnavailable, SchemaOutdated: nothing was done.
    """
    with ExitStack() as stack:
        manager = stack.enter_context(open_database(settings, sandbox=sandbox, check=check_schema))
        keys, base_url = settings.x_keys, settings.x_api_base_url
        if sandbox and needs_x:
            keys, base_url = stack.enter_context(local_x(settings.bot_data_dir))
        clock = SystemClock(stop)
        services = Services(
            database=manager,
            limits=_limits_agent(settings),
            clock=clock,
            new_id=uuid4,
            log=get_logger(),
            settings=_engine_settings(settings),
        )
        adapters = Adapters(
            settings=settings,
            services=services,
            x_base_url=base_url,
            documents=own_documents() if sandbox else (),
        )
        stack.callback(adapters.close)
        accounts = Accounts(
            settings=settings,
            services=services,
            adapters=adapters,
            x_keys=keys,
            owner=None if sandbox else settings.token_user_id,
        )
        yield Bot(
            settings=settings,
            manager=manager,
            clock=clock,
            services=services,
            adapters=adapters,
            accounts=accounts,
            sandbox=sandbox,
        )


@contextmanager
def open_database(
    settings: Settings, *, sandbox: bool = False, check: bool = True
) -> Iterator[DatabaseManager]:
    """Opens the database; the embedded one is started and migrated by itself.

    Raises:
        SchemaOutdated: `DATABASE_URL` names a database that needs `alembic upgrade head`.
    """
    if settings.database_url is not None and not sandbox:
        manager = DatabaseManager(parse_url(settings.database_url.get_secret_value()))
        try:
            if check:
                require_head(manager)
            yield manager
        finally:
            manager.close()
        return
    server = EmbeddedPostgres(settings.bot_data_dir / "postgres", sandbox=sandbox)
    url = server.start(SANDBOX_DATABASE_NAME if sandbox else DATABASE_NAME)
    manager = DatabaseManager(url)
    try:
        server.watch()
        _ensure_migrated(manager)
        yield manager
    finally:
        manager.close()
        if left_because := server.stop():
            get_logger().warning("database_left_running", reason=left_because)


def release_database_url() -> URL:
    """What `alembic upgrade head` works on: `DATABASE_URL`, or the embedded database."""
    settings = read_settings()
    if settings.database_url is not None:
        return parse_url(settings.database_url.get_secret_value())
    return EmbeddedPostgres(settings.bot_data_dir / "postgres").start(DATABASE_NAME)


def own_documents() -> tuple[str, ...]:
    """What the sandbox writes from when no source is named: the bot's own documents."""
    package = Path(__file__).resolve().parent
    # A wheel carries them inside the package; what lies beside an installed package is somebody else's.
    root = package if (package / "docs").is_dir() else package.parent
    return tuple(str(path) for path in (root / "docs", root / "README.md") if path.exists())


def _ensure_migrated(manager: DatabaseManager) -> None:
    try:
        require_head(manager)
    except SchemaOutdated:
        migrate(manager)


def _limits_agent(settings: Settings) -> LimitsAgent:
    usual = None
    if settings.openai_api_key.get_secret_value():
        usual = ModelUsage(
            model=settings.openai_model, input_tokens=USUAL_DRAFT[0], output_tokens=USUAL_DRAFT[1]
        )
    return LimitsAgent(
        caps=settings.caps,
        listed=LISTED,
        new_id=uuid4,
        draft_usage=usual,
    )


def _engine_settings(settings: Settings) -> EngineSettings:
    return EngineSettings(
        holder=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
        call_time=timedelta(seconds=settings.call_seconds),
        lease_time=timedelta(seconds=settings.lease_seconds),
        settle_delay=timedelta(seconds=settings.bot_settle_seconds),
        keep_decisions=timedelta(days=settings.bot_keep_decisions_days),
        keep_calls=timedelta(days=settings.bot_keep_calls_days),
    )

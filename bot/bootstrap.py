"""Settings in, a wired bot out: the only place that picks adapters."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog

from bot.clock import SystemClock
from bot.core.drafts import ModelUsage
from bot.core.errors import SchemaOutdated
from bot.core.limits import Limits
from bot.core.model import Profile
from bot.core.pricing import LISTED
from bot.engine.identifying import choose, identify
from bot.engine.limits_agent import LimitsAgent
from bot.engine.parts import EngineSettings, Parts
from bot.engine.posting_engine import PostingEngine
from bot.local_x import local_x
from bot.settings import Settings, read_settings
from bot.store.connect import parse_url
from bot.store.embedded import EmbeddedPostgres
from bot.store.manager import DatabaseManager
from bot.store.schema import migrate, require_head

if TYPE_CHECKING:
    from sqlalchemy import URL

    from bot.ports import Sources, Writer, X
    from bot.store.cache import MemoryCache, RedisCache

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
    log: Any
    x_keys: dict[str, str]
    x_base_url: str
    sandbox: bool

    @cached_property
    def limits(self) -> LimitsAgent:
        """The one who is asked before anything is spent."""
        settings = self.settings
        usual = None
        if settings.openai_api_key.get_secret_value():
            usual = ModelUsage(
                model=settings.openai_model, input_tokens=USUAL_DRAFT[0], output_tokens=USUAL_DRAFT[1]
            )
        return LimitsAgent(
            caps=Limits(
                posts_24h=settings.x_posts_per_24h,
                posts_month=settings.x_posts_per_month,
                reads_month=settings.x_reads_per_month,
                tokens_day=settings.bot_tokens_per_day,
                budget_usd=None
                if settings.bot_monthly_budget_usd is None
                else Decimal(settings.bot_monthly_budget_usd),
            ),
            listed=LISTED,
            new_id=uuid4,
            draft_usage=usual,
        )

    @cached_property
    def cache(self) -> MemoryCache | RedisCache:
        """Redis, or this process's memory without `REDIS_URL`."""
        from bot.store.cache import MemoryCache, RedisCache

        if self.settings.redis_url is None:
            return MemoryCache(time.monotonic)
        return RedisCache(
            self.settings.redis_url.get_secret_value(), seconds=time.monotonic, warn=self.log.warning
        )

    @cached_property
    def x(self) -> X:
        """The account on X."""
        from bot.x.client import XClient

        timeout = self.settings.x_timeout_seconds
        return XClient(
            **self.x_keys,
            base_url=self.x_base_url,
            connect_timeout=min(5.0, timeout),
            read_timeout=timeout,
            clock=self.clock.now,
        )

    @cached_property
    def writer(self) -> Writer:
        """The language model, or the offline writer without a key."""
        key = self.settings.openai_api_key.get_secret_value()
        if key:
            from bot.writer import OpenAIWriter

            return OpenAIWriter(
                api_key=key, base_url=self.settings.openai_base_url, model=self.settings.openai_model
            )
        from bot.writer import OfflineWriter

        return OfflineWriter(random.Random(os.getpid()))  # noqa: S311 - picks sentences, guards nothing

    @cached_property
    def sources(self) -> Sources:
        """What the bot writes from."""
        from bot.writer import SourceReader

        named = self.settings.bot_sources
        if not named and self.sandbox:
            named = own_documents()
        return SourceReader(
            named, clock=self.clock.now, private=self.settings.bot_private_sources, cache=self.cache
        )

    @cached_property
    def engine(self) -> PostingEngine:
        """What the worker's jobs and the commands call."""
        return PostingEngine(
            Parts(
                database=self.manager,
                x=self.x,
                sources=self.sources,
                writer=self.writer,
                limits=self.limits,
                clock=self.clock,
                rng=random.Random(),  # noqa: S311 - jitter, guards nothing
                new_id=uuid4,
                log=self.log,
                settings=EngineSettings(
                    holder=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
                    call_time=timedelta(seconds=self.settings.call_seconds),
                    lease_time=timedelta(seconds=self.settings.lease_seconds),
                    settle_delay=timedelta(seconds=self.settings.bot_settle_seconds),
                ),
            )
        )

    def identify(self, handle: str | None = None, *, keep: bool = False) -> Profile:
        """The profile that the environment's keys serve; asks X on first use."""
        return identify(
            self.engine.parts,
            timezone=self.settings.bot_timezone,
            mode=self.settings.bot_mode,
            handle=handle,
            token_user_id=None if self.sandbox else self.settings.token_user_id,
            needs_x=self.settings.bot_mode != "dry-run" or all(self.x_keys.values()),
            keep=keep,
        )

    def known_profile(self, handle: str | None = None) -> Profile | None:
        """The profile as the tables know it; asks nobody."""
        with self.manager.transaction() as tx:
            return choose(
                tx.profiles.all(),
                handle=handle,
                x_user_id=None if self.sandbox else self.settings.token_user_id,
            )

    def announce(self) -> None:
        """Says at start-up what is connected, or what isn't and how to mend it."""
        self.log.info("database_connected", place=self.manager.place, ms=round(self.manager.ping(), 1))
        if self.settings.redis_url is None:
            self.log.info("redis_not_set", effect="an in-process cache is used")
            return
        from bot.store.cache import RedisCache

        if isinstance(self.cache, RedisCache) and self.cache.ping() is None:
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
        keys, base_url = _x_keys(settings), settings.x_api_base_url
        if sandbox and needs_x:
            keys, base_url = stack.enter_context(local_x(settings.bot_data_dir))
        bot = Bot(
            settings=settings,
            manager=manager,
            clock=SystemClock(stop),
            log=structlog.get_logger("bot"),
            x_keys=keys,
            x_base_url=base_url,
            sandbox=sandbox,
        )
        try:
            yield bot
        finally:
            if "cache" in vars(bot):
                bot.cache.close()


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
            structlog.get_logger("bot").warning("database_left_running", reason=left_because)


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


def _x_keys(settings: Settings) -> dict[str, str]:
    return {
        "api_key": settings.x_api_key.get_secret_value(),
        "api_secret": settings.x_api_secret.get_secret_value(),
        "access_token": settings.x_access_token.get_secret_value(),
        "access_token_secret": settings.x_access_token_secret.get_secret_value(),
    }

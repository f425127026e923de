"""What a process talks to the outside with, each made when it is first needed."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bot.engine.context import Services
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.ports import Sources, Writer, X
    from bot.store.cache import MemoryCache, RedisCache
    from bot.x.connection import Lines


@dataclass
class Adapters:
    """The cache, the writer, the sources and the lines to X, which all profiles share.

    Attributes:
        settings: what the environment says.
        services: whose clock and log they use.
        x_base_url: where X is.
        documents: what is written from where the environment names no source.
    """

    settings: Settings
    services: Services
    x_base_url: str
    documents: Sequence[str] = ()

    @cached_property
    def rng(self) -> random.Random:
        """Which sentence the offline writer takes."""
        return random.Random()  # noqa: S311 - guards nothing

    @cached_property
    def cache(self) -> MemoryCache | RedisCache:
        """Redis, or this process's memory without `REDIS_URL`."""
        from bot.store.cache import MemoryCache, RedisCache

        if self.settings.redis_url is None:
            return MemoryCache(time.monotonic)
        return RedisCache(
            self.settings.redis_url.get_secret_value(),
            seconds=time.monotonic,
            warn=self.services.log.warning,
        )

    @cached_property
    def writer(self) -> Writer:
        """The language model, or the offline writer without a key."""
        key = self.settings.openai_api_key.get_secret_value()
        if key:
            from bot.writer.openai_writer import OpenAIWriter

            return OpenAIWriter(
                api_key=key, base_url=self.settings.openai_base_url, model=self.settings.openai_model
            )
        from bot.writer.offline import OfflineWriter

        return OfflineWriter(self.rng)

    @cached_property
    def sources(self) -> Sources:
        """What the bot writes from."""
        from bot.sources.reader import SourceReader

        return SourceReader(
            self.settings.bot_sources or tuple(self.documents),
            clock=self.services.clock.now,
            private=self.settings.bot_private_sources,
            cache=self.cache,
        )

    @cached_property
    def lines(self) -> Lines:
        """What the calls of all accounts go over."""
        from bot.x.connection import Lines

        return Lines(2 * self.settings.x_timeout_seconds, kept=self.settings.bot_calls_at_once)

    def client(self, keys: Mapping[str, str]) -> X:
        """The account on X that these keys act for."""
        from bot.x.client import XClient

        timeout = self.settings.x_timeout_seconds
        return XClient(
            **keys,
            base_url=self.x_base_url,
            connect_timeout=min(5.0, timeout),
            read_timeout=timeout,
            lines=self.lines,
            clock=self.services.clock.now,
        )

    def close(self) -> None:
        """Closes what was opened."""
        for name in vars(self).keys() & {"cache", "lines"}:
            getattr(self, name).close()

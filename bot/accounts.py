"""Profiles' own clients, writers and sources, each made when it is first needed."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bot.core.model import Profile
from bot.engine.context import ProfileContext, Services
from bot.engine.identifying import OwnAccount
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.ports import Sources, Writer, X
    from bot.store.cache import MemoryCache, RedisCache


@dataclass
class Accounts:
    """The account that the environment's keys serve.

    Attributes:
        settings: what the environment says.
        services: what all profiles share.
        x_keys: the account's four keys, by their name in `XClient`.
        x_base_url: where X is.
        documents: what is written from where the environment names no source.
        owner: whose keys they are, where the token tells.
    """

    settings: Settings
    services: Services
    x_keys: dict[str, str]
    x_base_url: str
    documents: Sequence[str] = ()
    owner: str | None = None

    def context(self, profile: Profile) -> ProfileContext:
        """The profile with its client, writer and sources, and the services."""
        return ProfileContext.of(
            self.services,
            profile=profile,
            x=self.x,
            sources=self.sources,
            writer=self.writer,
            rng=self.rng,
        )

    @property
    def own(self) -> OwnAccount:
        """What the environment says of its account."""
        return OwnAccount(
            x=self.x,
            timezone=self.settings.bot_timezone,
            mode=self.settings.bot_mode,
            token_user_id=self.owner,
            needs_x=self.settings.bot_mode != "dry-run" or all(self.x_keys.values()),
        )

    @cached_property
    def rng(self) -> random.Random:
        """Jitter, and which sentence the offline writer takes."""
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
    def x(self) -> X:
        """The account on X."""
        from bot.x.client import XClient

        timeout = self.settings.x_timeout_seconds
        return XClient(
            **self.x_keys,
            base_url=self.x_base_url,
            connect_timeout=min(5.0, timeout),
            read_timeout=timeout,
            clock=self.services.clock.now,
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

    def close(self) -> None:
        """Closes what was opened."""
        if "cache" in vars(self):
            self.cache.close()

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

import pytest
import requests
import tweepy
from requests_oauthlib import OAuth1

from bot.sandbox import Keys, Sandbox


class LocalSession(requests.Session):
    """Sends what tweepy means for X to the sandbox."""

    def __init__(self, base_url: str, timeout: float) -> None:
        super().__init__()
        self._base_url = base_url
        self._timeout = timeout

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        local = str(url).replace("https://api.twitter.com", self._base_url)
        options |= {"timeout": self._timeout, "allow_redirects": False}
        return super().request(method, local, *args, **options)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


Speaker = Callable[..., AbstractContextManager[tweepy.Client]]


@pytest.fixture
def speaker() -> Speaker:
    """Gives tweepy clients for what a sandbox tells about itself at its start."""

    @contextmanager
    def speak(about: Mapping[str, str], timeout: float = 5.0) -> Iterator[tweepy.Client]:
        names = ("bearer_token", "api_key", "api_secret", "access_token", "access_token_secret")
        client = tweepy.Client(*(about[name] for name in names))
        client.session.close()
        with LocalSession(about["base_url"], timeout) as client.session:
            yield client

    return speak


@pytest.fixture
def connect(sandbox: Sandbox, speaker: Speaker) -> Iterator[Callable[..., tweepy.Client]]:
    """Gives tweepy clients that speak to the sandbox."""
    with ExitStack() as stack:

        def client(keys: Keys | None = None, timeout: float = 5.0) -> tweepy.Client:
            about = {"base_url": sandbox.base_url, "bearer_token": sandbox.bearer_token}
            return stack.enter_context(speaker({**about, **asdict(keys or sandbox.keys)}, timeout))

        yield client


@pytest.fixture
def client(connect: Callable[..., tweepy.Client]) -> tweepy.Client:
    return connect()


@pytest.fixture
def call(sandbox: Sandbox) -> Callable[..., requests.Response]:
    """Gives signed raw calls."""

    def send(method: str, path: str, **options: Any) -> requests.Response:
        keys = options.pop("keys", sandbox.keys)
        options.setdefault(
            "auth", OAuth1(keys.api_key, keys.api_secret, keys.access_token, keys.access_token_secret)
        )
        timeout = options.pop("timeout", 5)
        with requests.request(method, sandbox.base_url + path, timeout=timeout, **options) as response:
            return response

    return send

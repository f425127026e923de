"""The X of `publishing`: a strict sandbox in a process of its own, and bare tweepy clients of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import tweepy

from bot.sandbox import SandboxControl

ROOT = Path(__file__).resolve().parents[1]
# Far above what any run posts: speed is measured here, not limits.
ROOMY = 1_000_000_000
_TWEEPY_HOST = "https://api.twitter.com"
# To tell of tens of thousands of posts takes a while.
_STATE_SECONDS = 60.0


class _KeptSession(requests.Session):
    """Tweepy's session at another address, with its connection kept; the signature covers the address."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(method, self._base_url + str(url).removeprefix(_TWEEPY_HOST), *args, **kwargs)


@dataclass(frozen=True, kw_only=True)
class LocalX:
    """A strict sandbox in a process of its own."""

    base_url: str
    app: Mapping[str, str]
    control: SandboxControl

    def account(self, username: str) -> Mapping[str, Any]:
        """A new account; `keys` are what signs for it."""
        made = self.control.add_account(username)
        tokens = {name: made[name] for name in ("access_token", "access_token_secret")}
        return {"user_id": made["user_id"], "keys": {**self.app, **tokens}}

    def bare_client(self, username: str) -> tweepy.Client:
        """Tweepy alone, as a new account."""
        keys = self.account(username)["keys"]
        client = tweepy.Client(
            consumer_key=keys["api_key"],
            consumer_secret=keys["api_secret"],
            access_token=keys["access_token"],
            access_token_secret=keys["access_token_secret"],
        )
        client.session = _KeptSession(self.base_url)
        return client


@contextmanager
def local_x(latency_ms: int) -> Iterator[LocalX]:
    """Runs one that takes so long to answer a post."""
    command = [sys.executable, "-m", "bot.sandbox"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            control = SandboxControl(told["base_url"], timeout=_STATE_SECONDS)
            control.configure(
                limits={"POST /2/tweets": dict.fromkeys(("user_15min", "user_24hour", "app_24hour"), ROOMY)}
            )
            if latency_ms:
                control.arm("slow_first_byte", count=None, seconds=latency_ms / 1000)
            app = {name: told[name] for name in ("api_key", "api_secret")}
            yield LocalX(base_url=told["base_url"], app=app, control=control)
        finally:
            process.terminate()

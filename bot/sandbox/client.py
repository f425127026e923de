"""A thin client of the control API, for tests in other processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from bot.sandbox.model import ControlError, Post

TIMEOUT_SECONDS = 10.0


class SandboxControl:
    """Speaks to a running sandbox.

    Args:
        base_url: Where it listens.
        timeout: Seconds before a call is given up.
    """

    def __init__(self, base_url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout

    def state(self) -> dict[str, Any]:
        """Everything the sandbox knows."""
        return self._call("GET", "state")

    def posts(self) -> tuple[Post, ...]:
        """All live posts of all accounts, oldest first."""
        names = Post.__dataclass_fields__
        rows = ({name: row[name] for name in names} for row in self.state()["posts"])
        return tuple(post for post in map(Post.from_json, rows) if post.live)

    def calls(self) -> dict[str, int]:
        """How many calls got which outcome."""
        calls: dict[str, int] = self.state()["calls"]
        return calls

    def arm(self, kind: str, **options: Any) -> dict[str, Any]:
        """Arm a fault; options are those of `Sandbox.arm`."""
        fault: dict[str, Any] = self._call("POST", "faults", {"kind": kind, **options})["fault"]
        return fault

    def disarm(self) -> None:
        """Disarm all faults."""
        self._call("DELETE", "faults")

    def configure(self, **settings: Any) -> None:
        """Change settings."""
        self._call("POST", "settings", settings)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock on."""
        self.configure(advance_seconds=seconds)

    def add_account(self, username: str, **options: str) -> dict[str, Any]:
        """Add an account, with its tokens in the answer."""
        account: dict[str, Any] = self._call("POST", "accounts", {"username": username, **options})["account"]
        return account

    def add_post(self, text: str, **options: str | None) -> Post:
        """Make a post by hand; options are those of `Sandbox.add_post`."""
        return Post.from_json(self._call("POST", "posts", {"text": text, **options})["post"])

    def delete_post(self, post_id: str) -> None:
        """Delete a post by hand."""
        self._call("DELETE", f"posts/{post_id}")

    def set_metrics(self, post_id: str, **metrics: int) -> None:
        """Set some metrics of a post."""
        self._call("POST", f"posts/{post_id}/metrics", metrics)

    def reset(self) -> None:
        """Forget everything but the keys."""
        self._call("POST", "reset")

    def _call(self, method: str, action: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        url = f"{self._base_url}/_sandbox/{action}"
        with requests.request(method, url, json=body, timeout=self._timeout) as response:
            answer: dict[str, Any] = response.json()
            if not response.ok:
                raise ControlError(answer["error"])
            return answer

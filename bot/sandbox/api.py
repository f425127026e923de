"""`Sandbox`: the whole thing as one Python object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bot.sandbox import control
from bot.sandbox.clock import real_clock
from bot.sandbox.model import Account, ControlError, Keys, Post
from bot.sandbox.server import Server
from bot.sandbox.state import BEARER_TOKEN, DEFAULT_KEYS, State


class Sandbox:
    """A strict local stand-in for the X API v2, over real HTTP on 127.0.0.1.

    A stopped sandbox starts again on the same port with everything it knew.

    Args:
        port: The port; 0 picks a free one at the first start.
        state_path: Where posts, deletions, accounts, metrics and charges are kept; None keeps them in memory.
        keys: The app's keys and the first account's tokens; recognisably fake ones when None.
        seed: Makes ids, t.co links and chances repeatable.
        clock: The base of the sandbox's time, giving aware moments; the real time when None.
        username: The first account's user name.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        state_path: Path | None = None,
        keys: Keys | None = None,
        seed: int = 0,
        clock: Callable[[], datetime] | None = None,
        username: str = "sandbox_bot",
    ) -> None:
        self._port = port
        self._server: Server | None = None
        self._state = State(
            keys=keys or DEFAULT_KEYS,
            username=username,
            seed=seed,
            clock=clock or real_clock,
            path=state_path,
        )

    def start(self) -> Self:
        """Listen, and serve in the background."""
        if self._server is None:
            self._server = Server(self._port, self._state)
            self._port = self._server.server_port
            self._server.start()
        return self

    def stop(self) -> None:
        """Cut all connections and free the port, within a second."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Where it listens, without a trailing slash.

        Raises:
            ControlError: It never started.
        """
        if self._port == 0:
            raise ControlError("the sandbox has no port yet; start it first")
        return f"http://127.0.0.1:{self._port}"

    @property
    def keys(self) -> Keys:
        """The keys that sign for the first account."""
        return self._state.keys

    @property
    def bearer_token(self) -> str:
        """The app's own token."""
        return BEARER_TOKEN

    @property
    def user_id(self) -> str:
        """The first account's id."""
        return self._state.main.user_id

    @property
    def username(self) -> str:
        """The first account's user name."""
        return self._state.main.username

    @property
    def now(self) -> datetime:
        """The sandbox's time."""
        with self._state.lock:
            return self._state.now()

    @property
    def calls(self) -> Mapping[str, int]:
        """How many calls got which outcome: "POST /2/tweets 201", "POST /2/tweets dropped" and the like."""
        with self._state.lock:
            return dict(self._state.calls)

    def posts(self, account: str | None = None) -> tuple[Post, ...]:
        """One account's live posts, visible or not yet, oldest first.

        Args:
            account: A user id or name; the first account when None.
        """
        with self._state.lock:
            owner = self._state.find_account(account or self.user_id)
            return tuple(sorted(self._state.live_posts(owner.user_id), key=lambda post: int(post.id)))

    def state(self) -> dict[str, Any]:
        """Everything, as `GET /_sandbox/state` tells it."""
        with self._state.lock:
            return control.snapshot(self._state, {})

    def arm(
        self,
        kind: str,
        *,
        endpoint: str = "POST /2/tweets",
        account: str | None = None,
        count: int | None = 1,
        probability: float | None = None,
        after: int = 0,
        seed: int | None = None,
        seconds: float | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> dict[str, Any]:
        """Arm a fault and give it as `POST /_sandbox/faults` does.

        Args:
            kind: One of `bot.sandbox.faults.KINDS`.
            endpoint: The endpoint's name, or "*".
            account: The user id or name of the one account that it meets; everyone when None.
            count: How often it fires; None for ever.
            probability: The chance that a matching call fires it; None for every one.
            after: How many matching calls pass first.
            seed: Seeds the chance; the sandbox's own seed when None.
            seconds: How long it hangs or delays, or how far ahead a 429's reset lies.
            headers: Extra headers of the answer; None removes one.

        Raises:
            ControlError: Something about it is wrong.
        """
        body = {
            "kind": kind,
            "endpoint": endpoint,
            "account": account,
            "count": count,
            "probability": probability,
            "after": after,
            "seed": seed,
            "seconds": seconds,
            "headers": dict(headers or {}),
        }
        with self._state.lock:
            fault: dict[str, Any] = control.arm(self._state, body)["fault"]
        return fault

    def disarm(self) -> None:
        """Disarm all faults."""
        with self._state.lock:
            control.disarm(self._state, {})

    def configure(self, **settings: Any) -> None:
        """Change settings, named and shaped as `POST /_sandbox/settings` takes them.

        Raises:
            ControlError: A name is unknown or a value is wrong.
        """
        with self._state.lock:
            control.configure(self._state, settings)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock on."""
        self.configure(advance_seconds=seconds)

    def add_account(self, username: str, **options: str) -> Account:
        """Add an account; options are `name`, `access_token` and `access_token_secret`.

        Raises:
            ControlError: The name is wrong or taken.
        """
        with self._state.lock:
            row = control.add_account(self._state, {"username": username, **options})["account"]
        return Account.from_json(row)

    def keys_of(self, account: str) -> Keys:
        """The keys that sign for an account, by user id or name."""
        with self._state.lock:
            found = self._state.find_account(account)
        return Keys(
            api_key=self.keys.api_key,
            api_secret=self.keys.api_secret,
            access_token=found.access_token,
            access_token_secret=found.access_token_secret,
        )

    def add_post(self, text: str, **options: str | None) -> Post:
        """Make a post by hand; options are `account`, `reply_to`, `quote_of` and `created_at` (ISO 8601).

        Raises:
            ControlError: The account, the text, the target or the moment is wrong.
        """
        with self._state.lock:
            row = control.add_post(self._state, {"text": text, **options})["post"]
        return Post.from_json(row)

    def delete_post(self, post_id: str) -> None:
        """Delete a post by hand."""
        with self._state.lock:
            control.delete_post(self._state, post_id, {})

    def set_metrics(self, post_id: str, **metrics: int) -> None:
        """Set some metrics of a post, such as `like_count=3`."""
        with self._state.lock:
            control.set_metrics(self._state, post_id, metrics)

    def reset(self) -> None:
        """Forget everything but the keys."""
        with self._state.lock:
            control.reset(self._state, {})

"""Everything the sandbox knows, behind one lock."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bot.sandbox import texts
from bot.sandbox.clock import SandboxClock, real_time
from bot.sandbox.credits import Charge, Ledger
from bot.sandbox.faults import Faults
from bot.sandbox.journal import Journal
from bot.sandbox.limits import Limits
from bot.sandbox.model import Account, ControlError, Keys, Media, Post
from bot.sandbox.signatures import Verifier

FIRST_USER_ID: Final = 1500000000000000001
DEFAULT_KEYS: Final = Keys(
    api_key="sandbox-api-key",
    api_secret="sandbox-api-secret-not-a-secret",  # noqa: S106 - recognisably fake, and the same for everyone
    access_token=f"{FIRST_USER_ID}-sandbox-access-token",
    access_token_secret="sandbox-access-token-secret-not-a-secret",  # noqa: S106 - same
)
BEARER_TOKEN: Final = "sandbox-bearer-token-not-a-secret"  # noqa: S105 - same
METRICS: Final = (
    "retweet_count",
    "reply_count",
    "like_count",
    "quote_count",
    "bookmark_count",
    "impression_count",
    "url_link_clicks",
    "user_profile_clicks",
    "engagements",
)

_SNOWFLAKE_EPOCH_MS: Final = 1288834974657
_SNOWFLAKE_BITS: Final = 22
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SLUG_LENGTH: Final = 10
_DAY_SECONDS: Final = 86_400.0


class State:
    """Accounts, posts, media, limits, money, faults and settings.

    `lock` guards everything; callers hold it while they read or write, and never while they wait.

    Args:
        keys: The app's keys and the first account's tokens.
        username: The first account's user name.
        seed: Makes ids, t.co links and chances repeatable.
        clock: The base of the sandbox's time.
        path: Where posts are kept; None keeps them in memory alone.
    """

    def __init__(
        self, *, keys: Keys, username: str, seed: int, clock: Callable[[], datetime], path: Path | None
    ) -> None:
        self.lock = threading.RLock()
        self.keys = keys
        self.seed = seed
        self.verifier = Verifier(real_time=real_time)
        self._username = username
        self._base_clock = clock
        self._journal = Journal(path)
        self._start_empty()
        self._replay()

    def reset(self) -> None:
        """Forget everything but the keys, on disk too."""
        self._journal.clear()
        self._start_empty()

    def _start_empty(self) -> None:
        self.clock = SandboxClock(self._base_clock)
        self.accounts: dict[str, Account] = {}
        self.posts: dict[str, Post] = {}
        # Ids by account and fingerprint: X looks for a duplicate at each post.
        self._said: dict[tuple[str, str], list[str]] = {}
        self.media: dict[str, Media] = {}
        self.segments: dict[str, dict[int, int]] = {}
        self.metrics: dict[str, Counter[str]] = {}
        self.calls: Counter[str] = Counter()
        self.limits = Limits()
        self.ledger = Ledger()
        self.faults = Faults()
        self.visibility_delay = 0.0
        self.duplicate_window_seconds = _DAY_SECONDS
        self.referenced_key = "referenced_tweets"
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose
        self._last_id = 0
        main = Account(
            user_id=str(FIRST_USER_ID),
            username=self._username,
            name=self._username,
            access_token=self.keys.access_token,
            access_token_secret=self.keys.access_token_secret,
            created_at=self.now(),
        )
        self.accounts[main.user_id] = main

    def _replay(self) -> None:
        for row in self._journal.read():
            match row["kind"]:
                case "account":
                    account = Account.from_json(row)
                    self.accounts[account.user_id] = account
                case "post":
                    self._replay_post(Post.from_json(row))
                case "delete":
                    moment = datetime.fromisoformat(row["deleted_at"])
                    self.posts[row["id"]] = replace(self.posts[row["id"]], deleted_at=moment)
                case "metrics":
                    self.metrics[row["id"]].update(row["values"])
                case "charge":
                    self.ledger.enter(Charge.from_json(row))

    def _replay_post(self, post: Post) -> None:
        self._remember(post)
        if post.source == "api":
            self.limits.accept("POST /2/tweets", post.account_id, post.created_at)
            self.limits.count_month("posts", post.created_at)

    def now(self) -> datetime:
        """The sandbox's time."""
        return self.clock.now()

    @property
    def main(self) -> Account:
        """The first account."""
        return self.accounts[str(FIRST_USER_ID)]

    def add_account(self, account: Account) -> None:
        """Keep one more account."""
        self.accounts[account.user_id] = account
        self._journal.append("account", account.to_json())

    def find_account(self, name: str) -> Account:
        """The account with this id or user name.

        Raises:
            ControlError: There is none.
        """
        for account in self.accounts.values():
            if name == account.user_id or name.lower() == account.username.lower():
                return account
        known = ", ".join(account.username for account in self.accounts.values())
        raise ControlError(f"no account {name!r}; known accounts: {known}")

    def account_of(self, token: str) -> Account | None:
        """The account that an access token belongs to."""
        return next((account for account in self.accounts.values() if account.access_token == token), None)

    def add_post(self, post: Post) -> None:
        """Keep a post, on disk before anyone hears of it."""
        self._journal.append("post", post.to_json())
        self._remember(post)

    def _remember(self, post: Post) -> None:
        self.posts[post.id] = post
        if said := texts.fingerprint(post.text):
            self._said.setdefault((post.account_id, said), []).append(post.id)
        self.metrics[post.id] = Counter()
        self._last_id = max(self._last_id, int(post.id))

    def delete_post(self, post_id: str) -> None:
        """Mark a post deleted, on disk before anyone hears of it."""
        moment = self.now()
        self._journal.append("delete", {"id": post_id, "deleted_at": moment.isoformat()})
        self.posts[post_id] = replace(self.posts[post_id], deleted_at=moment)

    def set_metrics(self, post_id: str, values: dict[str, int]) -> None:
        """Set some of a post's metrics."""
        self._journal.append("metrics", {"id": post_id, "values": values})
        for name, value in values.items():
            self.metrics[post_id][name] = value

    def charge(self, item: str, resource: str, account_id: str | None) -> None:
        """Charge one written resource."""
        entry = self.ledger.charge(item, resource, account_id, self.now())
        self._journal.append("charge", entry.to_json())

    def charge_reads(self, item: str, resources: list[str], account_id: str | None) -> None:
        """Charge read resources, each once a UTC day."""
        for entry in self.ledger.charge_reads(item, resources, account_id, self.now()):
            self._journal.append("charge", entry.to_json())

    def live_post(self, post_id: str) -> Post | None:
        """A post that still exists, visible or not yet."""
        post = self.posts.get(post_id)
        return post if post is not None and post.live else None

    def visible(self, post: Post) -> bool:
        """Whether timelines and look-ups show the post by now."""
        return post.live and post.created_at + timedelta(seconds=self.visibility_delay) <= self.now()

    def live_posts(self, account_id: str) -> Iterator[Post]:
        """One account's existing posts, oldest first by arrival."""
        return (post for post in self.posts.values() if post.live and post.account_id == account_id)

    def posts_saying(self, account_id: str, text: str) -> Iterator[Post]:
        """One account's existing posts that are duplicates of a text; none for a text without words."""
        ids = self._said.get((account_id, texts.fingerprint(text)), ())
        return (self.posts[post_id] for post_id in ids if self.posts[post_id].live)

    def addresses(self, post: Post, account: Account) -> bool:
        """Whether a post mentions the account, or answers one of its posts, which X counts as a mention."""
        answered = self.posts.get(post.reply_to or "")
        return account.username.lower() in texts.mentions(post.text) or (
            answered is not None and answered.account_id == account.user_id
        )

    def next_id(self, moment: datetime | None = None) -> str:
        """A fresh snowflake id; without a moment, larger than every id before it."""
        created = self.now() if moment is None else moment
        milliseconds = max(0, int(created.timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS)
        number = (milliseconds << _SNOWFLAKE_BITS) | self._random.getrandbits(_SNOWFLAKE_BITS)
        if moment is None:
            number = max(number, self._last_id + 1)
        while str(number) in self.posts:
            number += 1
        self._last_id = max(self._last_id, number)
        return str(number)

    def slug(self, post_id: str, number: int) -> str:
        """The ten characters of a post's n-th t.co link."""
        digest = hashlib.sha256(f"{self.seed}/{post_id}/{number}".encode()).digest()
        return "".join(_BASE62[byte % len(_BASE62)] for byte in digest[:_SLUG_LENGTH])

    def snapshot(self) -> dict[str, Any]:
        """Everything, as the control API shows it."""
        posts = sorted(self.posts.values(), key=lambda post: int(post.id))
        return {
            "now": self.now().isoformat(),
            "accounts": [account.to_json() for account in self.accounts.values()],
            "posts": [{**post.to_json(), "metrics": dict(self.metrics[post.id])} for post in posts],
            "media": [media.to_json() for media in self.media.values()],
            "calls": dict(self.calls),
            "charges": [entry.to_json() for entry in self.ledger.charges],
            "charged": str(self.ledger.total),
            "credits": None if self.ledger.balance is None else str(self.ledger.balance),
            "month": {cap: self.limits.used_this_month(cap, self.now()) for cap in ("posts", "reads")},
            "faults": [fault.to_json() for fault in self.faults.armed],
        }

"""`XClient`: the few calls that the bot makes to X, each answered in its own words or errors.

Source: https://docs.x.com/x-api, and tweepy 4.17 for what it does with the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from http.client import HTTPException
from typing import Any, TypeVar

import requests
import tweepy
from urllib3.exceptions import HTTPError

from bot.core.codes import ErrorCode
from bot.core.errors import Fatal, Refused, ServiceError
from bot.core.model import Account, LivePost, Posted, Timeline
from bot.core.moments import aware
from bot.core.posting.post import Post
from bot.core.rates import RateWindow
from bot.ports import X
from bot.x import answers
from bot.x.connection import Lines
from bot.x.problems import Answer
from bot.x.reading import (
    Page,
    UnreadableBody,
    is_id,
    read_account,
    read_deleted,
    read_lookup,
    read_page,
    read_posted,
)
from bot.x.session import ErrorAnswer, XSession, as_answer

_Result = TypeVar("_Result")

NOISY_LOGGERS: tuple[str, ...] = ("oauthlib", "requests_oauthlib", "tweepy")
"""Loggers that print keys, tokens, signatures or post texts at DEBUG: keep them at WARNING."""

_FIELDS = ["created_at", "entities", "referenced_tweets", "public_metrics"]
_PAGE_MIN = 5
_PAGE_MAX = 100
_LOOKUP_MAX = 100
# X shows no older posts of an account than these, and doesn't say that there are some.
_OLDEST_SHOWN = 3200
# X may send pages with few posts or none and still have more: this many are spared for them.
_SPARE_PAGES = 5


class XClient(X):
    """X API v2 with one account's keys.

    Nothing is called, and no key is checked, before the first call. Every call is made once, and may
    raise one of `Retryable`, `Refused`, `Fatal` and, for `create_post` alone, `OutcomeUnknown`; their
    codes are the table in `bot.x.answers`.

    Args:
        api_key: the app's consumer key.
        api_secret: its secret.
        access_token: the account's token for this app.
        access_token_secret: its secret.
        base_url: where the API is, without `/2`.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for the next byte.
        lines: what the calls go over, shared with other accounts' clients; without it a call ends after
            twice the read timeout altogether.
        clock: gives now (aware), asked only when X names no end to a wait.
    """

    def __init__(
        self,
        *,
        api_key: str,
        api_secret: str,
        access_token: str,
        access_token_secret: str,
        base_url: str = "https://api.x.com",
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        lines: Lines | None = None,
        clock: Callable[[], datetime],
    ) -> None:
        self._base_url = base_url
        self._clock = clock
        self._keys = {
            "X_API_KEY": api_key,
            "X_API_SECRET": api_secret,
            "X_ACCESS_TOKEN": access_token,
            "X_ACCESS_TOKEN_SECRET": access_token_secret,
        }
        self._tweepy = tweepy.Client(
            consumer_key=api_key,
            consumer_secret=api_secret,
            access_token=access_token,
            access_token_secret=access_token_secret,
            return_type=requests.Response,
            wait_on_rate_limit=False,
        )
        self._tweepy.session = XSession(
            base_url=base_url,
            timeouts=(connect_timeout, read_timeout),
            lines=lines or Lines(2 * read_timeout),
        )

    def __repr__(self) -> str:
        return f"XClient(base_url={self._base_url!r})"

    def me(self) -> Account:
        """Whose keys these are: `GET /2/users/me`, one user read."""
        return self._call("GET", lambda: self._tweepy.get_me(user_auth=True), read_account)

    def create_post(self, post: Post) -> Posted:
        """Makes a post: `POST /2/tweets`, sent once and never repeated.

        Raises:
            OutcomeUnknown: the post may exist.
        """
        return self._call(
            "POST",
            lambda: self._tweepy.create_tweet(
                text=post.text, in_reply_to_tweet_id=post.reply_to, user_auth=True
            ),
            lambda answer: read_posted(answer, sent=post.text),
        )

    def timeline(
        self,
        x_user_id: str,
        *,
        since: datetime | None = None,
        since_id: str | None = None,
        limit: int = 100,
    ) -> Timeline:
        """An account's own posts, newest first: `GET /2/users/{id}/tweets`, page by page.

        Args:
            x_user_id: whose.
            since: not those before this moment (aware; X counts in whole seconds, rounded down).
            since_id: not this post and those before it.
            limit: how many posts at most; a page has at least 5, which X bills.

        Returns:
            The posts; `complete` is False when there were more, or when X shows no older ones, and
            `whole` when a page proves nothing of what it doesn't show. `rates` are the last page's.

        Raises:
            ValueError: `since` is naive, or `limit` below 1.
        """
        if limit < 1:
            raise ValueError(f"a timeline of {limit} posts says nothing")
        wanted = {
            "start_time": aware(since) if since else None,
            "since_id": since_id,
            "tweet_fields": _FIELDS,
        }
        posts: list[LivePost] = []
        rates: tuple[RateWindow, ...] = ()
        token: str | None = None
        whole = True
        for _ in range(limit // _PAGE_MIN + _SPARE_PAGES):
            size = min(max(limit - len(posts), _PAGE_MIN), _PAGE_MAX)
            try:
                page, rates = self._page(x_user_id, wanted | {"max_results": size, "pagination_token": token})
            except ServiceError as error:
                error.served = len(posts)
                raise
            posts += page.posts
            token, whole = page.token, whole and page.whole
            if token is None or len(posts) >= limit:
                break
        # Posts that came twice stand for others that didn't come.
        whole = whole and len({post.x_tweet_id for post in posts}) == len(posts)
        complete = token is None and len(posts) <= limit and len(posts) < _OLDEST_SHOWN
        return Timeline(posts=tuple(posts[:limit]), complete=complete, whole=whole, rates=rates)

    def lookup(self, ids: Sequence[str]) -> Timeline:
        """The posts with these ids that exist: `GET /2/tweets`, a hundred ids a call.

        Returns:
            The posts that X shows, in its order, and without a text those that it doesn't say are gone;
            `rates` are the last call's.
        """
        posts: list[LivePost] = []
        rates: tuple[RateWindow, ...] = ()
        for some in _batches(list(dict.fromkeys(ids)), _LOOKUP_MAX):
            found, rates = self._look_up(some)
            posts += found
        return Timeline(posts=tuple(posts), rates=rates)

    def delete(self, x_tweet_id: str) -> bool:
        """Deletes a post: `DELETE /2/tweets/{id}`, which may be repeated.

        Returns:
            Whether X says that it is deleted.
        """
        _check_id(x_tweet_id)
        return self._call(
            "DELETE", lambda: self._tweepy.delete_tweet(x_tweet_id, user_auth=True), read_deleted
        )

    def _page(self, x_user_id: str, wanted: Mapping[str, Any]) -> tuple[Page, tuple[RateWindow, ...]]:
        _check_id(x_user_id)
        return self._call(
            "GET",
            lambda: self._tweepy.get_users_tweets(x_user_id, user_auth=True, **wanted),
            lambda answer: (read_page(answer), answer.rates),
        )

    def _look_up(self, ids: list[str]) -> tuple[tuple[LivePost, ...], tuple[RateWindow, ...]]:
        return self._call(
            "GET",
            lambda: self._tweepy.get_tweets(ids, user_auth=True, tweet_fields=_FIELDS),
            lambda answer: (read_lookup(answer, asked=ids), answer.rates),
        )

    def _call(
        self, method: str, send: Callable[[], requests.Response], read: Callable[[Answer], _Result]
    ) -> _Result:
        self._check_keys()
        try:
            return read(as_answer(send()))
        except ErrorAnswer as error:
            raise answers.refusal(method, error.answer, now=self._clock()) from error
        except UnreadableBody as error:
            raise answers.unreadable(method, error.answer) from error
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            raise answers.silence(method, error) from error

    def _check_keys(self) -> None:
        missing = [name for name, key in self._keys.items() if not key]
        if missing:
            raise Fatal(
                f"missing: {', '.join(missing)}", code=ErrorCode.KEYS_MISSING, fix=f"set {', '.join(missing)}"
            )
        odd = [name for name, key in self._keys.items() if not (key.isascii() and key.isprintable())]
        if odd:
            # Not sent: the encoder's complaint would quote the key.
            message = f"{', '.join(odd)} has characters that no key has"
            raise Fatal(message, code="keys_invalid", fix=f"copy {', '.join(odd)} again")


def _check_id(x_id: str) -> None:
    """An id becomes part of an address, where anything else would call something else."""
    if not is_id(x_id):
        raise Refused(f"{x_id!r} is not an id of X", code="invalid_request")


def _batches(ids: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]

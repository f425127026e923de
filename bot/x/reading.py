"""Reads the bodies of X's yes-answers into the bot's words, and takes nothing on trust.

A body that does not prove what it claims is unreadable: an "empty" timeline that was really a
broken answer would pass for the proof that a post does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus as Http
from typing import Any, NamedTuple

from bot.core.content.text import unescape
from bot.core.model import Account, LivePost, Posted
from bot.x.problems import Answer

# Source: the TweetId and UserId patterns of X's OpenAPI document.
_ID = re.compile(r"[0-9]{1,19}")
# X began in the first; sums of moments after the last can't be told.
_YEARS = range(2006, 2200)
_MEDIA_ADDRESS = re.compile(r"https?://([\w-]+\.)*(x|twitter)\.com/.*/(photo|video)/[0-9]+")


class UnreadableBody(Exception):
    """A yes-answer whose body does not say what it must."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(f"status {answer.status}, {len(answer.body)} bytes")


def is_id(value: object) -> bool:
    """Whether the value is an id as X gives them: 1 to 19 digits in a string."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def read_account(answer: Answer) -> Account:
    """The answer of `GET /2/users/me`.

    Raises:
        UnreadableBody: it names no account.
    """
    data = _object(answer).get("data")
    if not isinstance(data, dict) or not is_id(data.get("id")) or not isinstance(data.get("username"), str):
        raise UnreadableBody(answer)
    return Account(x_user_id=data["id"], username=data["username"])


def read_posted(answer: Answer, *, sent: str) -> Posted:
    """The answer of `POST /2/tweets`; `sent` is the text for an answer that has none.

    Raises:
        UnreadableBody: it names no post.
    """
    data = _object(answer).get("data")
    if not isinstance(data, dict) or not is_id(data.get("id")):
        raise UnreadableBody(answer)
    text = data.get("text")
    shown = unescape(text) if isinstance(text, str) else sent
    return Posted(x_tweet_id=data["id"], text=shown, rates=answer.rates)


def read_deleted(answer: Answer) -> bool:
    """The answer of `DELETE /2/tweets/{id}`.

    Raises:
        UnreadableBody: it does not say whether the post is gone.
    """
    data = _object(answer).get("data")
    if not isinstance(data, dict) or not isinstance(data.get("deleted"), bool):
        raise UnreadableBody(answer)
    return bool(data["deleted"])


class Page(NamedTuple):
    """One page of a timeline: its posts, the token of the next page, and whether it is whole.

    Only a page that counts its posts right, and speaks of no errors, shows that others are not there.
    """

    posts: tuple[LivePost, ...]
    token: str | None
    whole: bool


def read_page(answer: Answer) -> Page:
    """One page of `GET /2/users/{id}/tweets`.

    Raises:
        UnreadableBody: it has no posts and does not say that there are none, or fewer than it counts.
    """
    document = _object(answer)
    meta = document.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    count, errors = meta.get("result_count"), document.get("errors")
    if "data" not in document and (count != 0 or errors):
        raise UnreadableBody(answer)
    posts = _posts(answer, document.get("data", []))
    if isinstance(count, int) and count > len(posts):
        raise UnreadableBody(answer)
    token = meta.get("next_token")
    whole = answer.status == Http.OK and not errors and type(count) is int and count == len(posts)
    return Page(posts, token if isinstance(token, str) and token else None, whole)


def read_lookup(answer: Answer, *, asked: Sequence[str]) -> tuple[LivePost, ...]:
    """The answer of `GET /2/tweets`: the posts that exist, and those of which it doesn't say.

    A post that X keeps back, for another reason than that there is none, comes without its text.

    Args:
        answer: as it came.
        asked: the ids that were asked for.

    Raises:
        UnreadableBody: it has neither posts nor errors.
    """
    document = _object(answer)
    errors = document.get("errors")
    if "data" not in document and not isinstance(errors, list):
        raise UnreadableBody(answer)
    shown = _posts(answer, document.get("data", []))
    settled = {post.x_tweet_id for post in shown} | {
        error.get(name)
        for error in _rows(errors)
        for name in ("value", "resource_id")
        if str(error.get("type", "")).endswith("/problems/resource-not-found")
        and isinstance(error.get(name), str)
    }
    kept_back = [LivePost(x_tweet_id=x_id, text="", created_at=None) for x_id in asked if x_id not in settled]
    return (*shown, *kept_back)


def _object(answer: Answer) -> dict[str, Any]:
    document = answer.json()
    if not isinstance(document, dict):
        raise UnreadableBody(answer)
    return document


def _posts(answer: Answer, data: Any) -> tuple[LivePost, ...]:
    if not isinstance(data, list):
        raise UnreadableBody(answer)
    if not all(
        isinstance(row, dict) and is_id(row.get("id")) and isinstance(row.get("text"), str) for row in data
    ):
        raise UnreadableBody(answer)
    return tuple(_live_post(row) for row in data)


def _live_post(row: Mapping[str, Any]) -> LivePost:
    return LivePost(
        x_tweet_id=row["id"],
        text=unescape(row["text"]),
        created_at=_moment(row.get("created_at")),
        reply_to=_reply_to(row),
        links=_links(row),
        metrics=_metrics(row),
    )


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo and moment.year in _YEARS else None
    except (ValueError, OverflowError):
        return None


def _reply_to(row: Mapping[str, Any]) -> str | None:
    # The prose of X's documentation has the first name, its newest OpenAPI document the second.
    for reference in [*_rows(row.get("referenced_tweets")), *_rows(row.get("referenced_posts"))]:
        if reference.get("type") == "replied_to" and is_id(reference.get("id")):
            return str(reference["id"])
    return None


def _links(row: Mapping[str, Any]) -> dict[str, str]:
    entities = row.get("entities")
    urls = _rows(entities.get("urls")) if isinstance(entities, dict) else []
    return {url["url"]: _target(url) for url in urls if isinstance(url.get("url"), str)}


def _target(url: Mapping[str, Any]) -> str:
    # `expanded_url` is the address that was written; `unwound_url` is where its redirects end.
    written = next((url[key] for key in ("expanded_url", "unwound_url") if isinstance(url.get(key), str)), "")
    return "" if url.get("media_key") or _MEDIA_ADDRESS.fullmatch(written) else written


def _metrics(row: Mapping[str, Any]) -> dict[str, int]:
    metrics = row.get("public_metrics")
    items = metrics.items() if isinstance(metrics, dict) else ()
    return {name: count for name, count in items if isinstance(count, int)}


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []

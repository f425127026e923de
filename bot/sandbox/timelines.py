"""`GET /2/users/:id/tweets`: an account's timeline, newest first, in pages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from bot.sandbox.answers import Answer, Refusal, invalid, json_answer, not_found_error
from bot.sandbox.calls import Call, is_id
from bot.sandbox.endpoints import Act
from bot.sandbox.model import Post
from bot.sandbox.rendering import FIELD_PARAMETERS, read_wish, render_posts
from bot.sandbox.state import State

PAGE_SIZES: Final = range(5, 101)
DEFAULT_PAGE_SIZE: Final = 10
PARAMETERS: Final = FIELD_PARAMETERS | {
    "max_results",
    "since_id",
    "until_id",
    "start_time",
    "end_time",
    "pagination_token",
    "exclude",
}

_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)
_TOKEN_PREFIX: Final = "sandbox-page-"  # noqa: S105 - a page's token, no secret


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of a timeline is wanted; ids are exclusive, `start` is inclusive and `end` exclusive."""

    size: int
    since_id: int
    until_id: int | None
    start: datetime | None
    end: datetime | None
    without_replies: bool

    def holds(self, post: Post) -> bool:
        """Whether a post lies in the window."""
        number = int(post.id)
        return (
            self.since_id < number
            and (self.until_id is None or number < self.until_id)
            and (self.start is None or self.start <= post.created_at)
            and (self.end is None or post.created_at < self.end)
            and not (self.without_replies and post.reply_to is not None)
        )


def show_timeline(state: State, call: Call) -> Act:
    """`GET /2/users/:id/tweets`."""
    values = call.query_values(PARAMETERS)
    window = _read_window(values)
    wish = read_wish(values)
    user_id = call.path_id()
    if user_id not in state.accounts:
        raise Refusal(json_answer(HTTPStatus.OK, {"errors": [not_found_error("user", "id", user_id)]}))
    state.limits.require_cap("reads", state.now())

    def act() -> Answer:
        posts = [post for post in state.live_posts(user_id) if state.visible(post) and window.holds(post)]
        posts.sort(key=lambda post: int(post.id), reverse=True)
        page = posts[: window.size]
        item = "own_post_read" if call.caller == user_id else "post_read"
        state.charge_reads(item, [post.id for post in page], call.caller)
        state.limits.count_month("reads", state.now(), len(page))
        meta: dict[str, Any] = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": page[0].id, "oldest_id": page[-1].id}
        if len(posts) > len(page):
            meta["next_token"] = _write_token(page[-1].id)
        return json_answer(HTTPStatus.OK, {**render_posts(state, page, wish, call.caller), "meta": meta})

    return act


def _read_window(values: Mapping[str, str]) -> Window:
    until = [_read_id(values, "until_id"), _read_token(values)]
    start, end = _read_moment(values, "start_time"), _read_moment(values, "end_time")
    if start is not None and end is not None and end <= start:
        raise invalid(
            "end_time", values["end_time"], "Invalid time range: `end_time` must be after `start_time`."
        )
    excluded = set(values["exclude"].split(",")) if "exclude" in values else set()
    if not excluded <= {"replies", "retweets"}:
        raise invalid(
            "exclude", values["exclude"], "The `exclude` query parameter may hold [replies,retweets]"
        )
    return Window(
        size=_read_size(values),
        since_id=_read_id(values, "since_id") or 0,
        until_id=min((number for number in until if number is not None), default=None),
        start=start,
        end=end,
        without_replies="replies" in excluded,
    )


def _read_size(values: Mapping[str, str]) -> int:
    text = values.get("max_results", str(DEFAULT_PAGE_SIZE))
    if not (text.isascii() and text.isdigit()) or int(text) not in PAGE_SIZES:
        message = f"The `max_results` query parameter value [{text}] is not between 5 and 100"
        raise invalid("max_results", text, message)
    return int(text)


def _read_id(values: Mapping[str, str], name: str) -> int | None:
    if name not in values:
        return None
    if not is_id(values[name]):
        raise invalid(name, values[name], f"The `{name}` query parameter value [{values[name]}] is not valid")
    return int(values[name])


def _read_moment(values: Mapping[str, str], name: str) -> datetime | None:
    if name not in values:
        return None
    text = values[name]
    wrong = invalid(
        name, text, f"The `{name}` query parameter value [{text}] is not an RFC 3339 moment in UTC"
    )
    if not _MOMENT.fullmatch(text):
        raise wrong
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise wrong from error


def _write_token(post_id: str) -> str:
    return base64.urlsafe_b64encode(f"{_TOKEN_PREFIX}{post_id}".encode()).decode().rstrip("=")


def _read_token(values: Mapping[str, str]) -> int | None:
    if "pagination_token" not in values:
        return None
    token = values["pagination_token"]
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    post_id = text.removeprefix(_TOKEN_PREFIX)
    if not text.startswith(_TOKEN_PREFIX) or not is_id(post_id):
        raise invalid(
            "pagination_token", token, f"The `pagination_token` query parameter value [{token}] is not valid"
        )
    return int(post_id)

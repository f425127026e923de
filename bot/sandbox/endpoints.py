"""The endpoints that write and look up posts and users.

Each takes the state and a call, refuses what is wrong, and returns the act that carries the call out. Nothing
changes before that act runs, so that a fault can strike between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from bot.sandbox import texts
from bot.sandbox.answers import Answer, Refusal, duplicate, forbidden, invalid, json_answer, not_found_error
from bot.sandbox.calls import Call, is_id
from bot.sandbox.drafts import Draft, read_draft
from bot.sandbox.model import Account, Post
from bot.sandbox.rendering import (
    FIELD_PARAMETERS,
    USER_FIELDS,
    post_text,
    read_wish,
    render_posts,
    render_user,
)
from bot.sandbox.state import State

Act = Callable[[], Answer]
Endpoint = Callable[[State, Call], Act]

MAX_IDS: Final = 100
_ONE_OF_A_KIND: Final = {"tweet_gif", "tweet_video"}


def create_post(state: State, call: Call) -> Act:
    """`POST /2/tweets`."""
    account = call.require_account()
    draft = read_draft(call.json_object())
    _check_media(state, account, draft)
    _check_targets(state, account, draft)
    _check_duplicate(state, account, draft)
    state.limits.require_cap("posts", state.now())
    return lambda: _store(state, account, draft)


def _store(state: State, account: Account, draft: Draft) -> Answer:
    post = Post(id=state.next_id(), account_id=account.user_id, created_at=state.now(), **asdict(draft))
    state.add_post(post)
    state.limits.count_month("posts", post.created_at)
    state.charge(_price(state, account, draft), post.id, account.user_id)
    text = post_text(state, post).text
    data = {"id": post.id, "text": text, "edit_history_tweet_ids": [post.id]}
    return json_answer(HTTPStatus.CREATED, {"data": data})


def _price(state: State, account: Account, draft: Draft) -> str:
    if texts.urls(draft.text):
        return "post_with_url"
    target = state.live_post(draft.reply_to or "")
    return "post" if target is None or target.account_id == account.user_id else "summoned_reply"


def _check_media(state: State, account: Account, draft: Draft) -> None:
    categories = []
    for media_id in draft.media_ids:
        media = state.media.get(media_id)
        if media is None or media.account_id != account.user_id or media.state != "succeeded":
            raise invalid("media.media_ids", media_id, "Your media IDs are invalid.")
        categories.append(media.category)
    if len(categories) > 1 and _ONE_OF_A_KIND & set(categories):
        message = "Media must be up to 4 photos, or 1 GIF, or 1 video."
        raise invalid("media.media_ids", ",".join(draft.media_ids), message)


def _check_targets(state: State, account: Account, draft: Draft) -> None:
    for target_id in (draft.reply_to, draft.quote_of):
        if target_id is None:
            continue
        target = state.live_post(target_id)
        if target is None:
            raise Refusal(
                forbidden("You attempted to reply to or quote a Tweet that is deleted or not visible to you.")
            )
        if target.account_id != account.user_id and not state.addresses(target, account):
            raise Refusal(
                forbidden("You can only reply to or quote posts where you are mentioned or are the author.")
            )


def _check_duplicate(state: State, account: Account, draft: Draft) -> None:
    since = state.now() - timedelta(seconds=state.duplicate_window_seconds)
    if any(post.created_at > since for post in state.posts_saying(account.user_id, draft.text)):
        raise Refusal(duplicate())


def delete_post(state: State, call: Call) -> Act:
    """`DELETE /2/tweets/:id`."""
    account = call.require_account()
    call.query_values(set())
    post_id = call.path_id()
    post = state.live_post(post_id)
    if post is None:
        error = not_found_error("tweet", "id", post_id)
        raise Refusal(json_answer(HTTPStatus.NOT_FOUND, {"errors": [error], **error, "status": 404}))
    if post.account_id != account.user_id:
        raise Refusal(forbidden("You are not authorized to delete this Tweet."))

    def act() -> Answer:
        state.delete_post(post_id)
        state.charge("delete", post_id, account.user_id)
        return json_answer(HTTPStatus.OK, {"data": {"deleted": True}})

    return act


def look_up_posts(state: State, call: Call) -> Act:
    """`GET /2/tweets?ids=`."""
    values = call.query_values(FIELD_PARAMETERS | {"ids"})
    if "ids" not in values:
        raise invalid("ids", "", "The `ids` query parameter can not be empty")
    ids = values["ids"].split(",")
    if len(ids) > MAX_IDS:
        raise invalid(
            "ids",
            values["ids"],
            "The number of values in the `ids` query parameter list is not between 1 and 100",
        )
    for post_id in ids:
        if not is_id(post_id):
            raise invalid("ids", post_id, f"The `ids` query parameter value [{post_id}] is not valid")
    wish = read_wish(values)
    state.limits.require_cap("reads", state.now())

    def act() -> Answer:
        wanted = [state.posts.get(post_id) for post_id in dict.fromkeys(ids)]
        found = [post for post in wanted if post is not None and state.visible(post)]
        state.charge_reads("post_read", [post.id for post in found], call.caller)
        state.limits.count_month("reads", state.now(), len(found))
        body = render_posts(state, found, wish, call.caller)
        there = {post.id for post in found}
        missing = [not_found_error("tweet", "ids", name) for name in dict.fromkeys(ids) if name not in there]
        if missing:
            body["errors"] = body.get("errors", []) + missing
        return json_answer(HTTPStatus.OK, body)

    return act


def show_me(state: State, call: Call) -> Act:
    """`GET /2/users/me`."""
    account = call.require_account()
    values = call.query_values({"user.fields", "tweet.fields", "post.fields", "expansions"})
    if "expansions" in values:
        raise invalid(
            "expansions", values["expansions"], "The sandbox's users have no pinned posts to expand."
        )
    fields = read_wish(values).user_fields & USER_FIELDS

    def act() -> Answer:
        state.charge_reads("user_read", [account.user_id], account.user_id)
        return json_answer(HTTPStatus.OK, {"data": render_user(account, fields)})

    return act


def show_usage(state: State, call: Call) -> Act:
    """`GET /2/usage/tweets`: how many posts the app has read this month."""
    values = call.query_values({"days", "usage.fields"})
    days = values.get("days", "7")
    if not (days.isascii() and days.isdigit()) or int(days) not in range(1, 91):
        raise invalid("days", days, f"The `days` query parameter value [{days}] is not between 1 and 90")

    def act() -> Answer:
        cap = state.limits.caps["reads"]
        data = {
            "cap_reset_day": 1,
            "project_cap": "2000000" if cap is None else str(cap),
            "project_id": "1500000000000000000",
            "project_usage": str(state.limits.used_this_month("reads", state.now())),
        }
        return json_answer(HTTPStatus.OK, {"data": data})

    return act

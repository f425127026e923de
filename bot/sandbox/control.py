"""The control API: unsigned, for tests; it arms faults, moves the clock, and tells everything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from bot.sandbox import settings, texts
from bot.sandbox.answers import Answer, json_answer
from bot.sandbox.faults import ANY_ENDPOINT, KINDS, UNREAD, Fault
from bot.sandbox.model import Account, ControlError, Post
from bot.sandbox.routing import ENDPOINTS
from bot.sandbox.settings import known, mapping, moment, number, whole
from bot.sandbox.state import FIRST_USER_ID, METRICS, State

PREFIX: Final = "/_sandbox/"

_NUMBERS: Final = ("count", "probability", "after", "seed", "seconds")
_USERNAME = re.compile(r"[A-Za-z0-9_]{1,15}", re.ASCII)


def arm(state: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """Arm a fault.

    Raises:
        ControlError: Something about it is wrong.
    """
    known(body, {"kind", "endpoint", "account", *_NUMBERS, "headers"})
    values = dict(body)
    if values.get("kind") not in KINDS:
        raise ControlError(f"unknown kind {values.get('kind')!r}; known kinds: {', '.join(KINDS)}")
    endpoints = (*ENDPOINTS, ANY_ENDPOINT)
    if values.setdefault("endpoint", "POST /2/tweets") not in endpoints:
        raise ControlError(f"unknown endpoint {values['endpoint']!r}; known ones: {', '.join(endpoints)}")
    if values.get("account") is not None:
        if values["kind"] == UNREAD:
            raise ControlError(f"{UNREAD} strikes before it is known whose call it is: leave account out")
        values["account"] = state.find_account(str(values["account"])).user_id
    if values.setdefault("count", 1) is not None:
        whole("count", values["count"], least=1)
    if values.get("probability") is not None and number("probability", values["probability"]) > 1:
        raise ControlError("probability must be from 0 to 1")
    whole("after", values.setdefault("after", 0))
    if values.get("seed") is None:
        values["seed"] = state.seed
    whole("seed", values["seed"])
    if values.get("seconds") is not None:
        number("seconds", values["seconds"])
    headers = mapping("headers", values.get("headers") or {})
    if not all(isinstance(value, str | None) for value in headers.values()):
        raise ControlError("headers must map names to strings, or to null to remove one")
    values["headers"] = headers
    fault = Fault(number=len(state.faults.armed) + 1, **values)
    state.faults.armed.append(fault)
    return {"fault": fault.to_json()}


def disarm(state: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """Disarm all faults."""
    known(body, set())
    state.faults.armed.clear()
    return {"faults": []}


def configure(state: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """Change settings.

    Raises:
        ControlError: A name is unknown or a value is wrong.
    """
    settings.apply(state, body)
    return {"now": state.now().isoformat()}


def add_account(state: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """Add an account with tokens of its own.

    Raises:
        ControlError: The name is wrong or taken.
    """
    known(body, {"username", "name", "access_token", "access_token_secret"})
    username = body.get("username")
    if not isinstance(username, str) or not _USERNAME.fullmatch(username):
        raise ControlError(f"username must be 1 to 15 letters, digits or underscores, not {username!r}")
    if any(username.lower() == account.username.lower() for account in state.accounts.values()):
        raise ControlError(f"username {username!r} is taken")
    user_id = str(FIRST_USER_ID + len(state.accounts))
    account = Account(
        user_id=user_id,
        username=username,
        name=str(body.get("name", username)),
        access_token=str(body.get("access_token", f"{user_id}-sandbox-access-token")),
        access_token_secret=str(
            body.get("access_token_secret", f"{user_id}-access-token-secret-not-a-secret")
        ),
        created_at=state.now(),
    )
    if state.account_of(account.access_token) is not None:
        raise ControlError("that access token is taken; leave it out to get a fresh one")
    state.add_account(account)
    return {"account": account.to_json()}


def add_post(state: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make a post by hand: by the owner on a phone, or by another user.

    Raises:
        ControlError: The account, the text, the target or the moment is wrong.
    """
    known(body, {"account", "text", "reply_to", "quote_of", "created_at"})
    account = state.find_account(str(body.get("account", state.main.user_id)))
    text = body.get("text")
    if not isinstance(text, str) or not texts.normalise(text) or texts.has_invalid_characters(text):
        raise ControlError(f"text must be a string that holds something, not {text!r}")
    for name in ("reply_to", "quote_of"):
        if body.get(name) is not None and state.live_post(str(body[name])) is None:
            raise ControlError(f"{name} must be the id of a live post, not {body[name]!r}")
    created = None if body.get("created_at") is None else moment("created_at", body["created_at"])
    post = Post(
        id=state.next_id(created),
        account_id=account.user_id,
        text=texts.normalise(text),
        created_at=created or state.now(),
        reply_to=body.get("reply_to"),
        quote_of=body.get("quote_of"),
        source="hand",
    )
    state.add_post(post)
    return {"post": post.to_json()}


def delete_post(state: State, post_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Delete a post by hand.

    Raises:
        ControlError: No live post has this id.
    """
    known(body, set())
    _require_post(state, post_id)
    state.delete_post(post_id)
    return {"post": state.posts[post_id].to_json()}


def set_metrics(state: State, post_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Set some metrics of a post.

    Raises:
        ControlError: The post, a name or a value is wrong.
    """
    _require_post(state, post_id)
    known(body, set(METRICS))
    state.set_metrics(post_id, {name: whole(name, value) for name, value in body.items()})
    return {"metrics": dict(state.metrics[post_id])}


def reset(state: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """Forget everything but the keys."""
    known(body, set())
    state.reset()
    return state.snapshot()


def snapshot(state: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """Tell everything."""
    known(body, set())
    return state.snapshot()


def _require_post(state: State, post_id: str) -> None:
    if state.live_post(post_id) is None:
        raise ControlError(f"no live post has the id {post_id!r}")


Action = Callable[[State, Mapping[str, Any]], dict[str, Any]]
PostAction = Callable[[State, str, Mapping[str, Any]], dict[str, Any]]

_ACTIONS: Final[Mapping[str, Action]] = {
    "GET state": snapshot,
    "POST faults": arm,
    "DELETE faults": disarm,
    "POST settings": configure,
    "POST accounts": add_account,
    "POST posts": add_post,
    "POST reset": reset,
}
_POST_ACTIONS: Final[Mapping[str, PostAction]] = {
    "DELETE posts/ID": delete_post,
    "POST posts/ID/metrics": set_metrics,
}


def handle(state: State, method: str, path: str, body: bytes) -> Answer:
    """Answer one control call; wrong input gets a 400 that says what is right."""
    name = f"{method} {path.removeprefix(PREFIX)}"
    post_id = re.search(r"(?<=posts/)[^/]+", name)
    try:
        values = mapping("the body", json.loads(body)) if body.strip() else {}
        with state.lock:
            if name in _ACTIONS:
                return json_answer(HTTPStatus.OK, _ACTIONS[name](state, values))
            pattern = "" if post_id is None else name.replace(post_id[0], "ID", 1)
            if post_id is not None and pattern in _POST_ACTIONS:
                return json_answer(HTTPStatus.OK, _POST_ACTIONS[pattern](state, post_id[0], values))
    except ValueError as error:
        return json_answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
    actions = ", ".join((*_ACTIONS, *_POST_ACTIONS))
    return json_answer(HTTPStatus.NOT_FOUND, {"error": f"no action {name!r}; known actions: {actions}"})

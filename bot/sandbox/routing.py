"""From a call to its delivery: route, caller, limits, money, validation, fault, act."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, Literal

from bot.sandbox import endpoints, media, timelines
from bot.sandbox.answers import Answer, Refusal, about_blank, unauthorized, unsupported_authentication
from bot.sandbox.calls import Call
from bot.sandbox.endpoints import Endpoint
from bot.sandbox.faults import Delivery, deliver
from bot.sandbox.model import Account
from bot.sandbox.state import BEARER_TOKEN, State

Auth = Literal["user", "app", "either"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One endpoint: its method, its path with `:id` for an id, who may call it, and what it does."""

    method: str
    path: str
    auth: Auth
    endpoint: Endpoint

    @property
    def name(self) -> str:
        """The endpoint's name, as limits and faults spell it."""
        return f"{self.method} {self.path}"

    def match(self, path: str) -> Mapping[str, str] | None:
        """The parameters in a path, or None when the path is another."""
        found = re.fullmatch(self.path.replace(":id", "(?P<id>[^/]+)"), path, re.ASCII)
        return None if found is None else found.groupdict()


ROUTES: Final = (
    Route(method="POST", path="/2/tweets", auth="user", endpoint=endpoints.create_post),
    Route(method="GET", path="/2/tweets", auth="either", endpoint=endpoints.look_up_posts),
    Route(method="DELETE", path="/2/tweets/:id", auth="user", endpoint=endpoints.delete_post),
    Route(method="GET", path="/2/users/me", auth="user", endpoint=endpoints.show_me),
    Route(method="GET", path="/2/users/:id/tweets", auth="either", endpoint=timelines.show_timeline),
    Route(method="GET", path="/2/usage/tweets", auth="app", endpoint=endpoints.show_usage),
    Route(method="POST", path="/2/media/upload", auth="user", endpoint=media.upload),
    Route(method="GET", path="/2/media/upload", auth="user", endpoint=media.show_status),
    Route(method="POST", path="/2/media/upload/initialize", auth="user", endpoint=media.initialize),
    Route(method="POST", path="/2/media/upload/:id/append", auth="user", endpoint=media.append),
    Route(method="POST", path="/2/media/upload/:id/finalize", auth="user", endpoint=media.finalize),
    Route(method="POST", path="/2/media/metadata", auth="user", endpoint=media.describe),
)
ENDPOINTS: Final = tuple(route.name for route in ROUTES)


def find(method: str, path: str) -> Route | Answer:
    """The route of a call, or the 404 or 405 that it gets."""
    found = [route for route in ROUTES if route.match(path) is not None]
    for route in found:
        if route.method == method:
            return route
    if not found:
        return about_blank(HTTPStatus.NOT_FOUND)
    allowed = ", ".join(route.method for route in found)
    return replace(about_blank(HTTPStatus.METHOD_NOT_ALLOWED), headers={"allow": allowed})


def refuses_unread(state: State, method: str, path: str) -> bool:
    """Whether a fault closes this connection before the call is read."""
    route = find(method, path)
    name = route.name if isinstance(route, Route) else f"{method} {path}"
    with state.lock:
        if state.faults.strike(name, unread=True) is None:
            return False
        state.calls[f"{name} dropped"] += 1
    return True


def handle(state: State, call: Call) -> Delivery:
    """Carry a call out, or not, and say what reaches the client.

    Everything happens in one go under the lock; whatever takes time is left to the delivery.
    """
    route = find(call.method, call.path)
    with state.lock:
        if isinstance(route, Answer):
            delivery, name = Delivery(answer=route), f"{call.method} unknown"
        else:
            delivery, name = _serve(state, route, call), route.name
        unheard = delivery.answer is None or delivery.reset
        outcome = "dropped" if delivery.answer is None or unheard else str(delivery.answer.status)
        state.calls[f"{name} {outcome}"] += 1
    return delivery


def _serve(state: State, route: Route, call: Call) -> Delivery:
    try:
        account = _authenticate(state, route, call)
    except Refusal as refusal:
        return Delivery(answer=refusal.answer)
    call = replace(call, parameters=route.match(call.path) or {}, account=account)

    def rates() -> dict[str, str]:
        return state.limits.headers(route.name, call.caller, state.now())

    try:
        state.limits.admit(route.name, call.caller, state.now())
        state.ledger.require_credits()
        act = route.endpoint(state, call)
    except Refusal as refusal:
        return Delivery(answer=replace(refusal.answer, headers=rates()))

    def accept() -> Answer:
        answer = act()
        state.limits.accept(route.name, call.caller, state.now())
        return answer

    fault = state.faults.strike(route.name, caller=call.caller, unread=False)
    if fault is not None:
        return deliver(fault, accept, rates, state.now())
    return Delivery(answer=replace(accept(), headers=rates()))


def _authenticate(state: State, route: Route, call: Call) -> Account | None:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if not hmac.compare_digest(token.strip().encode(), BEARER_TOKEN.encode()):
            raise Refusal(unauthorized())
        if route.auth == "user":
            raise Refusal(unsupported_authentication("OAuth 1.0a User Context"))
        return None
    account = _signer(state, call)
    if account is None:
        raise Refusal(unauthorized())
    if route.auth == "app":
        raise Refusal(unsupported_authentication("OAuth 2.0 Application-Only"))
    return account


def _signer(state: State, call: Call) -> Account | None:
    def secret(token: str) -> str | None:
        account = state.account_of(token)
        return None if account is None else account.access_token_secret

    form = call.content_type == "application/x-www-form-urlencoded"
    token = state.verifier.verify(
        method=call.method,
        url=call.url,
        authorization=call.headers.get("authorization", ""),
        form=call.body.decode("utf-8", errors="replace") if form else None,
        api_key=state.keys.api_key,
        api_secret=state.keys.api_secret,
        token_secret=secret,
    )
    return None if token is None else state.account_of(token)

"""The exact bodies that X answers with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

PROBLEMS = "https://api.twitter.com/2/problems/"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One HTTP answer, before it meets the socket."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The call ends here with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with a call's parameters."""

    parameter: str
    value: Any
    message: str


def json_answer(status: int, value: Any) -> Answer:
    """An answer with a JSON body."""
    return Answer(status=status, body=json.dumps(value, ensure_ascii=False).encode())


def about_blank(status: HTTPStatus, detail: str = "") -> Answer:
    """The short problem shape that X uses when it has no problem type."""
    body = {
        "title": status.phrase,
        "type": "about:blank",
        "status": int(status),
        "detail": detail or status.phrase,
    }
    return json_answer(status, body)


def unauthorized() -> Answer:
    """Missing, wrong, stale or replayed keys."""
    return about_blank(HTTPStatus.UNAUTHORIZED)


def forbidden(detail: str) -> Answer:
    """A 403 whose reason is in its detail."""
    body = {"detail": detail, "title": "Forbidden", "status": 403, "type": "about:blank"}
    return json_answer(HTTPStatus.FORBIDDEN, body)


def duplicate() -> Answer:
    """The same text again; it carries no id."""
    return forbidden("You are not allowed to create a Tweet with duplicate content.")


def policy() -> Answer:
    """X's rules forbid it."""
    return forbidden("You are not permitted to perform this action.")


def suspended() -> Answer:
    """The account is suspended: code 64, in the older shape."""
    message = "Your account is suspended and is not permitted to access this feature."
    return json_answer(HTTPStatus.FORBIDDEN, {"errors": [{"code": 64, "message": message}]})


def client_forbidden() -> Answer:
    """The app may not use this endpoint."""
    return json_answer(
        HTTPStatus.FORBIDDEN,
        {
            "client_id": "10000001",
            "detail": "When authenticating requests to the X API v2 endpoints, you must use keys and tokens "
            "from a developer App that is attached to a Project.",
            "registration_url": "https://developer.twitter.com/en/docs/projects/overview",
            "title": "Client Forbidden",
            "required_enrollment": "Appropriate Level of API Access",
            "reason": "client-not-enrolled",
            "type": f"{PROBLEMS}client-forbidden",
        },
    )


def unsupported_authentication(wanted: str) -> Answer:
    """The right keys of the wrong kind."""
    return json_answer(
        HTTPStatus.FORBIDDEN,
        {
            "title": "Unsupported Authentication",
            "detail": f"This way of authenticating is forbidden for this endpoint. Supported: [{wanted}].",
            "type": f"{PROBLEMS}unsupported-authentication",
            "status": 403,
        },
    )


def invalid_request(problems: Sequence[Problem]) -> Answer:
    """One or more parameters were refused; each is named."""
    return json_answer(
        HTTPStatus.BAD_REQUEST,
        {
            "errors": [
                {"parameters": {problem.parameter: [str(problem.value)]}, "message": problem.message}
                for problem in problems
            ],
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": f"{PROBLEMS}invalid-request",
        },
    )


def invalid(parameter: str, value: Any, message: str) -> Refusal:
    """A refusal for one bad parameter, ready to raise."""
    return Refusal(invalid_request([Problem(parameter=parameter, value=value, message=message)]))


def not_found_error(kind: str, parameter: str, value: str) -> dict[str, Any]:
    """One entry of the `errors` list for a resource that is not there."""
    return {
        "value": value,
        "detail": f"Could not find {kind} with {parameter}: [{value}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": f"{PROBLEMS}resource-not-found",
    }


def field_error(name: str, post_id: str) -> dict[str, Any]:
    """One entry of the `errors` list for metrics that the caller may not see."""
    return {
        "resource_id": post_id,
        "parameter": "id",
        "resource_type": "tweet",
        "section": "data",
        "title": "Field Authorization Error",
        "value": post_id,
        "detail": f"Sorry, you are not authorized to access '{name}' on the Tweet with id : [{post_id}].",
        "type": f"{PROBLEMS}not-authorized-for-field",
    }


def too_many() -> Answer:
    """A window is used up."""
    return about_blank(HTTPStatus.TOO_MANY_REQUESTS)


def code_88() -> Answer:
    """A window is used up, in the older shape."""
    return json_answer(
        HTTPStatus.TOO_MANY_REQUESTS, {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}
    )


def usage_capped() -> Answer:
    """The month's allowance is used up."""
    return json_answer(
        HTTPStatus.TOO_MANY_REQUESTS,
        {
            "account_id": 10000001,
            "product_name": "standard-basic",
            "title": "UsageCapExceeded",
            "period": "Monthly",
            "scope": "Product",
            "detail": "Usage cap exceeded: Monthly product cap",
            "type": f"{PROBLEMS}usage-capped",
        },
    )


def no_credits() -> Answer:
    """The money is used up."""
    return json_answer(
        HTTPStatus.PAYMENT_REQUIRED,
        {
            "account_id": 10000001,
            "title": "CreditsDepleted",
            "detail": "Your enrolled account [10000001] does not have any credits to fulfill this request.",
            "type": f"{PROBLEMS}credits",
        },
    )


def html(status: int) -> Answer:
    """Trouble at an edge server: an HTML page."""
    phrase = HTTPStatus(status).phrase
    page = f"<!DOCTYPE html><html><head><title>{status} {phrase}</title></head><body>{phrase}</body></html>"
    return Answer(status=status, body=page.encode(), content_type="text/html; charset=utf-8")


def error_list() -> Answer:
    """A 500 whose JSON body is a list."""
    return json_answer(HTTPStatus.INTERNAL_SERVER_ERROR, [{"code": 131, "message": "Internal error"}])


def error_page() -> bytes:
    """A page without posts, which says that something went wrong while it was made."""
    error = {"title": "Service Unavailable", "detail": "Service Unavailable", "type": "about:blank"}
    return json.dumps({"data": [], "errors": [error]}).encode()

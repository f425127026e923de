from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.core.errors import Fatal, OutcomeUnknown, Refused, Retryable
from bot.core.posting.post import Post
from bot.x.answers import refusal, unreadable
from bot.x.headers import lowered
from bot.x.problems import Answer
from bot.x.reading import (
    UnreadableBody,
    read_account,
    read_deleted,
    read_lookup,
    read_page,
    read_posted,
)

if TYPE_CHECKING:
    from bot.x.client import XClient
    from tests.x.conftest import ScriptedX

NOW = datetime(2026, 12, 30, 22, 15, tzinfo=UTC)
FOUR = {Retryable, Refused, Fatal, OutcomeUnknown}

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
names = st.sampled_from(
    [
        "data",
        "errors",
        "meta",
        "id",
        "text",
        "code",
        "detail",
        "type",
        "title",
        "period",
        "result_count",
        "entities",
    ]
)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=20,
)
bodies = st.binary(max_size=200) | documents.map(lambda document: json.dumps(document).encode())
header_names = st.sampled_from(
    [
        f"{prefix}-{part}"
        for prefix in ("X-Rate-Limit", "x-app-limit-24hour", "x-user-limit-24hour")
        for part in ("limit", "remaining", "reset")
    ]
    + ["retry-after", "location", "set-cookie", "content-type"]
)
values = st.integers().map(str) | st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40
)
headers = st.dictionaries(header_names, values, max_size=6)
READERS: list[Callable[[Answer], Any]] = [
    read_account,
    lambda answer: read_posted(answer, sent="hello"),
    read_deleted,
    read_page,
    lambda answer: read_lookup(answer, asked=["1"]),
]


@given(st.integers(200, 599), headers, bodies, st.sampled_from(["POST", "GET", "DELETE"]))
@settings(deadline=None, max_examples=150)
@example(429, {"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"}, b"", "POST")
def test_any_answer_is_a_result_or_one_of_four_errors(
    status: int, told: dict[str, str], body: bytes, method: str
) -> None:
    answer = Answer(status=status, headers=lowered(told), body=body)
    if status >= 300:
        error = refusal(method, answer, now=NOW)
    else:
        error = unreadable(method, answer)
        for read in READERS:
            with suppress(UnreadableBody):
                read(answer)
    assert type(error) in FOUR
    assert method == "POST" or type(error) is not OutcomeUnknown
    assert not isinstance(error, Retryable) or error.until is None or error.until.utcoffset() is not None


# X's own forms of a refusal, written down here once more, from its documentation.
TYPES = ("invalid-request", "credits", "usage-capped", "client-forbidden", "oauth1-permissions")
HOSTS = ("api.twitter.com", "api.x.com")


def blank(status: int, title: str, detail: str) -> dict[str, object]:
    return {"type": "about:blank", "status": status, "title": title, "detail": detail}


typed = st.builds(
    lambda host, name, title, more: {**more, "type": f"https://{host}/2/problems/{name}", "title": title},
    st.sampled_from(HOSTS),
    st.sampled_from(TYPES),
    st.text(),
    st.dictionaries(st.sampled_from(["detail", "period", "scope", "account_id"]), leaves),
)
numbered = st.lists(
    st.fixed_dictionaries({"code": st.integers(1, 500), "message": st.text()}), min_size=1, max_size=3
).map(lambda errors: {"errors": errors})
REFUSING = [400, 401, 402, 403, 429]


@given(st.integers(300, 599), headers, bodies)
@settings(deadline=None, max_examples=200)
def test_a_body_that_is_not_xs_own_is_never_a_definite_no_to_a_post(
    status: int, told: dict[str, str], body: bytes
) -> None:
    """None of the documents drawn here names a problem type of X's, or its own status."""
    error = refusal("POST", Answer(status=status, headers=lowered(told), body=body), now=NOW)
    assert type(error) is OutcomeUnknown or _is_numbered(body)
    assert list(error.rates) == list(Answer(status=status, headers=lowered(told), body=body).rates)


def _is_numbered(body: bytes) -> bool:
    document = Answer(status=400, headers={}, body=body).json()
    errors: Any = document.get("errors") if isinstance(document, dict) else None
    return bool(errors) and all("code" in error and "message" in error for error in errors)


@given(st.integers(300, 599), typed | numbered | st.just(None), st.text(), st.text())
@settings(deadline=None, max_examples=200)
def test_xs_own_words_are_a_definite_no_with_xs_own_statuses_alone(
    status: int, body: object, title: str, detail: str
) -> None:
    document = blank(status, title, detail) if body is None else body
    error = refusal("POST", Answer(status=status, headers={}, body=json.dumps(document).encode()), now=NOW)
    if status not in REFUSING:
        assert type(error) is OutcomeUnknown
    elif error.code != "duplicate":
        assert type(error) in FOUR - {OutcomeUnknown}


@given(st.integers(200, 599), headers, bodies)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_answer_over_the_wire_is_a_result_or_one_of_four_errors(
    x: ScriptedX, client: XClient, status: int, told: dict[str, str], body: bytes
) -> None:
    x.answers(status, body, **told)
    for call in (lambda: client.create_post(Post(text="hello")), client.me, lambda: client.lookup(["1"])):
        with suppress(*FOUR):
            call()

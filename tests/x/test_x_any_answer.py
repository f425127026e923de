from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.core.errors import Fatal, OutcomeUnknown, Refused, Retryable
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
    read_lookup,
]


@given(st.integers(200, 599), headers, bodies, st.sampled_from(["POST", "GET", "DELETE"]))
@settings(deadline=None, max_examples=300)
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


@given(st.integers(200, 599), headers, bodies)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_answer_over_the_wire_is_a_result_or_one_of_four_errors(
    x: ScriptedX, client: XClient, status: int, told: dict[str, str], body: bytes
) -> None:
    x.answers(status, body, **told)
    for call in (lambda: client.create_post("hello"), client.me, lambda: client.lookup(["1"])):
        with suppress(*FOUR):
            call()

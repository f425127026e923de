from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.writer.stub_model import StubModel

MATERIAL = '{"items": [{"id": "1", "title": "T", "text": "Bees visit many flowers in May."}]}'
GOOD: dict[str, Any] = {
    "model": "stub-1",
    "messages": [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": MATERIAL}],
    "response_format": {"type": "json_object"},
    "max_tokens": 10,
}
LOOSE = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def ask(stub: StubModel, body: dict[str, Any], key: str = "sk-test") -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{stub.base_url}/chat/completions", json=body, headers=headers, timeout=5)


def test_the_stub_answers_a_good_request() -> None:
    with StubModel() as stub:
        answer = ask(stub, GOOD).json()
    assert "Bees visit" in answer["choices"][0]["message"]["content"]
    assert answer["usage"]["total_tokens"] == stub.reported_tokens


@pytest.mark.parametrize(
    "change",
    [
        {"temprature": 1},
        {"max_tokens": "10"},
        {"max_completion_tokens": 10},
        {"messages": []},
        {"messages": [{"role": "user", "content": MATERIAL, "extra": 1}]},
        {"messages": [{"role": "user", "content": MATERIAL}]},
        {"response_format": {"type": "text"}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "p", "strict": True, "schema": LOOSE},
            }
        },
    ],
)
def test_the_stub_refuses_what_the_service_would_refuse(change: dict[str, Any]) -> None:
    with StubModel() as stub:
        answer = ask(stub, GOOD | change)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] is not None


def test_the_stub_refuses_a_wrong_key() -> None:
    with StubModel() as stub:
        assert ask(stub, GOOD, key="sk-other").status_code == 401

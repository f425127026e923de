"""With a language model: its drafts, its price, and its failures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from tests.end_to_end.conftest import Cli, Rows
from tests.writer.stub_model import Misbehaviour, StubModel

Texts = Callable[[], list[str]]
Model = Callable[..., StubModel]

KEY = "sk-end-to-end-model-key"
NAME = "gpt-5-mini"


@pytest.fixture
def model() -> Iterator[Model]:
    """Starts model servers that answer as told."""
    running: list[StubModel] = []

    def start(*misbehave: Misbehaviour) -> StubModel:
        running.append(StubModel(misbehave, api_key=KEY, model=NAME).__enter__())
        return running[-1]

    yield start
    for one in running:
        one.__exit__(None, None, None)


def using(stub: StubModel) -> dict[str, str]:
    return {"OPENAI_BASE_URL": stub.base_url, "OPENAI_API_KEY": stub.api_key, "OPENAI_MODEL": stub.model}


def price_of(total: int, *, answers: int) -> Decimal:
    """gpt-5-mini's listed price; the stub reports 40 tokens for each answer."""
    out = 40 * answers
    dollars = ((total - out) * Decimal("0.25") + out * Decimal("2.00")) / 1_000_000
    return Decimal(math.ceil(dollars * 1_000_000)) / 1_000_000


def test_the_models_draft_is_posted_and_named(cli: Cli, rows: Rows, texts: Texts, model: Model) -> None:
    stub = model()

    answer = cli.json("run-once", **using(stub))

    assert answer["outcome"] == "posted"
    assert answer["tweet"]["writer"] == f"openai:{NAME}"
    assert texts() == [answer["tweet"]["text"]]
    assert rows.one("SELECT writer FROM tweets")["writer"] == f"openai:{NAME}"
    assert len(stub.requests) == 1


def test_the_ledger_settles_the_tokens_that_the_model_reported(cli: Cli, rows: Rows, model: Model) -> None:
    stub = model()

    cli.json("run-once", **using(stub))

    call = rows.one("SELECT * FROM api_calls WHERE api = 'openai'")
    assert (call["kind"], call["state"]) == ("model", "settled")
    assert call["tokens"] == stub.reported_tokens
    assert call["cost_usd"] == price_of(stub.reported_tokens, answers=1)


def test_the_daily_row_of_the_model_is_its_own(cli: Cli, rows: Rows, model: Model) -> None:
    stub = model()

    cli.json("run-once", **using(stub))

    daily = rows.one("SELECT * FROM api_usage_tracking WHERE api_type = 'openai'")
    assert daily["tokens_used"] == stub.reported_tokens
    assert daily["cost_usd"] == price_of(stub.reported_tokens, answers=1)
    assert (daily["tweets_posted"], daily["reads_made"]) == (0, 0)


def test_a_model_that_is_not_on_the_price_list_is_priced_above_every_common_one(cli: Cli, rows: Rows) -> None:
    with StubModel(model="stub-1") as stub:
        cli.json("run-once", **using(stub))

        paid = rows.one("SELECT cost_usd FROM api_calls WHERE api = 'openai'")["cost_usd"]
    assert paid > stub.reported_tokens * Decimal("2.50") / 1_000_000


@pytest.mark.parametrize("failure", ["500", "drop", "html", "429"])
def test_when_the_model_is_down_nothing_is_posted(
    cli: Cli, rows: Rows, texts: Texts, model: Model, failure: Misbehaviour
) -> None:
    stub = model(*[failure] * 5)

    answer = cli.json_ending(1, "run-once", **using(stub))

    assert (answer["outcome"], answer["reason"]) == ("failed", "model_unavailable")
    assert texts() == []
    assert rows.count("api_calls", "api = 'openai' AND state = 'reserved'") == 0


def test_a_model_server_that_is_not_there_is_said_once(
    cli: Cli, rows: Rows, texts: Texts, closed_port: int
) -> None:
    result = cli("run-once", OPENAI_BASE_URL=f"http://127.0.0.1:{closed_port}/v1", OPENAI_API_KEY=KEY)

    assert result.code == 1
    # Once, and without the promise of a try that nobody makes.
    assert (result.out + result.err).count("can't be reached") == 1
    assert "tried again" not in result.out + result.err
    told = rows.one("SELECT verdict, reason FROM decisions WHERE kind = 'prepare'")
    assert told["verdict"] == "failed"
    assert "can't be reached" in told["reason"]
    assert texts() == []


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("401", "model_keys_invalid"),
        ("404", "model_not_found"),
        ("insufficient_quota", "model_credits"),
        ("leak_key", "model_unavailable"),
    ],
)
def test_a_refusal_of_the_model_has_its_own_reason(
    cli: Cli, texts: Texts, model: Model, failure: Misbehaviour, reason: str
) -> None:
    answer = cli.json_ending(1, "run-once", **using(model(*[failure] * 3)))

    assert (answer["outcome"], answer["reason"]) == ("failed", reason)
    assert texts() == []


def test_an_invented_link_is_never_posted(cli: Cli, texts: Texts, model: Model) -> None:
    result = cli("run-once", **using(model(*["invented_link"] * 12)))

    assert result.code in {1, 3}
    assert texts() == []
    assert "link" in result.out


def test_after_one_invented_link_the_next_draft_is_posted_and_both_are_paid(
    cli: Cli, rows: Rows, texts: Texts, model: Model
) -> None:
    stub = model("invented_link")

    cli.json("run-once", **using(stub))

    (text,) = texts()
    assert "invented.example" not in text
    paid = rows.one("SELECT sum(tokens) AS tokens, sum(cost_usd) AS cost FROM api_calls WHERE api = 'openai'")
    assert paid["tokens"] == stub.reported_tokens
    assert paid["cost"] == price_of(stub.reported_tokens, answers=2)


@pytest.mark.parametrize("fault", ["mention", "unknown_item", "refusal"])
def test_an_unfit_draft_is_never_posted(cli: Cli, texts: Texts, model: Model, fault: Misbehaviour) -> None:
    result = cli("run-once", **using(model(*[fault] * 12)))

    assert result.code in {1, 3}
    assert texts() == []


def test_a_token_cap_stops_the_model_before_it_is_called(cli: Cli, texts: Texts, model: Model) -> None:
    stub = model()

    answer = cli.json_ending(3, "run-once", BOT_TOKENS_PER_DAY="10", **using(stub))

    assert (answer["outcome"], answer["decision"]["limit"]) == ("waiting", "tokens_day")
    assert stub.requests == []
    assert texts() == []


def test_ones_own_text_needs_no_model(cli: Cli, texts: Texts, model: Model) -> None:
    stub = model("500")

    cli.json("run-once", "--text", "Neap tides this week.", **using(stub))

    assert texts() == ["Neap tides this week."]
    assert stub.requests == []


def test_the_doctor_asks_whether_the_model_answers(cli: Cli, model: Model) -> None:
    good = {one["name"]: one for one in cli.json("doctor", **using(model()))["checks"]}
    bad = {one["name"]: one for one in cli.json_ending(1, "doctor", **using(model("401")))["checks"]}

    assert good["language_model"]["status"] == "ok"
    assert bad["language_model"]["status"] == "fail"
    assert bad["language_model"]["fix"]

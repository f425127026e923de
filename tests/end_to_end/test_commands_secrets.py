"""No key is ever shown, however much is logged and whatever goes wrong."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from sqlalchemy import URL

from bot.encryption import new_secret_key
from bot.sandbox import Sandbox
from tests.end_to_end.conftest import NO_KEYS, Cli, spilled
from tests.writer.stub_model import StubModel

WRONG = {name: f"wrong/{name.lower()}+9f8e7d6c" for name in NO_KEYS}
MODEL_KEY = "sk-model-key-1a2b3c4d5e"
DATABASE_PASSWORD = "data base/pass+word"
REDIS_PASSWORD = "redis-pass-word-42"
SECRET_KEY = new_secret_key()


def everything_secret(local_x: Sandbox) -> list[str]:
    keys = vars(local_x.keys).values()
    plain = [*keys, *WRONG.values(), MODEL_KEY, DATABASE_PASSWORD, REDIS_PASSWORD, SECRET_KEY]
    return [*plain, *(quote(one, safe="") for one in plain), "oauth_signature=", "Authorization"]


@pytest.fixture
def all_set(database_url: URL, closed_port: int) -> dict[str, str]:
    """Every setting that carries a secret, and the loudest log."""
    return {
        "DATABASE_URL": database_url.set(username="postgres", password=DATABASE_PASSWORD).render_as_string(
            hide_password=False
        ),
        "REDIS_URL": f"redis://:{REDIS_PASSWORD}@127.0.0.1:{closed_port}/0",
        "OPENAI_API_KEY": MODEL_KEY,
        "OPENAI_MODEL": "stub-1",
        "BOT_SECRET_KEY": SECRET_KEY,
        "LOG_LEVEL": "DEBUG",
    }


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_post_shows_no_secret(cli: Cli, local_x: Sandbox, all_set: dict[str, str], style: str) -> None:
    with StubModel(api_key=MODEL_KEY) as stub:
        result = cli("run-once", OPENAI_BASE_URL=stub.base_url, LOG_FORMAT=style, **all_set)

    assert result.code == 0, result.err
    assert "database_connected" in result.err
    assert not spilled(result.out + result.err, everything_secret(local_x))


@pytest.mark.parametrize(
    ("command", "style"), [("run-once", "json"), ("run-once", "console"), ("run", "json"), ("doctor", "json")]
)
def test_wrong_keys_show_no_secret(
    cli: Cli, local_x: Sandbox, all_set: dict[str, str], command: str, style: str
) -> None:
    with StubModel(["leak_key", "leak_key"], api_key=MODEL_KEY) as stub:
        result = cli(command, OPENAI_BASE_URL=stub.base_url, LOG_FORMAT=style, **all_set, **WRONG)

    assert result.code == 1
    assert not spilled(result.out + result.err, everything_secret(local_x))


def test_a_failing_x_and_a_leaking_model_show_no_secret(
    cli: Cli, local_x: Sandbox, all_set: dict[str, str]
) -> None:
    local_x.arm("fail_500", endpoint="*", count=None)
    with StubModel(["leak_key", "leak_key"], api_key=MODEL_KEY) as stub:
        result = cli("run-once", "--json", OPENAI_BASE_URL=stub.base_url, **all_set)

    assert result.code != 0
    assert not spilled(result.out + result.err, everything_secret(local_x))


def test_a_database_that_is_down_shows_no_password(
    cli: Cli, local_x: Sandbox, all_set: dict[str, str], closed_port: int
) -> None:
    password = quote(DATABASE_PASSWORD, safe="")
    down = all_set | {"DATABASE_URL": f"postgresql://bot:{password}@127.0.0.1:{closed_port}/bot"}

    for command in ("run-once", "doctor"):
        result = cli(command, **down)

        assert result.code == 1
        assert not spilled(result.out + result.err, everything_secret(local_x))


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_an_address_with_a_password_that_can_not_be_read_is_not_repeated(
    cli: Cli, local_x: Sandbox, all_set: dict[str, str], name: str
) -> None:
    wrong = all_set | {name: f"{DATABASE_PASSWORD}@nowhere:{REDIS_PASSWORD}"}

    result = cli("run-once", **wrong)

    assert not spilled(result.out + result.err, everything_secret(local_x))

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from bot.core.errors import ServiceError
from bot.core.posting.post import Post
from bot.x.client import NOISY_LOGGERS

if TYPE_CHECKING:
    from bot.x.client import XClient
    from tests.x.conftest import ScriptedX

SECRETS = (
    "consumerkeyconsumerkey",
    "consumersecretconsumersecret",
    "accesstokenaccesstoken",
    "accesssecretaccesssecret",
    "oauth_signature=",
    "Authorization",
)


def use_everything(x: ScriptedX, client: XClient) -> list[BaseException]:
    errors: list[BaseException] = []
    scenes = (("says", b""), ("says", b"HTTP/1.1 401 No\r\n\r\n"), ("says", b"HTTP/1.1 201 Yes\r\n\r\n"))
    for scene, data in scenes:
        x.plays_scene(scene, data)
        for call in (client.me, lambda: client.create_post(Post(text="hello")), lambda: client.timeline("7")):
            with pytest.raises(ServiceError) as caught:
                call()
            link: BaseException | None = caught.value
            while link is not None:
                errors.append(link)
                link = link.__cause__ or link.__context__
    return errors


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture
def silenced() -> Iterator[None]:
    before = {name: logging.getLogger(name).level for name in NOISY_LOGGERS}
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def spilled(records: list[logging.LogRecord]) -> set[str]:
    return {
        record.name.partition(".")[0]
        for record in records
        if any(secret in f"{record.getMessage()} {record.__dict__}" for secret in SECRETS)
    }


@pytest.mark.usefixtures("silenced")
def test_no_record_holds_a_secret_once_the_noisy_are_silenced(
    x: ScriptedX, client: XClient, everything_logged: pytest.LogCaptureFixture
) -> None:
    use_everything(x, client)
    assert everything_logged.records
    assert spilled(everything_logged.records) == set()
    assert not any("hello" in record.getMessage() for record in everything_logged.records)


def test_every_logger_that_spills_is_named(
    x: ScriptedX, client: XClient, everything_logged: pytest.LogCaptureFixture
) -> None:
    use_everything(x, client)
    assert spilled(everything_logged.records)
    assert spilled(everything_logged.records) <= set(NOISY_LOGGERS)


def test_no_error_and_no_repr_holds_a_secret(x: ScriptedX, client: XClient) -> None:
    errors = use_everything(x, client)
    for text in [repr(client), *(f"{error} {error!r} {error.args}" for error in errors)]:
        assert not any(secret in text for secret in SECRETS)

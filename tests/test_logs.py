"""Logs: events with facts, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from bot.logs import configure
from bot.redaction import HIDDEN, Redaction, hide

SECRET = "hunter2hunter2"
LONG_SECRET = "AAAAbbbbCCCC" * 12
Configure = Callable[..., io.StringIO]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    levels = {
        name: logger.level
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    yield
    root.handlers = before
    root.setLevel(level)
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger):
            logger.setLevel(levels.get(name, logging.NOTSET))
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def logs() -> Configure:
    def to_stream(**wanted: Any) -> io.StringIO:
        stream = io.StringIO()
        usual: dict[str, Any] = {"level": "INFO", "style": "json", "secrets": (SECRET,), "stream": stream}
        configure(**usual | wanted)
        return stream

    return to_stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_is_an_event_with_its_facts(logs: Configure) -> None:
    stream = logs()
    structlog.get_logger("bot").info("tweet_posted", tweet=7, slot=None, text="Ebbe & Flut ü")

    (line,) = lines(stream)
    assert {name: line[name] for name in ("event", "level", "tweet", "slot", "text")} == {
        "event": "tweet_posted",
        "level": "info",
        "tweet": 7,
        "slot": None,
        "text": "Ebbe & Flut ü",
    }
    assert line["timestamp"].endswith("Z")


def test_what_json_does_not_know_is_written_as_text(logs: Configure) -> None:
    stream = logs()
    structlog.get_logger("bot").info("odd", what={1}, when=Exception("late"))

    assert lines(stream)[0]["what"] == "{1}"
    assert lines(stream)[0]["when"] == "late"


def test_a_console_line_is_for_people(logs: Configure) -> None:
    stream = logs(style="console")
    structlog.get_logger("bot").warning("redis_unavailable", error="gone")

    (line,) = stream.getvalue().splitlines()
    assert "redis_unavailable" in line
    assert "error=gone" in line
    assert "\x1b" not in line
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_word_a_terminal_gets_console_and_a_file_gets_json(logs: Configure) -> None:
    terminal = Terminal()
    logs(style=None, stream=terminal)
    structlog.get_logger("bot").info("hello")
    file = logs(style=None)
    structlog.get_logger("bot").info("hello")

    assert "hello" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert lines(file)[0]["event"] == "hello"


def test_logs_go_to_stderr_and_not_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="INFO", style="json", secrets=())
    structlog.get_logger("bot").info("hello")

    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["event"] == "hello"


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_only_its_level_and_above_is_shown(logs: Configure, level: str) -> None:
    stream = logs(level=level)
    names = ["debug", "info", "warning", "error"]
    for name in names:
        getattr(structlog.get_logger("bot"), name)(f"structlog {name}")
        getattr(logging.getLogger("library"), name)("stdlib %s", name)

    shown = names[names.index(level.lower()) :]
    assert [line["event"] for line in lines(stream)] == [
        f"{who} {name}" for name in shown for who in ("structlog", "stdlib")
    ]


def test_talkative_libraries_are_quiet_below_a_warning(logs: Configure) -> None:
    stream = logs(level="DEBUG", quiet=("oauthlib",))
    for name in (
        "urllib3.connectionpool",
        "httpx",
        "openai._base_client",
        "httpcore2.connection",
        "oauthlib.x",
    ):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")

    assert [line["event"] for line in lines(stream)] == ["trouble"] * 5


def test_a_beat_that_is_skipped_while_the_last_one_runs_is_no_news(logs: Configure) -> None:
    stream = logs()
    beats = logging.getLogger("apscheduler.scheduler")
    beats.warning("skipped: maximum number of running instances reached")
    beats.error("a job could not be submitted")

    assert [line["event"] for line in lines(stream)] == ["a job could not be submitted"]


def test_configuring_again_does_not_write_twice(logs: Configure) -> None:
    first = logs()
    second = logs()
    structlog.get_logger("bot").info("once")

    assert first.getvalue() == ""
    assert len(lines(second)) == 1


def test_a_bound_context_is_on_every_line(logs: Configure) -> None:
    stream = logs()
    structlog.contextvars.bind_contextvars(profile="ada")
    structlog.get_logger("bot").info("one")
    logging.getLogger("library").warning("two")

    assert [line["profile"] for line in lines(stream)] == ["ada", "ada"]


# Secrets


def local_names_it() -> None:
    token = SECRET
    raise ValueError(f"refused: {token}")


def chained() -> None:
    try:
        local_names_it()
    except ValueError as error:
        raise RuntimeError("outer") from error


def in_structlog_message() -> None:
    structlog.get_logger("bot").info(f"key {SECRET}")


def in_structlog_fact() -> None:
    structlog.get_logger("bot").info("call", key=SECRET, nested={"deep": [SECRET]}, raw=SECRET.encode())


def in_structlog_argument() -> None:
    structlog.get_logger("bot").info("key %s", SECRET)


def in_context() -> None:
    structlog.contextvars.bind_contextvars(key=SECRET)
    structlog.get_logger("bot").info("call")


def in_structlog_exception() -> None:
    try:
        chained()
    except RuntimeError:
        structlog.get_logger("bot").exception("failed")


def in_stdlib_message() -> None:
    logging.getLogger("library").warning(f"key {SECRET}")  # noqa: G004 - as a library may do it


def in_stdlib_argument() -> None:
    logging.getLogger("library").warning("key %s and %r", SECRET, {"key": SECRET})


def in_stdlib_extra() -> None:
    logging.getLogger("library").warning("call", extra={"key": SECRET})


def in_stdlib_exception() -> None:
    try:
        chained()
    except RuntimeError:
        logging.getLogger("library").exception("failed")


def in_stack() -> None:
    logging.getLogger("library").warning("stack", stack_info=True)


WAYS = [
    in_structlog_message,
    in_structlog_fact,
    in_structlog_argument,
    in_context,
    in_structlog_exception,
    in_stdlib_message,
    in_stdlib_argument,
    in_stdlib_extra,
    in_stdlib_exception,
    in_stack,
]


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_known_secret_is_hidden_wherever_it_is(
    logs: Configure, way: Callable[[], None], style: str
) -> None:
    stream = logs(style=style)
    way()

    assert stream.getvalue()
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_is_still_there_without_the_secret(logs: Configure, style: str) -> None:
    stream = logs(style=style)
    in_structlog_exception()

    assert "RuntimeError" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert "refused: ***" in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("secret", [LONG_SECRET, "sk-" + "0123456789abcdef" * 3], ids=["144", "51"])
def test_no_piece_of_a_long_secret_in_a_traceback_survives(logs: Configure, style: str, secret: str) -> None:
    """A traceback for people that shows local values folds and cuts them."""
    stream = logs(style=style, secrets=(secret,))

    def call_with(key: str) -> None:
        headers = {"key": key, "other": "x" * 60, "again": key}
        raise ConnectionError(f"no answer for {len(headers)} headers")

    try:
        call_with(secret)
    except ConnectionError:
        structlog.get_logger("bot").exception("failed")

    pieces = {secret[start : start + 12] for start in range(len(secret) - 12)}
    assert [piece for piece in pieces if piece in stream.getvalue()] == []


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("secret", ['pass"word', "pass\\word", "pässwörd", "pass'word", "pass word&co"])
def test_a_secret_that_a_format_writes_in_another_way_is_hidden_too(
    logs: Configure, style: str, secret: str
) -> None:
    stream = logs(style=style, secrets=(secret,))
    structlog.get_logger("bot").info("call", key=secret, nested={"key": secret}, query=quote(secret, safe=""))

    written = stream.getvalue()
    for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe="")):
        assert form not in written


def test_short_words_are_not_taken_for_secrets(logs: Configure) -> None:
    stream = logs(secrets=("a", "bot"))
    structlog.get_logger("bot").info("a bot said")

    assert lines(stream)[0]["event"] == "a bot said"


def test_of_two_secrets_the_longer_goes_first() -> None:
    redaction = Redaction([SECRET, SECRET + "-and-more"])

    assert redaction(f"{SECRET}-and-more") == "***"


UNKNOWN = [
    ("Authorization: Bearer abcdef123456", "abcdef123456"),
    ("authorization: Basic abcdef123456==", "abcdef123456"),
    ("{'Authorization': 'Bearer abcdef123456'}", "abcdef123456"),
    ("{'Authorization': b'OAuth oauth_token=\"abcdef123456\"', 'x': 1}", "abcdef123456"),
    ('Authorization: OAuth oauth_consumer_key="abcdef123456", oauth_signature="q%3D"', "abcdef123456"),
    ("send: b'POST / HTTP/1.1\\r\\nAuthorization: Bearer abcdef123456\\r\\nHost: x\\r\\n'", "abcdef123456"),
    ("bearer abcdef123456", "abcdef123456"),
    ('OAuth oauth_token="abcdef123456"', "abcdef123456"),
    ('oauth_consumer_key="abcdef123456", oauth_nonce="x"', "abcdef123456"),
    ("oauth_token=abcdef123456&oauth_nonce=1", "abcdef123456"),
    ("oauth_signature=abc%2Bdef123456%3D&x=1", "def123456"),
    ("base string oauth_token%3Dabcdef123456%26oauth_version%3D1.0", "abcdef123456"),
    ("postgresql://ada:abcdef123456@db/bot", "abcdef123456"),
    ("postgres://ada:abcdef123456@db/bot", "abcdef123456"),
    ("postgresql+psycopg://ada:abcdef123456@db/bot", "abcdef123456"),
    ("redis://:abcdef123456@cache:6379/0", "abcdef123456"),
    ("rediss://ada:abcdef123456@cache:6379/0", "abcdef123456"),
    ("https://ada:abcdef123456@proxy:3128", "abcdef123456"),
    ("https://abcdef123456@models.example/v1", "abcdef123456"),
    ("socks5://ada:abc@def123456@proxy:1080", "def123456"),
    ("postgresql://ada:abc/def@123456@db/bot", "123456"),
    ("https://models.example/v1?api_key=abcdef123456", "abcdef123456"),
    ("GET https://a.example/feed?format=rss&token=abcdef123456#top", "abcdef123456"),
    ("https://a.example/feed?X-Amz-Signature=abcdef123456", "abcdef123456"),
]


@pytest.mark.parametrize(("text", "hidden"), UNKNOWN)
def test_what_looks_like_a_secret_is_hidden_though_nobody_named_it(text: str, hidden: str) -> None:
    assert hidden not in Redaction(())(text)


@pytest.mark.parametrize("place", ["message", "fact"])
@pytest.mark.parametrize(("text", "hidden"), UNKNOWN)
def test_what_looks_like_a_secret_is_hidden_in_a_json_line_that_stays_one(
    logs: Configure, text: str, hidden: str, place: str
) -> None:
    stream = logs(secrets=())
    if place == "message":
        structlog.get_logger("bot").info(text, status=500)
    else:
        structlog.get_logger("bot").info("call_failed", header=text, status=500)

    assert hidden not in stream.getvalue()
    (line,) = lines(stream)
    assert line["status"] == 500
    assert place == "message" or line["event"] == "call_failed"


def test_headers_as_a_fact_leave_the_rest_of_the_line_alone(logs: Configure) -> None:
    stream = logs(secrets=())
    headers = {"Authorization": "Bearer abcdef123456", "Host": "api.x.com"}
    structlog.get_logger("bot").info("call_failed", headers=headers, status=500)

    assert "abcdef123456" not in stream.getvalue()
    (line,) = lines(stream)
    assert (line["event"], line["status"], line["headers"]["Host"]) == ("call_failed", 500, "api.x.com")


@pytest.mark.parametrize(
    "text",
    [
        "https://api.x.com/2/tweets?since_id=12",
        "postgresql://ada@db.example:5432/bot",
        "give postgresql://USER:PASSWORD@HOST:5432/DATABASE",
        "redis://cache:6379/0",
        "13:30 @ada: see https://a.example",
        "the author is Ada",
        "https://a.example/?author=ada&keyword=tides&page=2",
        "https://medium.example/@ada/tides",
        "https://medium.example:443/@ada",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction((SECRET,))(text) == text


@pytest.mark.parametrize("password", ["PASSWORD", "password@HOST", "PASSWORD@HOSTing"])
def test_a_password_that_is_nearly_the_word_is_hidden(password: str) -> None:
    assert password not in Redaction(())(f"postgresql://USER:{password}@db.example/bot")


def test_a_key_that_a_row_held_is_hidden_from_then_on(logs: Configure) -> None:
    stream = logs()
    before = Redaction(())
    key = "19-SavedAccessTokenOfSomebody"
    assert key in before(f"token {key}")

    hide((key, "abc"))

    structlog.get_logger("bot").info("odd", said=f'X answered oauth_token="{key}".')
    (line,) = lines(stream)
    assert line["said"] == f'X answered oauth_token="{HIDDEN}".'
    assert before(f"token {key}, abc") == f"token {HIDDEN}, abc"

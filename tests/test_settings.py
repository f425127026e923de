"""The environment, read once, checked, and complained of in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import SettingError
from bot.core.spending.limits import Limits, SharedCaps
from bot.settings import Settings, read_settings, unknown_variables
from bot.spending_settings import AN_AMOUNT
from bot.store.connect import parse_url

SECRETS = (
    "DATABASE_URL",
    "REDIS_URL",
    "X_API_KEY",
    "X_API_SECRET",
    "X_ACCESS_TOKEN",
    "X_ACCESS_TOKEN_SECRET",
    "OPENAI_API_KEY",
)
Read = Callable[..., Settings]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Read:
    """Reads an environment that holds only what is given, in a folder of its own."""
    for name in list(os.environ):
        if name.lower() in Settings.model_fields or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def read_with(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return read_with


def test_each_cap_reaches_its_own_limit(read: Read) -> None:
    settings = read(
        X_POSTS_PER_24H="1",
        X_POSTS_PER_MONTH="2",
        X_READS_PER_MONTH="3",
        X_APP_POSTS_PER_24H="4",
        X_APP_POSTS_PER_MONTH="5",
        X_APP_READS_PER_MONTH="6",
        BOT_ALL_POSTS_PER_24H="7",
        BOT_ALL_POSTS_PER_MONTH="8",
        BOT_ALL_READS_PER_MONTH="9",
        BOT_TOKENS_PER_DAY="10",
        BOT_MONTHLY_BUDGET_USD="11",
        BOT_PROFILE_MONTHLY_BUDGET_USD="12",
    )

    assert settings.caps == Limits(
        posts_24h=1,
        posts_month=2,
        reads_month=3,
        app=SharedCaps(posts_24h=4, posts_month=5, reads_month=6),
        in_all=SharedCaps(posts_24h=7, posts_month=8, reads_month=9),
        tokens_day=10,
        budget_usd=Decimal(11),
        profile_budget_usd=Decimal(12),
    )


def test_nothing_need_be_set(read: Read) -> None:
    settings = read()

    assert settings.database_url is None
    assert settings.redis_url is None
    assert settings.x_api_key.get_secret_value() == ""
    assert settings.x_api_base_url == "https://api.x.com"
    assert settings.openai_base_url is None
    assert (settings.bot_mode, settings.bot_timezone, settings.bot_posts_per_day) == ("auto", "UTC", 4)
    assert (settings.x_posts_per_24h, settings.x_posts_per_month, settings.x_reads_per_month) == (
        17,
        None,
        None,
    )
    assert settings.bot_monthly_budget_usd is None
    assert settings.bot_sources == ()
    assert (settings.log_format, settings.log_level) == (None, "INFO")
    assert settings.bot_data_dir.is_absolute()
    assert settings.secrets == ()


GOOD: list[tuple[str, str, Any]] = [
    ("BOT_MODE", "auto", "auto"),
    ("BOT_MODE", "review", "review"),
    ("BOT_MODE", "dry-run", "dry-run"),
    ("BOT_TIMEZONE", "Europe/Berlin", "Europe/Berlin"),
    ("BOT_POSTS_PER_DAY", "0", 0),
    ("BOT_POSTS_PER_DAY", "100", 100),
    ("X_POSTS_PER_24H", "0", 0),
    ("X_POSTS_PER_24H", "none", None),
    ("X_POSTS_PER_24H", " None ", None),
    ("X_POSTS_PER_MONTH", "500", 500),
    ("X_POSTS_PER_MONTH", "NONE", None),
    ("X_READS_PER_MONTH", "100", 100),
    ("X_READS_PER_MONTH", "none", None),
    ("BOT_TOKENS_PER_DAY", "none", None),
    ("BOT_TOKENS_PER_DAY", "200000", 200_000),
    ("BOT_MONTHLY_BUDGET_USD", "25.00", Decimal("25.00")),
    ("BOT_MONTHLY_BUDGET_USD", "0", Decimal(0)),
    ("BOT_MONTHLY_BUDGET_USD", "none", None),
    ("X_API_BASE_URL", "http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ("OPENAI_BASE_URL", "http://localhost:11434/v1/", "http://localhost:11434/v1"),
    ("OPENAI_MODEL", "qwen3:8b", "qwen3:8b"),
    ("X_TIMEOUT_SECONDS", "0.5", 0.5),
    ("BOT_TICK_SECONDS", "0.2", 0.2),
    ("BOT_SETTLE_SECONDS", "3600", 3600.0),
    ("BOT_DRAIN_SECONDS", "0", 0.0),
    ("LOG_FORMAT", "json", "json"),
    ("LOG_FORMAT", "console", "console"),
    ("LOG_LEVEL", "debug", "DEBUG"),
    ("LOG_LEVEL", "WARNING", "WARNING"),
    ("BOT_SOURCES", "https://a.example/feed", ("https://a.example/feed",)),
    (
        "BOT_SOURCES",
        " notes/ , https://a.example/?q=1 ,, ./b.md,",
        ("notes/", "https://a.example/?q=1", "./b.md"),
    ),
    ("BOT_SOURCES", " , ", ()),
    ("BOT_DATA_DIR", "~/bot", Path.home() / "bot"),
]


GOOD += [
    (f"{whose}_{what}", given, meant)
    for whose in ("X_APP", "BOT_ALL")
    for what in ("POSTS_PER_24H", "POSTS_PER_MONTH", "READS_PER_MONTH")
    for given, meant in (("0", 0), ("none", None), ("10000", 10_000))
]
GOOD += [("BOT_PROFILE_MONTHLY_BUDGET_USD", "5.50", Decimal("5.50"))]


@pytest.mark.parametrize(("name", "given", "meant"), GOOD)
def test_a_good_value_is_taken(read: Read, name: str, given: str, meant: Any) -> None:
    assert getattr(read(**{name: given}), name.lower()) == meant


BAD = [
    ("BOT_MODE", "autopilot", "auto, review or dry-run"),
    ("BOT_MODE", "AUTO!", "auto, review or dry-run"),
    ("BOT_TIMEZONE", "Mars/Olympus", "an IANA time zone like Europe/Berlin"),
    ("BOT_TIMEZONE", "Europe", "an IANA time zone like Europe/Berlin"),
    ("BOT_POSTS_PER_DAY", "four", "a whole number from 0 to 100"),
    ("BOT_POSTS_PER_DAY", "-1", "a whole number from 0 to 100"),
    ("BOT_POSTS_PER_DAY", "101", "a whole number from 0 to 100"),
    ("BOT_POSTS_PER_DAY", "2.5", "a whole number from 0 to 100"),
    ("X_POSTS_PER_24H", "-1", "a whole number from 0 to 1000000000, or none"),
    ("X_POSTS_PER_24H", "1000000001", "a whole number from 0 to 1000000000, or none"),
    ("X_READS_PER_MONTH", "1.5", "a whole number from 0 to 1000000000, or none"),
    ("BOT_TOKENS_PER_DAY", "many", "a whole number from 0 to 1000000000, or none"),
    ("BOT_LEASE_SECONDS", "inf", "seconds, more than two X timeouts and at most 86400, like 90"),
    ("BOT_LEASE_SECONDS", "nan", "seconds, more than two X timeouts and at most 86400, like 90"),
    ("BOT_MONTHLY_BUDGET_USD", "-1", AN_AMOUNT),
    ("BOT_MONTHLY_BUDGET_USD", "NaN", AN_AMOUNT),
    ("BOT_MONTHLY_BUDGET_USD", "Infinity", AN_AMOUNT),
    ("X_API_BASE_URL", "api.x.com", "an http(s) address like https://api.x.com"),
    ("X_API_BASE_URL", "ftp://api.x.com", "an http(s) address like https://api.x.com"),
    ("X_API_BASE_URL", "https://", "an http(s) address like https://api.x.com"),
    ("X_API_BASE_URL", "http://[::1", "an http(s) address like https://api.x.com"),
    ("X_API_BASE_URL", "http://localhost:port", "an http(s) address like https://api.x.com"),
    ("OPENAI_BASE_URL", "http://localhost:99999", "an http(s) address like https://api.openai.com/v1"),
    ("X_TIMEOUT_SECONDS", "0", "seconds, more than 0 and at most 300, like 30"),
    ("X_TIMEOUT_SECONDS", "nan", "seconds, more than 0 and at most 300, like 30"),
    ("BOT_TICK_SECONDS", "soon", "seconds from 0.2 to 60, like 5"),
    ("BOT_SETTLE_SECONDS", "0.1", "seconds from 0.2 to 3600, like 30"),
    ("BOT_DRAIN_SECONDS", "301", "seconds from 0 to 300, like 4"),
    ("BOT_TIMEZONE", "Europe/Berln", "an IANA time zone like Europe/Berlin"),
    ("BOT_LEASE_SECONDS", "12", "seconds, more than two X timeouts and at most 86400, like 90"),
    ("LOG_FORMAT", "xml", "json or console"),
    ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
]


UNSHOWN = [
    ("BOT_TIMEZONE", "/etc/passwd", "an IANA time zone like Europe/Berlin"),
    ("BOT_TIMEZONE", "../../etc", "an IANA time zone like Europe/Berlin"),
    ("X_POSTS_PER_MONTH", "5e2x", "a whole number from 0 to 1000000000, or none"),
    ("BOT_LEASE_SECONDS", "1e300", "seconds, more than two X timeouts and at most 86400, like 90"),
    ("BOT_MONTHLY_BUDGET_USD", "-0.000001", AN_AMOUNT),
    ("BOT_MONTHLY_BUDGET_USD", "1E-9999", AN_AMOUNT),
    ("BOT_MONTHLY_BUDGET_USD", "25 dollars", AN_AMOUNT),
    ("OPENAI_BASE_URL", "localhost:11434", "an http(s) address like https://api.openai.com/v1"),
    ("BOT_DATA_DIR", "~nobody-of-that-name/bot", "a folder for the embedded database"),
    ("OPENAI_MODEL", "sk-proj-AbC123dEf456GhI789", "a model's name like gpt-5-mini"),
    ("OPENAI_MODEL", "AbC123dEf456GhI789jKl012", "a model's name like gpt-5-mini"),
    ("X_API_BASE_URL", "ftp://ada:hunter2@api.x.com", "an http(s) address like https://api.x.com"),
    ("X_API_BASE_URL", "https://ada:hunter2@:port", "an http(s) address like https://api.x.com"),
    ("OPENAI_BASE_URL", "ftp://m.example?key=hunter2", "an http(s) address like https://api.openai.com/v1"),
    ("HTTP_PROXY", "http://[::1", "a proxy's address like http://HOST:3128"),
    ("HTTPS_PROXY", "http://ada:hunter2@proxy:port", "a proxy's address like http://HOST:3128"),
    ("https_proxy", "socks5://proxy:1080", "a proxy's address like http://HOST:3128"),
    ("ALL_PROXY", "http://", "a proxy's address like http://HOST:3128"),
    *(
        (name, "AbC1dEf2GhI3jKl4-hunter2", Settings.model_fields[name.lower()].description or "")
        for name in ("BOT_MODE", "BOT_TIMEZONE", "BOT_POSTS_PER_DAY", "X_POSTS_PER_24H", "LOG_LEVEL")
    ),
    ("BOT_MODE", "auto\nreview", "auto, review or dry-run"),
]


@pytest.mark.parametrize(("name", "given", "right"), UNSHOWN)
def test_a_bad_value_that_may_be_a_secret_is_not_repeated(
    read: Read, name: str, given: str, right: str
) -> None:
    with pytest.raises(SettingError) as caught:
        read(**{name: given})

    assert str(caught.value) == f"{name} is a value that can't be read; it should be {right}"


@pytest.mark.parametrize(("name", "given", "right"), BAD)
def test_a_bad_value_is_one_line_with_the_variable_the_value_and_what_would_be_right(
    read: Read, name: str, given: str, right: str
) -> None:
    with pytest.raises(SettingError) as caught:
        read(**{name: given})

    assert str(caught.value) == f"{name} is {given!r}; it should be {right}"
    assert caught.value.__cause__ is None


def test_every_bad_value_is_named_at_once(read: Read) -> None:
    with pytest.raises(SettingError) as caught:
        read(BOT_MODE="x", LOG_LEVEL="y", BOT_POSTS_PER_DAY="z")

    assert str(caught.value).count(" it should be ") == 3
    assert all(name in str(caught.value) for name in ("BOT_MODE", "LOG_LEVEL", "BOT_POSTS_PER_DAY"))


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_an_empty_value_is_an_unset_one(read: Read, name: str) -> None:
    assert getattr(read(**{name.upper(): ""}), name) == getattr(read(), name)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_says_what_would_be_right(name: str) -> None:
    assert Settings.model_fields[name].description


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_stripped_kept_and_never_shown(read: Read, name: str) -> None:
    value = "redis://hunter2hunter2" if name == "REDIS_URL" else "hunter2hunter2"
    settings = read(**{name: f" {value} \n"})

    held = getattr(settings, name.lower())
    assert held.get_secret_value() == value
    assert settings.secrets == (value,)
    for shown in (repr(settings), str(settings), repr(held), f"{held}", settings.model_dump_json()):
        assert "hunter2" not in shown


FIRST, SECOND = "A" * 43 + "=", "b-_9" * 10 + "xyz="


def test_each_secret_key_is_a_secret_by_itself(read: Read) -> None:
    settings = read(BOT_SECRET_KEY=f" {FIRST} ,{SECOND},")

    assert settings.secret_keys == (FIRST, SECOND)
    assert {FIRST, SECOND} <= set(settings.secrets)
    assert FIRST not in repr(settings) + settings.model_dump_json()


def test_without_a_secret_key_there_is_none(read: Read) -> None:
    assert read().secret_keys == ()


@pytest.mark.parametrize(
    "given", ["hunter2hunter2", FIRST[:-1], f"{FIRST}{SECOND}", f"{FIRST};{SECOND}", f"{FIRST},hunter2", ","]
)
def test_a_secret_key_that_encrypts_nothing_is_named_and_not_shown(read: Read, given: str) -> None:
    with pytest.raises(SettingError, match="BOT_SECRET_KEY is a value that can't be read") as caught:
        read(BOT_SECRET_KEY=given)

    assert "accounts new-key" in str(caught.value)
    assert FIRST not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_shown_when_something_else_is_wrong(read: Read, name: str) -> None:
    with pytest.raises(SettingError) as caught:
        read(**{name: "redis://hunter2hunter2", "BOT_MODE": "wrong"})

    assert "hunter2" not in str(caught.value)


def test_the_password_of_an_address_is_a_secret_by_itself(read: Read) -> None:
    settings = read(
        DATABASE_URL="postgresql://ada:hunter2@db.example/bot", REDIS_URL="redis://:swordfish@cache:6379/0"
    )

    assert {"hunter2", "swordfish"} <= set(settings.secrets)
    assert {"postgresql://ada:hunter2@db.example/bot", "redis://:swordfish@cache:6379/0"} <= set(
        settings.secrets
    )


@pytest.mark.parametrize(
    ("name", "address", "secret"),
    [
        ("X_API_BASE_URL", "https://ada:hunter2@api.x.com", "hunter2"),
        ("OPENAI_BASE_URL", "https://hunter2@models.example/v1", "hunter2"),
        ("OPENAI_BASE_URL", "https://models.example/v1?api_key=hunter2", "hunter2"),
        ("BOT_SOURCES", "notes, https://ada:hunt%40er2@a.example/feed", "hunt@er2"),
        ("BOT_SOURCES", "https://a.example/feed?access_token=hunter2", "hunter2"),
        ("BOT_SOURCES", "AbC1dEf2GhI3jKl4MnO5pQr6", "AbC1dEf2GhI3jKl4MnO5pQr6"),
        ("HTTPS_PROXY", "http://ada:hunter2@proxy:3128", "hunter2"),
    ],
)
def test_what_an_address_carries_is_secret(read: Read, name: str, address: str, secret: str) -> None:
    assert secret in read(**{name: address}).secrets


def test_the_words_of_an_address_are_no_secrets(read: Read) -> None:
    settings = read(
        X_API_BASE_URL="http://api.example:8080/@ada",
        BOT_SOURCES="https://medium.example:443/@ada/tides?format=atom, notes",
        HTTPS_PROXY="proxy:3128",
    )

    assert settings.secrets == ()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("BOT_MOED", "BOT_MODE"),
        ("X_ACESS_TOKEN", "X_ACCESS_TOKEN"),
        ("BOT_WHATEVER_ELSE", None),
        ("OPENAI_APIKEY", "OPENAI_API_KEY"),
        ("LOG_LEVLE", "LOG_LEVEL"),
        ("REDIS_URI", "REDIS_URL"),
        ("bot_time_zone", "BOT_TIMEZONE"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_variable_that_nobody_knows_is_named_with_the_nearest(
    read: Read, tmp_path: Path, name: str, near: str | None, place: str
) -> None:
    if place == "file":
        (tmp_path / ".env").write_text(f"{name}=hunter2\n")
        read()
    else:
        read(**{name: "hunter2"})

    assert unknown_variables() == {name: near}


@pytest.mark.parametrize(
    "name", ["OPENAI_ORG_ID", "LOG_DIR", "REDIS_PASSWORD", "EDITOR", "bot_mode", "X_API_KEY"]
)
def test_a_variable_of_somebody_else_or_a_known_one_is_not_named(read: Read, name: str) -> None:
    read(**{name: "auto"})

    assert unknown_variables() == {}


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_database_address_comes_through_to_the_store(read: Read, scheme: str) -> None:
    settings = read(DATABASE_URL=f"{scheme}://ada:hunter2@db.example:6543/bot")

    assert settings.database_url is not None
    url = parse_url(settings.database_url.get_secret_value())
    assert (url.drivername, url.password) == ("postgresql+psycopg", "hunter2")


def test_a_password_as_a_person_writes_it_and_as_an_address_holds_it_are_both_secret(read: Read) -> None:
    settings = read(DATABASE_URL="postgresql://ada:p%40ss%2Fword@db.example/bot")

    assert {"p%40ss%2Fword", "p@ss/word"} <= set(settings.secrets)


@pytest.mark.parametrize("password", ["hunt[er2", "hunt]er2", "hunt/er2", "hunt#er2", "hunt?er2", "hunt:er2"])
def test_a_password_with_odd_characters_stops_nothing_and_is_secret(read: Read, password: str) -> None:
    settings = read(DATABASE_URL=f"postgresql://ada:{password}@db.example/bot")

    assert settings.database_url is not None
    assert parse_url(settings.database_url.get_secret_value()).password == password
    assert password in settings.secrets


@pytest.mark.parametrize(
    ("token", "user"),
    [
        ("1460323737035677698-AbCdEf", "1460323737035677698"),
        ("AbCdEf-123", None),
        ("1460323737035677698", None),
        ("-AbC", None),
        ("", None),
    ],
)
def test_an_access_token_tells_its_account(read: Read, token: str, user: str | None) -> None:
    assert read(X_ACCESS_TOKEN=token).token_user_id == user


def test_a_file_beside_the_program_is_read_and_the_environment_goes_before_it(
    read: Read, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "# the bot's own\n"
        "BOT_MODE=review\n"
        "export LOG_LEVEL=ERROR\n"
        "X_API_KEY='from the file'\n"
        "BOT_SOURCES=notes, feed.xml\n"
        "X_POSTS_PER_MONTH=none\n"
        "SOMETHING_ELSE=ignored\n"
    )
    settings = read(LOG_LEVEL="DEBUG")

    assert (settings.bot_mode, settings.log_level) == ("review", "DEBUG")
    assert settings.x_api_key.get_secret_value() == "from the file"
    assert settings.bot_sources == ("notes", "feed.xml")
    assert settings.x_posts_per_month is None


def test_a_bad_value_in_the_file_is_named_like_any_other(read: Read, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BOT_POSTS_PER_DAY=lots\n")

    with pytest.raises(SettingError, match=r"^BOT_POSTS_PER_DAY is 'lots'; it should be a whole number"):
        read()


def test_a_file_that_is_no_text_is_one_line_too(read: Read, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("OPENAI_MODEL=größe\n".encode("latin-1"))

    with pytest.raises(SettingError, match=r"\.env"):
        read()


def test_settings_do_not_change(read: Read) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().bot_mode = "review"  # type: ignore[misc]  # what must not work

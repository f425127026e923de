"""The only reader of the environment: typed, checked, and careful with secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode, SettingsConfigDict

from bot.core.errors import SettingError
from bot.encryption import is_secret_key
from bot.environment import is_proxy, proxies, unknown
from bot.redaction import UNREADABLE, as_given, looks_like_key, secrets_in
from bot.spending_settings import SpendingSettings, none_word
from bot.x.keys import KEY_NAMES, token_user_id, variable


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


Secret = Annotated[SecretStr, BeforeValidator(_stripped)]
NO_SECRET = SecretStr("")
ENV_FILE = ".env"


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path("autonomous-x-bot")


class Settings(SpendingSettings):
    """Everything the environment says, from the process and from a `.env` file beside it.

    A field's description says what would be right; it is what a person reads when a value isn't.
    """

    model_config = SettingsConfigDict(
        env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: Secret | None = Field(
        default=None, description="a PostgreSQL address like postgresql://USER:PASSWORD@HOST:5432/DATABASE"
    )
    bot_data_dir: Path = Field(
        default_factory=_default_data_dir, description="a folder for the embedded database"
    )
    redis_url: Secret | None = Field(default=None, description="a Redis address like redis://HOST:6379/0")
    x_api_key: Secret = Field(default=NO_SECRET, description="the app's API key")
    x_api_secret: Secret = Field(default=NO_SECRET, description="the app's API key secret")
    x_access_token: Secret = Field(default=NO_SECRET, description="the account's access token")
    x_access_token_secret: Secret = Field(default=NO_SECRET, description="the account's access token secret")
    x_api_base_url: str = Field(
        default="https://api.x.com", description="an http(s) address like https://api.x.com"
    )
    x_timeout_seconds: float = Field(
        default=30.0, gt=0, le=300, description="seconds, more than 0 and at most 300, like 30"
    )
    openai_api_key: Secret = Field(default=NO_SECRET, description="the language model's key")
    openai_base_url: str | None = Field(
        default=None, description="an http(s) address like https://api.openai.com/v1"
    )
    openai_model: str = Field(default="gpt-5-mini", description="a model's name like gpt-5-mini")
    bot_mode: Literal["auto", "review", "dry-run"] = Field(
        default="auto", description="auto, review or dry-run"
    )
    bot_timezone: str = Field(default="UTC", description="an IANA time zone like Europe/Berlin")
    bot_posts_per_day: int = Field(default=4, ge=0, le=100, description="a whole number from 0 to 100")
    bot_sources: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="feeds, URLs, files and folders, separated by commas"
    )
    bot_private_sources: bool = Field(default=False, description="yes or no")
    bot_tick_seconds: float = Field(default=5.0, ge=0.2, le=60, description="seconds from 0.2 to 60, like 5")
    bot_calls_at_once: int = Field(default=32, ge=1, le=256, description="a whole number from 1 to 256")
    bot_settle_seconds: float = Field(
        default=30.0, ge=0.2, le=3600, description="seconds from 0.2 to 3600, like 30"
    )
    bot_drain_seconds: float = Field(default=4.0, ge=0, le=300, description="seconds from 0 to 300, like 4")
    bot_lease_seconds: Annotated[
        Annotated[float, Field(gt=0, le=86_400)] | None, BeforeValidator(none_word)
    ] = Field(default=None, description="seconds, more than two X timeouts and at most 86400, like 90")
    bot_secret_key: Secret = Field(
        default=NO_SECRET,
        description="a key that `python -m bot accounts new-key` prints, or several, separated by commas",
    )
    bot_keep_decisions_days: int = Field(
        default=90, ge=7, le=3650, description="whole days from 7 to 3650, like 90"
    )
    bot_keep_calls_days: int = Field(
        default=400, ge=62, le=3650, description="whole days from 62, two months, to 3650, like 400"
    )
    log_format: Literal["json", "console"] | None = Field(default=None, description="json or console")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR"
    )

    @field_validator("bot_sources", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return _parts(value) if isinstance(value, str) else value

    @field_validator("bot_data_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:
            raise ValueError("no such user") from error

    @field_validator("bot_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError) as error:
            raise ValueError("not a time zone") from error
        return value

    @field_validator("x_api_base_url", "openai_base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        host = parts.hostname
        if parts.scheme not in {"http", "https"} or not host or parts.port == 0 or re.search(r"\s", value):
            raise ValueError("not an http(s) address")
        host.encode("idna")
        return value.rstrip("/")

    @field_validator("openai_model")
    @classmethod
    def _model(cls, value: str) -> str:
        # It is kept with every draft, and named in errors.
        if looks_like_key(value):
            raise ValueError("a key is no model")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"(rediss?|unix)://.", value.get_secret_value()):
            raise ValueError("not a Redis address")
        return value

    @field_validator("bot_secret_key")
    @classmethod
    def _fernet_keys(cls, value: SecretStr) -> SecretStr:
        given = value.get_secret_value()
        if given and not all(is_secret_key(key) for key in _parts(given) or [""]):
            raise ValueError("not Fernet keys")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        known = isinstance(value, str) and value.upper() in {"DEBUG", "INFO", "WARNING", "ERROR"}
        return value.upper() if known else value

    @property
    def call_seconds(self) -> float:
        """The longest that one call to X may take: the client ends it after two read timeouts."""
        return 2 * self.x_timeout_seconds + 0.5

    @property
    def lease_seconds(self) -> float:
        """How long a lease holds. A worker that is killed leaves it to run out."""
        return self.bot_lease_seconds or 1.5 * (self.call_seconds + 4.5)

    @model_validator(mode="after")
    def _lease_outlasts_a_call(self) -> Self:
        if self.lease_seconds <= self.call_seconds:
            raise PydanticCustomError(
                "lease", "BOT_LEASE_SECONDS", {"given": self.bot_lease_seconds, "least": self.call_seconds}
            )
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for logs and answers to hide."""
        held = [getattr(self, name) for name in type(self).model_fields]
        values = [one.get_secret_value() for one in held if isinstance(one, SecretStr)]
        plain = [self.x_api_base_url, self.openai_base_url or "", *self.bot_sources, *proxies().values()]
        inner = [secret for address in (*values, *plain) for secret in secrets_in(address)]
        values += self.secret_keys
        keys = [source for source in self.bot_sources if "/" not in source and looks_like_key(source)]
        return tuple(dict.fromkeys(value for value in (*values, *inner, *keys) if value))

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys of `BOT_SECRET_KEY`: the first encrypts, all decrypt."""
        return _parts(self.bot_secret_key.get_secret_value())

    def said(self, name: str) -> Any:
        """A setting's value; None where nobody set it, and what a person chose for a profile holds."""
        return getattr(self, name) if name in self.model_fields_set else None

    def require_keys(self) -> None:
        """Refuses to go on without the account's four keys.

        Raises:
            SettingError: it names those that are not set.
        """
        missing = ", ".join(variable(name) for name, key in self.x_keys.items() if not key)
        if missing:
            raise SettingError(
                f"missing: {missing}", code="keys_missing", fix="set what is missing, or try --sandbox"
            )

    @property
    def token_user_id(self) -> str | None:
        """The id of the account that the access token starts with, where it has that form."""
        return token_user_id(self.x_access_token.get_secret_value())

    @property
    def x_keys(self) -> dict[str, str]:
        """The account's four keys, by their name in `XClient`."""
        return {name: getattr(self, f"x_{name}").get_secret_value() for name in KEY_NAMES}


_SECRETS = frozenset(
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)


def read_settings() -> Settings:
    """Reads the environment.

    Raises:
        SettingError: one line that names each variable, what was given and what would be right.
    """
    wrong = [
        f"{name} is {UNREADABLE}; it should be a proxy's address like http://HOST:3128"
        for name, address in proxies().items()
        if not is_proxy(address)
    ]
    try:
        settings = Settings()
    except UnicodeDecodeError:
        raise SettingError(
            f"the file {ENV_FILE} can't be read: it is not UTF-8", fix="save it as UTF-8"
        ) from None
    except ValidationError as error:
        wrong = [*(_complaint(*one) for one in _worst(error)), *wrong]
    if wrong:
        raise SettingError("; ".join(wrong))
    return settings


def unknown_variables() -> Mapping[str, str | None]:
    """Variables that are meant for the bot and unknown to it, each with the nearest it knows."""
    return unknown([name.upper() for name in Settings.model_fields], file=Path(ENV_FILE))


def _worst(error: ValidationError) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {}
    for one in error.errors():
        name = str(one["loc"][0]) if one["loc"] else "bot_lease_seconds"
        found.setdefault(name, one["input"] if one["loc"] else one["ctx"]["given"])
    return list(found.items())


def _complaint(name: str, value: Any) -> str:
    field = Settings.model_fields.get(name.lower())
    right = field.description if field else "a value that can be read"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    given = UNREADABLE if name.lower() in _SECRETS else as_given(text, near=_right_values(name.lower()))
    return f"{name.upper()} is {given}; it should be {right}"


def _right_values(name: str) -> list[str]:
    """The values that a wrong one may resemble."""
    if name == "bot_timezone":
        return sorted(available_timezones())
    field = Settings.model_fields[name]
    choices = [one for part in (field.annotation, *get_args(field.annotation)) for one in get_args(part)]
    words = [choice for choice in choices if isinstance(choice, str)]
    return [*words, *([field.default] if isinstance(field.default, str) else [])]

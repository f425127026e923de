"""The values the sandbox keeps: keys, accounts, posts, media."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, Self


class ControlError(ValueError):
    """The sandbox was asked for something it can't do; the message says what is right."""


def utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        ControlError: The moment is naive.
    """
    if moment.tzinfo is None:
        raise ControlError(f"{moment.isoformat()} is naive; give a time zone, for example a trailing Z")
    return moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """A moment as X writes it: UTC, milliseconds, a trailing Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The four OAuth 1.0a strings that sign for one account."""

    api_key: str
    api_secret: str
    access_token: str
    access_token_secret: str


class Row:
    """A frozen value that travels as one flat JSON object."""

    def to_json(self) -> dict[str, Any]:
        """The value as JSON-ready types; moments keep their microseconds."""
        row = asdict(self)  # type: ignore[call-overload]
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The value that `to_json` wrote."""
        values: dict[str, Any] = {}
        for field in fields(cls):  # type: ignore[arg-type]
            value = row[field.name]
            if field.name.endswith("_at") and value is not None:
                value = datetime.fromisoformat(value)
            values[field.name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Account(Row):
    """One user of the sandbox, with the tokens that sign for it."""

    user_id: str
    username: str
    name: str
    access_token: str
    access_token_secret: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Post(Row):
    """One post, as it was sent; `text` is NFC and otherwise untouched.

    `source` is "api" for posts that came over the API and "hand" for those made through the control API.
    A post is live while `deleted_at` is None.
    """

    id: str
    account_id: str
    text: str
    created_at: datetime
    reply_to: str | None = None
    quote_of: str | None = None
    media_ids: tuple[str, ...] = ()
    poll_options: tuple[str, ...] = ()
    poll_minutes: int | None = None
    reply_settings: str | None = None
    community_id: str | None = None
    made_with_ai: bool = False
    paid_partnership: bool = False
    source: Literal["api", "hand"] = "api"
    deleted_at: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether the post still exists."""
        return self.deleted_at is None


@dataclass(frozen=True, kw_only=True)
class Media(Row):
    """One upload; usable in a post once its state is "succeeded"."""

    id: str
    account_id: str
    category: str
    media_type: str
    total_bytes: int
    state: Literal["uploading", "pending", "succeeded"]
    created_at: datetime
    alt_text: str | None = None

    @property
    def key(self) -> str:
        """The media key, whose prefix tells photo, GIF and video apart as X's do."""
        prefix = {"tweet_image": "3", "tweet_gif": "16", "tweet_video": "7"}[self.category]
        return f"{prefix}_{self.id}"

"""The body of `POST /2/tweets`: every field, its type, its range, and what excludes what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.sandbox import texts
from bot.sandbox.answers import Refusal, forbidden, invalid
from bot.sandbox.calls import is_id, one_of, refuse_unknown

MAX_MEDIA: Final = 4
MAX_TAGGED: Final = 10
POLL_OPTIONS: Final = range(2, 5)
POLL_OPTION_LENGTH: Final = 25
POLL_MINUTES: Final = range(5, 10_081)
REPLY_SETTINGS: Final = {"following", "mentionedUsers", "subscribers", "verified"}
EXCLUSIVE: Final = ("media", "poll", "quote_tweet_id")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A post that is well formed; whether it is allowed is judged later."""

    text: str = ""
    media_ids: tuple[str, ...] = ()
    poll_options: tuple[str, ...] = ()
    poll_minutes: int | None = None
    reply_to: str | None = None
    quote_of: str | None = None
    reply_settings: str | None = None
    community_id: str | None = None
    made_with_ai: bool = False
    paid_partnership: bool = False


def read_draft(body: Mapping[str, Any]) -> Draft:
    """The draft in a request body.

    Raises:
        Refusal: A field is unknown, of the wrong type, out of range, or excluded by another.
    """
    refuse_unknown(body, set(_READERS))
    given = [name for name in EXCLUSIVE if name in body]
    if len(given) > 1:
        raise invalid(given[0], body[given[0]], f"Only one of [{','.join(given)}] may be given.")
    values: dict[str, Any] = {}
    for name, value in body.items():
        values |= _READERS[name](name, value)
    draft = Draft(**values)
    if not draft.text and not draft.media_ids:
        raise invalid("text", draft.text, "The text can not be empty unless media is attached.")
    return draft


def _text(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, str):
        raise invalid(name, value, "$.text: must be a string")
    if texts.has_invalid_characters(value):
        raise invalid(name, "", "The text contains invalid characters.")
    text = texts.normalise(value)
    if text and texts.weight(text) > texts.MAX_WEIGHT:
        raise Refusal(
            forbidden(
                "Your Tweet text is too long. For more information on how to count, see weighted length."
            )
        )
    if len(texts.cashtags(text)) > 1:
        raise Refusal(
            forbidden("You are not permitted to perform this action. A Post may hold at most one cashtag.")
        )
    return {"text": text}


def _object(name: str, value: object, allowed: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise invalid(name, value, f"$.{name}: must be an object")
    refuse_unknown(value, allowed, f"$.{name}")
    return value


def _ids(name: str, value: object, sizes: range) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(is_id(item) for item in value):
        raise invalid(name, value, f"$.{name}: must be a list of ids, each a string of digits")
    if len(value) not in sizes or len(set(value)) != len(value):
        raise invalid(name, value, f"$.{name}: must hold {sizes[0]} to {sizes[-1]} different ids")
    return tuple(value)


def _id(name: str, value: object) -> str:
    if not is_id(value):
        raise invalid(name, value, f"$.{name}: must be an id, a string of digits")
    return str(value)


def _media(name: str, value: object) -> dict[str, Any]:
    media = _object(name, value, {"media_ids", "tagged_user_ids"})
    ids = _ids("media.media_ids", media.get("media_ids"), range(1, MAX_MEDIA + 1))
    if "tagged_user_ids" in media:
        _ids("media.tagged_user_ids", media["tagged_user_ids"], range(MAX_TAGGED + 1))
    return {"media_ids": ids}


def _poll(name: str, value: object) -> dict[str, Any]:
    poll = _object(name, value, {"options", "duration_minutes"})
    options = poll.get("options")
    if not isinstance(options, list) or len(options) not in POLL_OPTIONS:
        raise invalid("poll.options", options, "$.poll.options: must hold 2 to 4 options")
    for option in options:
        if not isinstance(option, str) or not 1 <= len(option) <= POLL_OPTION_LENGTH:
            raise invalid(
                "poll.options", option, "$.poll.options: each must be a string of 1 to 25 characters"
            )
    minutes = poll.get("duration_minutes")
    if type(minutes) is not int or minutes not in POLL_MINUTES:
        raise invalid("poll.duration_minutes", minutes, "$.poll.duration_minutes: must be from 5 to 10080")
    return {"poll_options": tuple(options), "poll_minutes": minutes}


def _reply(name: str, value: object) -> dict[str, Any]:
    reply = _object(name, value, {"in_reply_to_tweet_id", "exclude_reply_user_ids"})
    if "exclude_reply_user_ids" in reply:
        _ids("reply.exclude_reply_user_ids", reply["exclude_reply_user_ids"], range(51))
    return {"reply_to": _id("reply.in_reply_to_tweet_id", reply.get("in_reply_to_tweet_id"))}


def _flag(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, bool):
        raise invalid(name, value, f"$.{name}: must be a boolean")
    return {name: value}


_READERS: Final[Mapping[str, Callable[[str, object], dict[str, Any]]]] = {
    "text": _text,
    "media": _media,
    "poll": _poll,
    "reply": _reply,
    "quote_tweet_id": lambda name, value: {"quote_of": _id(name, value)},
    "reply_settings": lambda name, value: {"reply_settings": one_of(name, value, REPLY_SETTINGS)},
    "community_id": lambda name, value: {"community_id": _id(name, value)},
    "made_with_ai": _flag,
    "paid_partnership": _flag,
}

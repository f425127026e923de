"""The media endpoints: one-shot and chunked upload, status, alt text."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from bot.sandbox.answers import Answer, Refusal, about_blank, invalid, json_answer
from bot.sandbox.calls import Call, is_id, one_of, refuse_unknown
from bot.sandbox.endpoints import Act
from bot.sandbox.model import Media
from bot.sandbox.state import State

MEGABYTE: Final = 1024 * 1024
SIZES: Final = {"tweet_image": 5 * MEGABYTE, "tweet_gif": 15 * MEGABYTE, "tweet_video": 512 * MEGABYTE}
TYPES: Final = {
    "tweet_image": {"image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff"},
    "tweet_gif": {"image/gif"},
    "tweet_video": {"video/mp4", "video/quicktime", "video/webm"},
}
CHUNK: Final = 5 * MEGABYTE
MAX_SEGMENT: Final = 999
MAX_ALT_TEXT: Final = 1000
EXPIRES_SECONDS: Final = 86_400


def upload(state: State, call: Call) -> Act:
    """`POST /2/media/upload`: an image in one shot."""
    account = call.require_account()
    fields = call.upload_fields()
    refuse_unknown(fields, {"media", "media_category", "media_type", "additional_owners", "shared"})
    category = one_of("media_category", fields.get("media_category"), {"tweet_image"})
    content = fields.get("media")
    if not isinstance(content, bytes) or not content:
        raise invalid("media", "", "media must hold the file.")
    media_type = one_of("media_type", fields.get("media_type", "image/jpeg"), TYPES[category])
    _check_size(category, len(content))

    def act() -> Answer:
        media = Media(
            id=state.next_id(),
            account_id=account.user_id,
            category=category,
            media_type=media_type,
            total_bytes=len(content),
            state="succeeded",
            created_at=state.now(),
        )
        state.media[media.id] = media
        return _answer(media)

    return act


def initialize(state: State, call: Call) -> Act:
    """`POST /2/media/upload/initialize`."""
    account = call.require_account()
    body = call.json_object()
    refuse_unknown(body, {"media_type", "total_bytes", "media_category", "additional_owners", "shared"})
    category = one_of("media_category", body.get("media_category"), set(SIZES))
    media_type = one_of("media_type", body.get("media_type"), TYPES[category])
    total = body.get("total_bytes")
    if type(total) is not int or total < 1:
        raise invalid("total_bytes", total, "total_bytes must be a positive integer.")
    _check_size(category, total)

    def act() -> Answer:
        media = Media(
            id=state.next_id(),
            account_id=account.user_id,
            category=category,
            media_type=media_type,
            total_bytes=total,
            state="uploading",
            created_at=state.now(),
        )
        state.media[media.id] = media
        state.segments[media.id] = {}
        return _answer(media)

    return act


def append(state: State, call: Call) -> Act:
    """`POST /2/media/upload/:id/append`."""
    media = _own(state, call, call.path_id())
    if media.state != "uploading":
        raise invalid("id", media.id, "This upload is already finalized.")
    fields = call.upload_fields()
    refuse_unknown(fields, {"media", "segment_index"})
    content = fields.get("media")
    if not isinstance(content, bytes) or not 0 < len(content) <= CHUNK:
        raise invalid("media", "", "media must hold a chunk of 1 byte to 5 MB.")
    text = str(fields.get("segment_index"))
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_SEGMENT:
        raise invalid("segment_index", text, "segment_index must be from 0 to 999.")

    def act() -> Answer:
        state.segments[media.id][int(text)] = len(content)
        expires = int(state.now().timestamp()) + EXPIRES_SECONDS
        return json_answer(HTTPStatus.OK, {"data": {"expires_at": expires}})

    return act


def finalize(state: State, call: Call) -> Act:
    """`POST /2/media/upload/:id/finalize`."""
    media = _own(state, call, call.path_id())
    segments = state.segments.get(media.id, {})
    if sorted(segments) != list(range(len(segments))) or sum(segments.values()) != media.total_bytes:
        message = f"Segments do not add up to the {media.total_bytes} bytes that were announced."
        raise invalid("id", media.id, message)

    def act() -> Answer:
        done = replace(media, state="succeeded" if media.category == "tweet_image" else "pending")
        state.media[media.id] = done
        return _answer(done)

    return act


def show_status(state: State, call: Call) -> Act:
    """`GET /2/media/upload?command=STATUS&media_id=`: processing is over when it is first asked for."""
    values = call.query_values({"command", "media_id"})
    one_of("command", values.get("command"), {"STATUS"})
    media = _own(state, call, values.get("media_id", ""))

    def act() -> Answer:
        done = replace(media, state="succeeded") if media.state == "pending" else media
        state.media[media.id] = done
        return _answer(done)

    return act


def describe(state: State, call: Call) -> Act:
    """`POST /2/media/metadata`: the alt text."""
    body = call.json_object()
    refuse_unknown(body, {"id", "metadata"})
    media = _own(state, call, body.get("id"))
    metadata = _object(body, "metadata", {"alt_text"})
    alt_text = _object(metadata, "alt_text", {"text"}).get("text")
    if not isinstance(alt_text, str) or not 1 <= len(alt_text) <= MAX_ALT_TEXT:
        raise invalid(
            "metadata.alt_text.text", alt_text, "The alt text must be a string of 1 to 1000 characters."
        )

    def act() -> Answer:
        state.media[media.id] = replace(media, alt_text=alt_text)
        state.charge("media_metadata", media.id, call.caller)
        data = {"id": media.id, "associated_metadata": {"alt_text": {"text": alt_text}}}
        return json_answer(HTTPStatus.OK, {"data": data})

    return act


def _object(values: dict[str, Any], name: str, allowed: set[str]) -> dict[str, Any]:
    value = values.get(name)
    if not isinstance(value, dict):
        raise invalid(name, value, f"{name} must be an object.")
    refuse_unknown(value, allowed, f"$.{name}")
    return value


def _check_size(category: str, size: int) -> None:
    if size > SIZES[category]:
        raise invalid("media", size, f"{category} may hold at most {SIZES[category]} bytes.")


def _own(state: State, call: Call, media_id: object) -> Media:
    if not is_id(media_id):
        raise invalid("id", media_id, "A media id is a string of digits.")
    media = state.media.get(str(media_id))
    if media is None or media.account_id != call.caller:
        raise Refusal(about_blank(HTTPStatus.NOT_FOUND, f"No media with id {media_id}."))
    return media


def _answer(media: Media) -> Answer:
    data: dict[str, Any] = {"id": media.id, "media_key": media.key, "expires_after_secs": EXPIRES_SECONDS}
    if media.state != "uploading":
        data["size"] = media.total_bytes
    if media.state != "uploading" and media.category != "tweet_image":
        progress = {"check_after_secs": 1} if media.state == "pending" else {"progress_percent": 100}
        data["processing_info"] = {"state": media.state, **progress}
    return json_answer(HTTPStatus.OK, {"data": data})

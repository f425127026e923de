from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
import requests

from bot.sandbox import Sandbox

Call = Callable[..., requests.Response]
MEGABYTE = 1024 * 1024


def image(call: Call, content: bytes = b"\x89PNG\r\n\x00--\r\n", **fields: Any) -> requests.Response:
    data = {"media_category": "tweet_image", "media_type": "image/png", **fields}
    return call("POST", "/2/media/upload", data=data, files={"media": ("a.png", content)})


def chunked(call: Call, category: str, media_type: str, parts: list[bytes]) -> str:
    total = sum(map(len, parts))
    body = {"media_type": media_type, "total_bytes": total, "media_category": category}
    media_id: str = call("POST", "/2/media/upload/initialize", json=body).json()["data"]["id"]
    for number, part in enumerate(parts):
        path = f"/2/media/upload/{media_id}/append"
        answer = call("POST", path, data={"segment_index": str(number)}, files={"media": part})
        assert answer.status_code == 200, answer.text
    return media_id


def send(call: Call, text: str, media_ids: list[str]) -> requests.Response:
    return call("POST", "/2/tweets", json={"text": text, "media": {"media_ids": media_ids}})


def test_an_image_in_one_shot_is_posted_with_its_link(call: Call, sandbox: Sandbox) -> None:
    content = b"\r\n--binary\x00\xff\r\n"
    media = image(call, content).json()["data"]
    assert media["size"] == len(content)
    assert media["media_key"] == f"3_{media['id']}"
    alone = send(call, "", [media["id"]])
    assert alone.status_code == 201
    answer = send(call, "look", [media["id"]])
    assert answer.json()["data"]["text"].startswith("look https://t.co/")
    assert sandbox.posts()[1].media_ids == (media["id"],)
    params = {"expansions": "attachments.media_keys", "ids": answer.json()["data"]["id"]}
    body = call("GET", "/2/tweets", params=params).json()
    assert body["includes"]["media"] == [{"media_key": media["media_key"], "type": "photo"}]


def test_base64_in_json_is_an_upload_too(call: Call) -> None:
    body = {"media": base64.b64encode(b"abc").decode(), "media_category": "tweet_image"}
    assert call("POST", "/2/media/upload", json=body).json()["data"]["size"] == 3
    assert call("POST", "/2/media/upload", json={**body, "media": "%"}).status_code == 400


def test_wrong_uploads_are_refused(call: Call) -> None:
    assert image(call, b"x" * (5 * MEGABYTE + 1)).status_code == 400
    assert image(call, media_category="tweet_gif").status_code == 400
    assert image(call, media_type="image/gif").status_code == 400
    assert image(call, extra="1").status_code == 400
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert call("POST", "/2/media/upload", data=b"--x\r\nno end", headers=broken).status_code == 400


def test_a_gif_in_chunks_is_processed_before_it_is_posted(call: Call) -> None:
    media_id = chunked(call, "tweet_gif", "image/gif", [b"abc", b"de"])
    assert send(call, "early", [media_id]).status_code == 400
    done = call("POST", f"/2/media/upload/{media_id}/finalize").json()["data"]
    assert done["processing_info"]["state"] == "pending"
    assert send(call, "early", [media_id]).status_code == 400
    params = {"command": "STATUS", "media_id": media_id}
    status = call("GET", "/2/media/upload", params=params).json()["data"]
    assert status["processing_info"]["state"] == "succeeded"
    assert send(call, "ready", [media_id]).status_code == 201
    photo = image(call).json()["data"]["id"]
    assert send(call, "mixed", [media_id, photo]).status_code == 400


def test_chunks_must_add_up(call: Call) -> None:
    body = {"media_type": "video/mp4", "total_bytes": 5, "media_category": "tweet_video"}
    media_id = call("POST", "/2/media/upload/initialize", json=body).json()["data"]["id"]
    path = f"/2/media/upload/{media_id}/append"
    call("POST", path, data={"segment_index": "1"}, files={"media": b"abcde"})
    assert call("POST", f"/2/media/upload/{media_id}/finalize").status_code == 400
    assert call("POST", path, data={"segment_index": "1000"}, files={"media": b"a"}).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"media_category": "dm_image"},
        {"media_type": "image/png"},
        {"total_bytes": 0},
        {"total_bytes": "5"},
        {"total_bytes": 15 * MEGABYTE + 1},
        {"extra": 1},
    ],
)
def test_wrong_beginnings_are_refused(change: dict[str, Any], call: Call) -> None:
    body = {"media_type": "image/gif", "total_bytes": 5, "media_category": "tweet_gif", **change}
    assert call("POST", "/2/media/upload/initialize", json=body).status_code == 400


def test_alt_text_is_kept_and_paid(call: Call, sandbox: Sandbox) -> None:
    media_id = image(call).json()["data"]["id"]

    def describe(text: Any) -> requests.Response:
        body = {"id": media_id, "metadata": {"alt_text": {"text": text}}}
        return call("POST", "/2/media/metadata", json=body)

    assert [describe(text).status_code for text in ("", "a" * 1001, 5, "a" * 1000)] == [400, 400, 400, 200]
    state = sandbox.state()
    assert state["media"][0]["alt_text"] == "a" * 1000
    assert [charge["item"] for charge in state["charges"]] == ["media_metadata"]


def test_media_belong_to_their_account(call: Call, sandbox: Sandbox) -> None:
    sandbox.add_account("other")
    media_id = image(call).json()["data"]["id"]
    body = {"text": "theft", "media": {"media_ids": [media_id]}}
    assert call("POST", "/2/tweets", json=body, keys=sandbox.keys_of("other")).status_code == 400

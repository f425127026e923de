"""A local language model for tests: speaks chat completions strictly, and misbehaves on demand.

`python tests/writer/stub_model.py` starts one and prints `{"base_url": ...}`; it stops with its
standard input or on Ctrl-C. It imports nothing of bot, so that it can't share its mistakes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, Literal, Self

Misbehaviour = Literal[
    "invented_link",
    "invented_number",
    "mention",
    "unknown_item",
    "bad_json",
    "too_long",
    "empty",
    "refusal",
    "cut_off",
    "401",
    "402",
    "403",
    "404",
    "429",
    "500",
    "html",
    "no_usage",
    "hang",
    "drop",
    "drip_blanks",
    "drip_headers",
    "drip_continue",
    "drip_chunks",
    "endless",
    "packed",
    "no_json_schema",
    "no_max_completion_tokens",
    "insufficient_quota",
    "leak_key",
]
ALWAYS: tuple[Misbehaviour, ...] = ("no_json_schema", "no_max_completion_tokens", "no_usage")

_KNOWN = {
    "model": str,
    "messages": list,
    "response_format": dict,
    "max_completion_tokens": int,
    "max_tokens": int,
    "temperature": (int, float),
}
_ROLES = {"system", "developer", "user", "assistant"}
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# What comes first, what comes again and again, and the pause between in seconds.
_ENDLESS: dict[str, tuple[bytes, bytes, float]] = {
    "drip_blanks": (_OK + b"Content-Length: 100000\r\n\r\n", b" ", 0.05),
    "drip_headers": (_OK, b"X-More: 1\r\n", 0.05),
    "drip_continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    "drip_chunks": (_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.05),
    "endless": (_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n", 0),
}
_SENTENCE = re.compile(r"[^.!?\n]{20,240}[.!](?=\s|$)")


class StubModel:
    """A model server on 127.0.0.1, for use as a context manager.

    `misbehave` is what the next answers do, one each; those in `ALWAYS` hold for every answer.
    Afterwards, and with none given, it answers well. `requests` keeps every body it was sent.
    """

    def __init__(
        self, misbehave: Iterable[Misbehaviour] = (), *, api_key: str = "sk-test", model: str = "stub-1"
    ) -> None:
        given = tuple(misbehave)
        self.always = {one for one in given if one in ALWAYS}
        self.next: deque[Misbehaviour] = deque(one for one in given if one not in ALWAYS)
        self.api_key = api_key
        self.model = model
        self.requests: list[dict[str, Any]] = []
        self.reported_tokens = 0
        self.released = Event()
        handler = type("Handler", (_Handler,), {"stub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base_url(self) -> str:
        """The address to give to a client, ending in /v1."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Refusal(Exception):
    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        }


class _Handler(BaseHTTPRequestHandler):
    stub: StubModel
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Keeps quiet."""

    def do_GET(self) -> None:
        self._serve(self._model)

    def do_POST(self) -> None:
        self._serve(self._completion)

    def _serve(self, answer: Any) -> None:
        try:
            self._check_key()
            result = answer()
        except _Refusal as refusal:
            self._send(refusal.status, refusal.body)
        else:
            if result is not None:
                self._send(200, result)

    def _check_key(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.stub.api_key}":
            raise _Refusal(401, "Incorrect API key provided.", code="invalid_api_key")

    def _send(self, status: int, body: object, kind: str = "application/json") -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "20")
        self.end_headers()
        self.wfile.write(content)

    def _model(self) -> object:
        if self._failed(self._misbehaviour()):
            return None
        if self.path != f"/v1/models/{self.stub.model}":
            raise _Refusal(404, "The model does not exist.", code="model_not_found")
        return {"id": self.stub.model, "object": "model", "created": 1, "owned_by": "stub"}

    def _completion(self) -> object:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        if self.path != "/v1/chat/completions":
            raise _Refusal(404, f"Unknown path {self.path}")
        _check(body, self.stub)
        self.stub.requests.append(body)
        mode = self._misbehaviour()
        if self._failed(mode):
            return None
        return _answer(body, mode, self.stub)

    def _misbehaviour(self) -> Misbehaviour | None:
        return self.stub.next.popleft() if self.stub.next else None

    def _failed(self, mode: Misbehaviour | None) -> bool:
        if mode in {"401", "403", "404", "429", "500", "402"}:
            raise _Refusal(int(mode), f"told to answer {mode}")
        if mode == "insufficient_quota":
            raise _Refusal(429, "You exceeded your current quota.", code="insufficient_quota")
        if mode == "leak_key":
            raise _Refusal(500, f"upstream\nfailed for {self.stub.api_key}")
        if mode == "html":
            self._send(200, "<html><body>Welcome to the hotel network</body></html>", "text/html")
        if mode == "hang":
            self.stub.released.wait()
        if mode in _ENDLESS:
            self._drip(*_ENDLESS[mode])
        if mode == "packed":
            self._send_packed()
        if mode in {"hang", "drop", *_ENDLESS}:
            self.close_connection = True
        return mode in {"html", "hang", "drop", "packed", *_ENDLESS}

    def _drip(self, start: bytes, drop: bytes, pause: float) -> None:
        """Never comes to an end, and is never silent for long."""
        with suppress(OSError):
            self.wfile.write(start)
            while not self.stub.released.wait(pause):
                self.wfile.write(drop)

    def _send_packed(self) -> None:
        content = gzip.compress(b" " * 10_000_000 + b"{}")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _check(body: dict[str, Any], stub: StubModel) -> None:
    for name, value in body.items():
        if name not in _KNOWN:
            raise _Refusal(400, f"Unrecognized request argument supplied: {name}", param=name)
        if not isinstance(value, _KNOWN[name]) or isinstance(value, bool):  # type: ignore[arg-type]
            raise _Refusal(400, f"Invalid type for '{name}'", param=name)
    if body.get("model") != stub.model:
        raise _Refusal(404, "The model does not exist.", code="model_not_found")
    if {"max_tokens", "max_completion_tokens"} <= body.keys():
        raise _Refusal(400, "Set one of max_tokens and max_completion_tokens.", param="max_tokens")
    if "no_max_completion_tokens" in stub.always and "max_completion_tokens" in body:
        raise _Refusal(400, "Unsupported parameter: 'max_completion_tokens'", param="max_completion_tokens")
    messages = body.get("messages") or []
    good = all(
        set(message) == {"role", "content"}
        and message["role"] in _ROLES
        and isinstance(message["content"], str)
        for message in messages
    )
    if not messages or not good:
        raise _Refusal(400, "Invalid messages.", param="messages")
    _check_format(body.get("response_format") or {"type": "text"}, messages, stub)


def _check_format(wanted: dict[str, Any], messages: list[dict[str, str]], stub: StubModel) -> None:
    kind = wanted.get("type")
    if kind == "json_object" and set(wanted) == {"type"}:
        if not any("json" in message["content"].lower() for message in messages):
            raise _Refusal(400, "'messages' must contain the word 'json'.", param="messages")
        return
    if kind != "json_schema" or "no_json_schema" in stub.always:
        raise _Refusal(400, f"response_format of type {kind} is not supported.", param="response_format")
    described = wanted.get("json_schema", {})
    schema = described.get("schema", {})
    strict = described.get("strict") is True and schema.get("additionalProperties") is False
    complete = sorted(schema.get("required", [])) == sorted(schema.get("properties", {}))
    if set(wanted) != {"type", "json_schema"} or not described.get("name") or not strict or not complete:
        raise _Refusal(400, "Invalid schema for response_format.", param="response_format")


def _answer(body: dict[str, Any], mode: Misbehaviour | None, stub: StubModel) -> object:
    material = json.loads(next(m["content"] for m in body["messages"] if m["role"] == "user"))
    item_id, text = _sentence(material)
    text = {
        "invented_link": f"{text} https://invented.example/page",
        "invented_number": f"{text} It is 98765 times as good.",
        "mention": f"{text} Thanks @somebody",
        "too_long": "long " * 100,
        "empty": "",
    }.get(mode or "", text)
    content: str | None = json.dumps(
        {"item_id": "nobody" if mode == "unknown_item" else item_id, "text": text}
    )
    if mode == "bad_json":
        content = "Here is your post: " + text
    message = {"role": "assistant", "content": content, "refusal": None}
    if mode == "refusal":
        message |= {"content": None, "refusal": "I can't help with that."}
    sent = sum(len(one["content"]) for one in body["messages"]) // 4
    used = {"prompt_tokens": sent, "completion_tokens": 40, "total_tokens": sent + 40}
    stub.reported_tokens += used["total_tokens"]
    choice = {"index": 0, "message": message, "finish_reason": "length" if mode == "cut_off" else "stop"}
    answer: dict[str, Any] = {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 1,
        "model": stub.model,
        "choices": [choice],
    }
    return answer if "no_usage" in stub.always else answer | {"usage": used}


def _sentence(material: dict[str, Any]) -> tuple[str, str]:
    """Returns the first plain sentence of the items that none of the avoided texts holds."""
    avoided = " ".join(material.get("avoid", ()))
    for item in material["items"]:
        for found in _SENTENCE.finditer(item["text"]):
            sentence = found.group(0).strip()
            if sentence not in avoided and not re.search(r"[@#/\\]|\w\.\w", sentence):
                return item["id"], sentence
    first = material["items"][0]
    return first["id"], re.sub(r"[@#]", "", first["title"])[:200]


def main() -> None:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api-key", default="sk-test")
    parser.add_argument("--model", default="stub-1")
    parser.add_argument("misbehave", nargs="*")
    arguments = parser.parse_args()
    with StubModel(arguments.misbehave, api_key=arguments.api_key, model=arguments.model) as stub:
        sys.stdout.write(json.dumps({"base_url": stub.base_url, "model": stub.model}) + "\n")
        sys.stdout.flush()
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()

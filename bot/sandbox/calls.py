"""One HTTP call, read: its parameters, its body, its caller."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from bot.sandbox.answers import invalid
from bot.sandbox.model import Account

_ID = re.compile(r"[0-9]{1,19}", re.ASCII)


def is_id(value: object) -> bool:
    """Whether a value is an X id: a string of 1 to 19 digits."""
    return isinstance(value, str) and bool(_ID.fullmatch(value))


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP call as it came in.

    `headers` have lower-case names. `parameters` come from the path.
    `account` is None for the app's own token.
    """

    method: str
    path: str
    query: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None

    @property
    def caller(self) -> str | None:
        """The calling account's id."""
        return None if self.account is None else self.account.user_id

    @property
    def content_type(self) -> str:
        """The body's media type, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def require_account(self) -> Account:
        """The calling account, on endpoints that only accounts reach."""
        if self.account is None:
            raise TypeError(f"{self.method} {self.path} must be routed with user authentication")
        return self.account

    def path_id(self) -> str:
        """The id in the path.

        Raises:
            Refusal: It is no id.
        """
        value = self.parameters["id"]
        if not is_id(value):
            raise invalid("id", value, f"The `id` path parameter value [{value}] is not valid")
        return value

    def query_values(self, allowed: set[str]) -> dict[str, str]:
        """The query parameters.

        Raises:
            Refusal: One is unknown, doubled or empty.
        """
        values: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            if name not in allowed:
                known = ",".join(sorted(allowed))
                raise invalid(name, value, f"The query parameter [{name}] is not one of [{known}]")
            if name in values:
                raise invalid(name, value, f"The query parameter [{name}] is given twice")
            if not value:
                raise invalid(name, value, f"The query parameter [{name}] can not be empty")
            values[name] = value
        return values

    def json_object(self) -> dict[str, Any]:
        """The JSON body.

        Raises:
            Refusal: The body is no JSON, or no object.
        """
        self.query_values(set())
        if self.content_type != "application/json":
            message = "Requests with bodies must have content-type of application/json."
            raise invalid("Content-Type", self.content_type, message)
        try:
            value = json.loads(self.body, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise invalid("body", "", f"The body is not valid JSON: {error}") from error
        if not isinstance(value, dict):
            raise invalid("body", "", "The body is not a JSON object.")
        return value

    def upload_fields(self) -> dict[str, Any]:
        """The fields of an upload, JSON (with base64 media) or multipart; `media` is bytes.

        Raises:
            Refusal: The body can't be read.
        """
        if self.content_type == "multipart/form-data":
            self.query_values(set())
            return _multipart(self.headers["content-type"], self.body)
        values = self.json_object()
        if "media" in values:
            try:
                values["media"] = base64.b64decode(values["media"], validate=True)
            except (binascii.Error, TypeError, ValueError) as error:
                raise invalid("media", "", "media is not base64.") from error
        return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name is given twice")
    return values


def _multipart(content_type: str, body: bytes) -> dict[str, Any]:
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise invalid("Content-Type", content_type, "A multipart body needs a boundary.")
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())
    if first.strip() or not parts or not parts[-1].startswith(b"--"):
        raise invalid("body", "", "The multipart body is broken.")
    values: dict[str, Any] = {}
    for part in parts[:-1]:
        head, separator, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if not separator or name is None:
            raise invalid("body", "", "The multipart body is broken.")
        key = name[1].decode(errors="replace")
        values[key] = content if key == "media" else content.decode(errors="replace")
    return values


def one_of(name: str, value: object, allowed: set[str]) -> str:
    """A string out of a known set.

    Raises:
        Refusal: It is another.
    """
    if not isinstance(value, str) or value not in allowed:
        raise invalid(name, value, f"{name} must be one of [{','.join(sorted(allowed))}]")
    return value


def refuse_unknown(values: Mapping[str, Any], allowed: set[str], prefix: str = "$") -> None:
    """Refuse names that are not in the schema.

    Raises:
        Refusal: One is not.
    """
    for name in values:
        if name not in allowed:
            message = (
                f"{prefix}.{name}: is not defined in the schema, and no additional properties are allowed"
            )
            raise invalid(f"{prefix}.{name}", values[name], message)

"""Messages over a pipe: a JSON object and bytes, each with its length before it."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_LENGTHS = struct.Struct(">II")
_MOST_BYTES = 64_000_000


def pack(head: dict[str, Any], content: bytes = b"") -> bytes:
    """Returns the message as bytes."""
    encoded = json.dumps(head).encode()
    return _LENGTHS.pack(len(encoded), len(content)) + encoded + content


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Returns the next message, or None where the stream ends, also inside a message."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_length, content_length = _LENGTHS.unpack(lengths)
    if head_length + content_length > _MOST_BYTES:
        return None
    head, content = stream.read(head_length), stream.read(content_length)
    if len(head) < head_length or len(content) < content_length:
        return None
    return json.loads(head), content

"""The local X of a data folder, shared by every process that uses the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def local_x(data_dir: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Keys and address: of the one that another process runs, else of one of our own."""
    from bot.sandbox import Sandbox, SandboxControl

    data_dir.mkdir(parents=True, exist_ok=True)
    address = data_dir / "sandbox-x.json"
    try:
        told = json.loads(address.read_text())
        SandboxControl(told["base_url"], timeout=1.0).calls()
    except Exception:  # noqa: BLE001 - whatever it is, no local X answers there
        told = None
    if told is not None:
        yield told["keys"], told["base_url"]
        return
    with Sandbox(state_path=data_dir / "sandbox-x.jsonl") as local:
        keys = {
            "api_key": local.keys.api_key,
            "api_secret": local.keys.api_secret,
            "access_token": local.keys.access_token,
            "access_token_secret": local.keys.access_token_secret,
        }
        address.write_text(json.dumps({"base_url": local.base_url, "keys": keys}))
        try:
            yield keys, local.base_url
        finally:
            address.unlink(missing_ok=True)

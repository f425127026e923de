"""Run a sandbox: `python -m bot.sandbox [--port N] [--state FILE] [--seed N]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bot.sandbox.api import Sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, after one JSON line with the address and the keys."""
    parser = argparse.ArgumentParser(prog="python -m bot.sandbox", description="A strict local X API v2.")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--state", type=Path, default=None, help="the file that keeps posts over restarts")
    parser.add_argument("--seed", type=int, default=0, help="makes ids, links and chances repeatable")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Sandbox(port=options.port, state_path=options.state, seed=options.seed) as sandbox:
        about = {
            "base_url": sandbox.base_url,
            "user_id": sandbox.user_id,
            "username": sandbox.username,
            **asdict(sandbox.keys),
            "bearer_token": sandbox.bearer_token,
        }
        sys.stdout.write(json.dumps(about) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

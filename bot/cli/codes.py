"""How a command ends."""

from __future__ import annotations

from collections.abc import Mapping

DONE, FAILED, WRONG_CALL, DECIDED_NOT_TO, UNKNOWN = range(5)
INTERRUPTED = 130
AFTER: Mapping[str, int] = {
    "posted": DONE,
    "dry_run": DONE,
    "awaiting_approval": DONE,
    "waiting": DECIDED_NOT_TO,
    "rejected": DECIDED_NOT_TO,
    "unknown": UNKNOWN,
    "failed": FAILED,
}
"""The exit code after each outcome of a wish to post."""

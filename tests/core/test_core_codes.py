"""The words that rows, logs and programs hold: none changes unnoticed."""

from __future__ import annotations

from bot.core.codes import DecisionKind, ErrorCode, Ruling


def test_decisions_are_of_these_kinds() -> None:
    assert [*DecisionKind] == (
        ["publish", "prepare", "reconcile", "audit", "plan", "forget", "source", "start", "stop", "operator"]
    )


def test_what_was_decided_is_one_of_these_words() -> None:
    assert [*Ruling] == [
        *("allow", "wait"),
        *("nothing", "paused", "expired", "moved", "dry_run", "failed", "broke"),
        *("unknown", "unseen", "adopted", "resend", "late", "retry", "refused"),
        *("drafted", "awaiting_approval", "waiting", "rejected"),
        *("planned", "readable", "unreadable", "clean", "differs"),
        *(
            "started",
            "stopped",
            "left",
            "resumed",
            "approved",
            "edited",
            "skipped",
            "keys_saved",
            "keys_removed",
        ),
    ]


def test_these_codes_decide_what_is_done_next() -> None:
    assert [*ErrorCode] == [
        *("rate_limited", "usage_capped", "credits_depleted", "keys_missing", "wrong_address"),
        *("no_answer", "unreadable_answer", "lease_short", "duplicate", "sources_used_up"),
    ]

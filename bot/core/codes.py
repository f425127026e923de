"""Words that one room writes and another compares: kinds and rulings of decisions, codes of errors."""

from __future__ import annotations

from enum import StrEnum


class DecisionKind(StrEnum):
    """Which job decided, or that a person did."""

    PUBLISH = "publish"
    PREPARE = "prepare"
    RECONCILE = "reconcile"
    AUDIT = "audit"
    PLAN = "plan"
    FORGET = "forget"
    SOURCE = "source"
    START = "start"
    STOP = "stop"
    OPERATOR = "operator"


class Ruling(StrEnum):
    """What was decided, in one word."""

    # Of limits.
    ALLOW = "allow"
    WAIT = "wait"
    # Of ticks.
    NOTHING = "nothing"
    PAUSED = "paused"
    EXPIRED = "expired"
    MOVED = "moved"
    DRY_RUN = "dry_run"
    FAILED = "failed"
    BROKE = "broke"
    # Of calls and of looks at the timeline.
    UNKNOWN = "unknown"
    UNSEEN = "unseen"
    ADOPTED = "adopted"
    RESEND = "resend"
    LATE = "late"
    RETRY = "retry"
    REFUSED = "refused"
    # Of drafts.
    DRAFTED = "drafted"
    AWAITING_APPROVAL = "awaiting_approval"
    WAITING = "waiting"
    REJECTED = "rejected"
    # Of plans, sources and audits.
    PLANNED = "planned"
    READABLE = "readable"
    UNREADABLE = "unreadable"
    CLEAN = "clean"
    DIFFERS = "differs"
    # Of the worker and of people.
    STARTED = "started"
    STOPPED = "stopped"
    LEFT = "left"
    RESUMED = "resumed"
    APPROVED = "approved"
    EDITED = "edited"
    SKIPPED = "skipped"
    KEYS_SAVED = "keys_saved"
    KEYS_REMOVED = "keys_removed"


class ErrorCode(StrEnum):
    """Codes of errors that decide what is done next."""

    RATE_LIMITED = "rate_limited"
    USAGE_CAPPED = "usage_capped"
    CREDITS_DEPLETED = "credits_depleted"
    KEYS_MISSING = "keys_missing"
    WRONG_ADDRESS = "wrong_address"
    NO_ANSWER = "no_answer"
    UNREADABLE_ANSWER = "unreadable_answer"
    LEASE_SHORT = "lease_short"
    DUPLICATE = "duplicate"
    SOURCES_USED_UP = "sources_used_up"

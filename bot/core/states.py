"""The kinds and states that rows may have, and the only state changes they may make."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from bot.core.errors import ForbiddenTransition


class Mode(StrEnum):
    """How far a profile goes on its own."""

    AUTO = "auto"
    REVIEW = "review"
    DRY_RUN = "dry-run"


class MemberRole(StrEnum):
    """What a signed-in person may do with a profile."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


class PlanStatus(StrEnum):
    """Whether a plan is the one that fills slots."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class LatePolicy(StrEnum):
    """What becomes of the draft of a slot that was missed beyond tolerance."""

    MOVE = "move"
    EXPIRE = "expire"


class SlotStatus(StrEnum):
    """Where a slot stands."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    DONE = "done"
    SKIPPED = "skipped"
    EXPIRED = "expired"


class TweetStatus(StrEnum):
    """Where a tweet stands."""

    DRAFTED = "drafted"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    PUBLISHING = "publishing"
    POSTED = "posted"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DELETED = "deleted"


class Origin(StrEnum):
    """Who wanted the tweet: a slot of the plan, or a person."""

    SLOT = "slot"
    MANUAL = "manual"


class CallState(StrEnum):
    """Where a reserved call stands in the ledger."""

    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"
    UNKNOWN = "unknown"
    EXTERNAL = "external"


class CallKind(StrEnum):
    """What a call spends."""

    POST = "post"
    READ = "read"
    MODEL = "model"


SLOT_TRANSITIONS: Mapping[SlotStatus, frozenset[SlotStatus]] = {
    SlotStatus.PLANNED: frozenset({SlotStatus.CLAIMED, SlotStatus.SKIPPED, SlotStatus.EXPIRED}),
    SlotStatus.CLAIMED: frozenset({SlotStatus.DONE, SlotStatus.SKIPPED, SlotStatus.EXPIRED}),
    SlotStatus.DONE: frozenset(),
    SlotStatus.SKIPPED: frozenset(),
    SlotStatus.EXPIRED: frozenset(),
}

# `approved -> awaiting_approval` is a text that was changed: an approval belongs to the exact text.
# `publishing -> approved` is a definite refusal that may pass later (429, an unreachable host):
# nothing happened, so the tweet waits as it did before its intent.
# `unknown -> failed` is a text that stayed absent although it was resent once, and so does not exist;
# or one that X called a duplicate and never showed: it counts, and is not looked for for ever.
TWEET_TRANSITIONS: Mapping[TweetStatus, frozenset[TweetStatus]] = {
    TweetStatus.DRAFTED: frozenset(
        {TweetStatus.AWAITING_APPROVAL, TweetStatus.APPROVED, TweetStatus.REJECTED, TweetStatus.PUBLISHING}
    ),
    TweetStatus.AWAITING_APPROVAL: frozenset({TweetStatus.APPROVED, TweetStatus.REJECTED}),
    TweetStatus.APPROVED: frozenset(
        {
            TweetStatus.PUBLISHING,
            TweetStatus.REJECTED,
            TweetStatus.FAILED,
            TweetStatus.AWAITING_APPROVAL,
        }
    ),
    TweetStatus.REJECTED: frozenset(),
    TweetStatus.PUBLISHING: frozenset(
        {TweetStatus.POSTED, TweetStatus.FAILED, TweetStatus.UNKNOWN, TweetStatus.APPROVED}
    ),
    TweetStatus.POSTED: frozenset({TweetStatus.DELETED}),
    TweetStatus.FAILED: frozenset(),
    TweetStatus.UNKNOWN: frozenset({TweetStatus.POSTED, TweetStatus.APPROVED, TweetStatus.FAILED}),
    TweetStatus.DELETED: frozenset(),
}

# Where a tweet may be that was never sent.
UNSENT = frozenset({TweetStatus.DRAFTED, TweetStatus.AWAITING_APPROVAL, TweetStatus.APPROVED})

CALL_TRANSITIONS: Mapping[CallState, frozenset[CallState]] = {
    CallState.RESERVED: frozenset({CallState.SETTLED, CallState.RELEASED, CallState.UNKNOWN}),
    CallState.UNKNOWN: frozenset({CallState.SETTLED, CallState.RELEASED}),
    CallState.SETTLED: frozenset(),
    CallState.RELEASED: frozenset(),
    CallState.EXTERNAL: frozenset(),
}


_State = TypeVar("_State", bound=StrEnum)
_DIAGRAMS: Mapping[type[StrEnum], Mapping[Any, frozenset[Any]]] = {
    SlotStatus: SLOT_TRANSITIONS,
    TweetStatus: TWEET_TRANSITIONS,
    CallState: CALL_TRANSITIONS,
}


def check_transition(current: StrEnum, wanted: StrEnum) -> None:
    """Refuses a state change that the diagrams above do not draw.

    Raises:
        ForbiddenTransition: the change is not drawn, or the states are of different kinds.
    """
    # Members of different enums compare equal when their strings do, so the kinds are compared too.
    diagram = _DIAGRAMS.get(type(current), {})
    drawn = diagram.get(current, frozenset()) if type(current) is type(wanted) else frozenset()
    if wanted not in drawn:
        raise ForbiddenTransition(f"{type(current).__name__}: {current} -> {wanted} is not allowed")


def leading_to(wanted: _State) -> frozenset[_State]:
    """The states from which the diagrams above draw an arrow to this one."""
    diagram: Mapping[_State, frozenset[_State]] = _DIAGRAMS.get(type(wanted), {})
    return frozenset(state for state, drawn in diagram.items() if wanted in drawn)

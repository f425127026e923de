"""Reads are bought: reserved, made, settled; never leaked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.core.codes import DecisionKind, ErrorCode, Ruling
from bot.core.errors import ServiceError
from bot.core.model import Call, Timeline
from bot.core.spending.limits import Wait
from bot.core.states import CallState
from bot.engine.context import ProfileContext
from bot.engine.spending.limits_agent import READ_TIMELINE
from bot.engine.spending.reserving import reserve

# X may have served what never arrived, or arrived in pieces.
_LOST = {ErrorCode.NO_ANSWER, ErrorCode.UNREADABLE_ANSWER}


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidRead:
    """A read that is about to be bought.

    Attributes:
        kind: which job wants it.
        endpoint: as the ledger names it.
        price: which price of the list holds for one resource.
        units: the most resources that the read may return.
    """

    kind: DecisionKind
    endpoint: str
    price: str
    units: int


def buy_posts(context: ProfileContext, wanted: PaidRead, read: Callable[[], Timeline]) -> Timeline | None:
    """Reads posts through the limits agent; None when it is not allowed or X does not answer.

    A read that X refused costs nothing. One whose answer was lost may have been billed, so it counts
    as it was reserved.

    Args:
        context: whose profile pays.
        wanted: what is bought.
        read: makes the call.
    """
    with context.database.transaction() as tx:
        tx.ledger.lock()
        asked = context.limits.want_read(tx, wanted.endpoint, wanted.price, wanted.units)
        call = reserve(context, tx, wanted.kind, asked)
    if isinstance(call, Wait):
        return None
    try:
        answer = read()
    except ServiceError as error:
        _book_failure(context, wanted, call, error)
        return None
    with context.database.transaction() as tx:
        context.limits.settle_read(tx, call, units=len(answer.posts))
        context.limits.keep_rates(tx, context.profile, wanted.endpoint, answer, now=context.clock.now())
    return answer


def buy_timeline(context: ProfileContext, kind: DecisionKind, *, posts: int) -> Timeline | None:
    """Reads the account's newest posts, up to so many; None also while its id isn't known."""
    x_user_id = context.profile.x_user_id
    if x_user_id is None:
        return None
    wanted = PaidRead(kind=kind, endpoint=READ_TIMELINE, price="own_post_read", units=posts)
    return buy_posts(context, wanted, lambda: context.x.timeline(x_user_id, limit=posts))


def state_after(error: ServiceError) -> CallState:
    """How a read that failed is booked."""
    return CallState.UNKNOWN if error.code in _LOST else CallState.RELEASED


def _book_failure(context: ProfileContext, wanted: PaidRead, call: Call, error: ServiceError) -> None:
    state = state_after(error)
    with context.database.transaction() as tx:
        now = context.clock.now()
        if error.served and state is CallState.RELEASED:
            context.limits.settle_read(tx, call, units=error.served)
        else:
            tx.ledger.change(call.id, state)
        context.limits.keep_rates(tx, context.profile, wanted.endpoint, error, now=now)
        context.decisions(tx, wanted.kind, now=now).note(Ruling.RETRY, error.line)
    context.log.warning(
        "read_failed",
        profile=context.profile.handle,
        endpoint=wanted.endpoint,
        code=error.code,
        error=error.line,
    )

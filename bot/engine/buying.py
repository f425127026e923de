"""Reads are bought: reserved, made, settled; never leaked."""

from __future__ import annotations

from collections.abc import Callable

from bot.core.errors import ServiceError
from bot.core.limits import Wait
from bot.core.model import Call, Profile, Timeline
from bot.core.states import CallState
from bot.engine.noting import noted, weighed
from bot.engine.parts import Parts

# X may have served what never arrived, or arrived in pieces.
_LOST = {"no_answer", "unreadable_answer"}


def buy_posts(
    parts: Parts,
    profile: Profile,
    *,
    kind: str,
    endpoint: str,
    price: str,
    units: int,
    read: Callable[[], Timeline],
) -> Timeline | None:
    """Reads posts through the limits agent; None when it is not allowed or X does not answer.

    A read that X refused costs nothing. One whose answer was lost may have been billed, so it counts
    as it was reserved.

    Args:
        parts: what the engine works with.
        profile: who pays.
        kind: which job wants it, for the decision row.
        endpoint: as the ledger names it.
        price: which price of the list holds for one resource.
        units: the most resources that the read may return.
        read: makes the call.
    """
    call = _reserve(parts, profile, kind=kind, endpoint=endpoint, price=price, units=units)
    if call is None:
        return None
    try:
        answer = read()
    except ServiceError as error:
        with parts.database.transaction() as tx:
            now = parts.clock.now()
            state = state_after(error)
            if error.served and state is CallState.RELEASED:
                parts.limits.settle_read(tx, call, units=error.served)
            else:
                tx.ledger.change(call.id, state)
            parts.limits.learn(tx, profile, endpoint, error, now=now)
            tx.decisions.record(noted("retry", error.line, now=now, kind=kind, profile=profile))
        parts.log.warning("read_failed", endpoint=endpoint, code=error.code, error=error.line)
        return None
    with parts.database.transaction() as tx:
        parts.limits.settle_read(tx, call, units=len(answer.posts))
        parts.limits.learn(tx, profile, endpoint, answer.rates, now=parts.clock.now())
    return answer


def state_after(error: ServiceError) -> CallState:
    """How a read that failed is booked."""
    return CallState.UNKNOWN if error.code in _LOST else CallState.RELEASED


def _reserve(
    parts: Parts, profile: Profile, *, kind: str, endpoint: str, price: str, units: int
) -> Call | None:
    with parts.database.transaction() as tx:
        tx.ledger.lock()
        now = parts.clock.now()
        wanted = parts.limits.want_read(tx, endpoint, price, units)
        verdict = parts.limits.judge(tx, profile.id, wanted, now)
        if isinstance(verdict, Wait):
            tx.decisions.record(weighed(verdict, now=now, kind=kind, profile=profile))
            return None
        return parts.limits.reserve(tx, wanted, profile_id=profile.id, now=now)

"""Reserve: what a call may take, before it is made."""

from __future__ import annotations

from bot.core.codes import DecisionKind
from bot.core.model import Call
from bot.core.spending.limits import Wait, Wanted
from bot.engine.context import ProfileContext
from bot.ports import Transaction


def reserve(context: ProfileContext, tx: Transaction, kind: DecisionKind, wanted: Wanted) -> Call | Wait:
    """Books a call where the profile's limits allow it; else a decision says why not.

    Call it under the ledger's lock.
    """
    now = context.clock.now()
    verdict = context.limits.judge(tx, context.profile.id, wanted, now)
    if isinstance(verdict, Wait):
        context.decisions(tx, kind, now=now).weighed(verdict)
        return verdict
    return context.limits.reserve(tx, wanted, profile_id=context.profile.id, now=now)

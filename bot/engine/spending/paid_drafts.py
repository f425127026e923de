"""Drafts are bought: their cost is reserved before they are written, and settled after."""

from __future__ import annotations

from bot.core.codes import DecisionKind
from bot.core.content.drafts import Draft, DraftRequest
from bot.core.errors import Fatal, Retryable, WriterFailed
from bot.core.model import Call
from bot.core.spending.limits import Wait
from bot.core.spending.usage import ModelUsage
from bot.engine.context import ProfileContext
from bot.engine.spending.reserving import reserve


def buy_draft(context: ProfileContext, request: DraftRequest) -> Draft | Wait:
    """Asks the writer, through the limits agent where that costs tokens.

    Raises:
        WriterFailed, Retryable, Fatal: there is no draft; what was spent is booked.
    """
    most = context.writer.estimate(request)
    if most is None:
        return context.writer.write(request)
    with context.database.transaction() as tx:
        tx.ledger.lock()
        call = reserve(context, tx, DecisionKind.PREPARE, context.limits.want_draft(tx, most))
    return call if isinstance(call, Wait) else _write_and_settle(context, request, call)


def _write_and_settle(context: ProfileContext, request: DraftRequest, call: Call) -> Draft:
    try:
        draft = context.writer.write(request)
    except (WriterFailed, Retryable, Fatal) as error:
        _settle_draft(context, call, getattr(error, "usage", None))
        raise
    except BaseException:
        # Whatever broke, no answer came: what it spent isn't known, so all of it counts.
        _settle_draft(context, call, context.writer.estimate(request))
        raise
    _settle_draft(context, call, draft.usage)
    return draft


def _settle_draft(context: ProfileContext, call: Call, usage: ModelUsage | None) -> None:
    with context.database.transaction() as tx:
        context.limits.settle_draft(tx, call, usage)

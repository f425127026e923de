"""Prepare: a draft from real sources, checked by the guard."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from bot.core.codes import DecisionKind, Ruling
from bot.core.content.drafts import Brief, DraftRequest
from bot.core.content.guard import Judgement
from bot.core.content.rules import Problem
from bot.core.errors import BotError
from bot.core.model import Tweet
from bot.core.spending.limits import Wait, Wanted, closed_beyond
from bot.engine.content.keeping import keep_draft
from bot.engine.content.sourcing import read_sources
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome
from bot.engine.spending.paid_drafts import buy_draft
from bot.ports import Transaction

TEXTS_TO_AVOID = 50


def write_draft(context: ProfileContext, brief: Brief) -> Tweet | Outcome:
    """Writes, checks and keeps a draft.

    Returns:
        The draft; else an outcome: `WAITING` when money or tokens don't allow a model call now,
        `REJECTED` when the guard refused every try.

    Raises:
        SourceUnreadable, WriterFailed, Retryable, Fatal: there is no draft; a decision row says why.
    """
    try:
        return _write_draft(context, brief)
    except BotError as error:
        with suppress(BotError), context.deciding(DecisionKind.PREPARE) as decisions:
            decisions.note(Ruling.FAILED, error.line, about=brief.slot)
        raise


def _write_draft(context: ProfileContext, brief: Brief) -> Tweet | Outcome:
    with context.database.transaction() as tx:
        closed = _closed_for_too_long(context, tx, brief)
        if closed is not None:
            return closed
        include_link = bool(brief.plan and brief.plan.include_links and _link_fits(context, tx))
    reading = read_sources(context)
    with context.database.transaction() as tx:
        request = DraftRequest(
            items=reading.items,
            topic=brief.topic,
            avoid=tuple(tx.tweets.recent_texts(context.profile.id, limit=TEXTS_TO_AVOID)),
            include_link=include_link,
        )
    return _write_within_rules(context, brief, request)


def _write_within_rules(context: ProfileContext, brief: Brief, request: DraftRequest) -> Tweet | Outcome:
    """Asks the writer again with the guard's complaints, a few times at most."""
    found: Sequence[Problem] = ()
    for _ in range(context.settings.draft_tries):
        draft = buy_draft(context, request)
        if isinstance(draft, Wait):
            return Outcome.waiting(draft)
        kept = keep_draft(context, draft, brief)
        if not isinstance(kept, Judgement):
            return kept
        found = kept.problems
        request = request.after(draft.text, [problem.message for problem in found])
    return Outcome.rejected(found)


def _closed_for_too_long(context: ProfileContext, tx: Transaction, brief: Brief) -> Outcome | None:
    """What keeps the post from going out in time, before anything is spent on writing it."""
    now = context.clock.now()
    price = context.limits.prices(tx).post_price(has_link=False)
    wanted = Wanted(cost_usd=price, spaced=brief.slot is not None)
    verdict = context.limits.judge(tx, context.profile.id, wanted, now)
    if not isinstance(verdict, Wait) or not closed_beyond(verdict, brief.latest(now=now)):
        return None
    context.decisions(tx, DecisionKind.PREPARE, now=now).weighed(verdict, about=brief.slot)
    return Outcome.waiting(verdict)


def _link_fits(context: ProfileContext, tx: Transaction) -> bool:
    """Whether the budget pays for a post with a link now: it costs many times a plain one."""
    wanted = Wanted(cost_usd=context.limits.prices(tx).post_price(has_link=True), spaced=False)
    verdict = context.limits.judge(tx, context.profile.id, wanted, context.clock.now())
    if isinstance(verdict, Wait):
        context.log.info("link_left_out", limit=verdict.limit, reason=verdict.reason)
    return not isinstance(verdict, Wait)

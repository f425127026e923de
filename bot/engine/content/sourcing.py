"""Source: what the bot writes from, and whether it can be read."""

from __future__ import annotations

from bot.core.codes import DecisionKind, Ruling
from bot.core.content.drafts import SourceReading
from bot.core.errors import SourceUnreadable
from bot.engine.context import ProfileContext


def read_sources(context: ProfileContext) -> SourceReading:
    """Reads all sources; a decision row says when some break and when all are back."""
    try:
        reading = context.sources.read()
    except SourceUnreadable as error:
        _record_readability(context, error.line)
        raise
    if _record_readability(context, "; ".join(reading.problems)):
        for problem in reading.problems:
            context.log.warning("source_unreadable", problem=problem)
    return reading


def _record_readability(context: ProfileContext, problems: str) -> bool:
    """Keeps what can't be read as a decision; returns whether that is news."""
    with context.database.transaction() as tx:
        rows = tx.decisions.last(context.profile.id, limit=1, kinds=(DecisionKind.SOURCE,))
        last = next(iter(rows), None)
        if not problems and (last is None or last.verdict != Ruling.UNREADABLE):
            return False
        ruling, reason = Ruling.UNREADABLE, problems
        if not problems:
            ruling, reason = Ruling.READABLE, "every source can be read again"
        context.decisions(tx, DecisionKind.SOURCE).note(ruling, reason)
        return last is None or last.reason != reason

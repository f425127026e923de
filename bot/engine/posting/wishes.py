"""A person's draft on its way from a wish to a post."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.core.codes import DecisionKind, Ruling
from bot.core.content.guard import against_all, judge
from bot.core.model import Tweet
from bot.core.posting.lifecycle import rejected
from bot.engine.content.keeping import said_already
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome
from bot.engine.posting.threads import break_thread
from bot.ports import Transaction


def turned_down(
    context: ProfileContext, tx: Transaction, tweet: Tweet, following: Sequence[str]
) -> Outcome | None:
    """Rejects a person's draft whose text was kept or said by another since; None where it may go on.

    Drafts of a person count as said from the transaction on in which they become more than a wish. It
    asks this first: between the two, nobody else can keep the same text.

    Args:
        context: whose it is.
        tx: that transaction.
        tweet: the draft, a thread's root or a single post.
        following: the texts of the parts after it.
    """
    if not tweet.is_wish:
        return None
    said = said_already(tx, context.profile.id, now=context.clock.now())
    problems = against_all([judge(text, recent_fingerprints=said) for text in (tweet.text, *following)])
    if not problems:
        return None
    refusal = Outcome.rejected(problems)
    row = tx.tweets.save(rejected(tx.tweets.lock(tweet.id), problems[0].rule))
    break_thread(tx, row)
    context.decisions(tx, DecisionKind.PREPARE).note(Ruling.REJECTED, refusal.detail, about=row)
    return replace(refusal, tweet=row)

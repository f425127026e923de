"""Keep: what was written, once the guard lets it pass."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from bot.core.codes import DecisionKind, Ruling
from bot.core.content.drafts import Brief, Draft
from bot.core.content.guard import DUPLICATE_WINDOW, Judgement, against_all, judge
from bot.core.model import ProfileId, Tweet, TweetId
from bot.core.posting.lifecycle import OPERATOR, drafted
from bot.core.posting.post import Post
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.ports import Transaction


def take_posts(context: ProfileContext, posts: Sequence[Post], *, topic: str | None) -> Tweet | Outcome:
    """Checks and keeps what a person wrote: one post, or the parts of a thread."""
    drafts = [Draft(text=post.text, source=None, writer=OPERATOR) for post in posts]
    with context.database.transaction() as tx:
        said = said_already(tx, context.profile.id, now=context.clock.now())
        judged = [_judge_draft(draft, said) for draft in drafts]
        problems = against_all(judged)
        if problems:
            return Outcome.rejected(problems)
        root, *_others = [tx.tweets.add(row) for row in _post_or_thread(context, drafts, judged, topic=topic)]
        _record_kept(context, tx, root)
    return root


def keep_draft(context: ProfileContext, draft: Draft, brief: Brief) -> Tweet | Outcome | Judgement:
    """Keeps a draft, or returns what the guard has against it.

    Both in one transaction: two that write at once must not both keep the same text.
    """
    with context.database.transaction() as tx:
        said = said_already(tx, context.profile.id, now=context.clock.now())
        judgement = _judge_draft(draft, said)
        if not judgement.valid:
            return judgement
        if brief.slot is not None and not tx.slots.still_to_write(brief.slot.id):
            reason = "its slot was given up, or got another draft, while this one was written"
            return Outcome(kind=OutcomeKind.WAITING, reason="slot_taken", detail=reason)
        kept = tx.tweets.add(_as_tweet(context, draft, judgement, brief))
        _record_kept(context, tx, kept)
    context.log.info("draft_written", profile=context.profile.handle, tweet=str(kept.id), writer=draft.writer)
    return kept


def said_already(
    tx: Transaction, profile_id: ProfileId, *, now: datetime, apart_from: Collection[TweetId] = ()
) -> Collection[str]:
    """The fingerprints of what the profile has said or means to; nobody adds to them meanwhile.

    Args:
        tx: in which one of them is judged.
        profile_id: whose texts.
        now: when.
        apart_from: what is judged itself.
    """
    tx.tweets.lock_texts(profile_id)
    return tx.tweets.fingerprints(profile_id, since=now - DUPLICATE_WINDOW, apart_from=apart_from)


def _post_or_thread(
    context: ProfileContext, drafts: Sequence[Draft], judged: Sequence[Judgement], *, topic: str | None
) -> Sequence[Tweet]:
    """One post, or the parts of a thread."""
    brief = Brief(topic=topic)
    rows = [_as_tweet(context, *both, brief) for both in zip(drafts, judged, strict=True)]
    if len(rows) == 1:
        return rows
    return [replace(row, thread_id=rows[0].id, part=part) for part, row in enumerate(rows, start=1)]


def _as_tweet(context: ProfileContext, draft: Draft, judgement: Judgement, brief: Brief) -> Tweet:
    return drafted(TweetId(context.new_id()), context.profile, draft, judgement.text, brief)


def _judge_draft(draft: Draft, said: Collection[str]) -> Judgement:
    allowed = None
    if draft.writer != OPERATOR:
        allowed = (draft.source.url,) if draft.source and draft.source.url else ()
    return judge(draft.text, recent_fingerprints=said, allowed_links=allowed)


def _record_kept(context: ProfileContext, tx: Transaction, tweet: Tweet) -> None:
    reason = f"written from {tweet.source.title}" if tweet.source else f"written by {tweet.writer}"
    context.decisions(tx, DecisionKind.PREPARE).note(Ruling(tweet.status.value), reason, about=tweet)

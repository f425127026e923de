"""Prepare: a draft from real sources, checked by the guard."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.core.codes import DecisionKind, Ruling
from bot.core.content.drafts import Draft, DraftRequest, SourceReading
from bot.core.content.guard import DUPLICATE_WINDOW, Judgement, against_all, judge
from bot.core.content.rules import Problem
from bot.core.errors import BotError, Fatal, Retryable, SourceUnreadable, WriterFailed
from bot.core.model import Call, Plan, Slot, SlotId, Source, Tweet, TweetId
from bot.core.posting.post import Post
from bot.core.spending.limits import Wait, Wanted, closed_beyond
from bot.core.states import Mode, Origin, TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.ports import Transaction

TEXTS_TO_AVOID = 50
OPERATOR = "operator"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A draft that was written, checked and kept: a post, or the root of a thread."""

    tweet: Tweet


@dataclass(frozen=True, kw_only=True, slots=True)
class Brief:
    """What a draft is wanted for: a slot of a plan, or a person's wish about a topic."""

    plan: Plan | None = None
    slot: Slot | None = None
    topic: str | None = None

    @property
    def slot_id(self) -> SlotId | None:
        """The slot's id, if the draft is for one."""
        return self.slot.id if self.slot else None


def write_draft(context: ProfileContext, brief: Brief) -> Prepared | Outcome:
    """Writes, checks and keeps a draft.

    Returns:
        `Prepared`; else an outcome: `WAITING` when money or tokens don't allow a model call now,
        `REJECTED` when the guard refused every try.

    Raises:
        SourceUnreadable, WriterFailed, Retryable, Fatal: there is no draft; a decision row says why.
    """
    try:
        return _write_draft(context, brief)
    except BotError as error:
        with suppress(BotError), context.database.transaction() as tx:
            context.decisions(tx, DecisionKind.PREPARE).note(Ruling.FAILED, error.line, about=brief.slot)
        raise


def _write_draft(context: ProfileContext, brief: Brief) -> Prepared | Outcome:
    with context.database.transaction() as tx:
        closed = _closed(context, tx, brief)
        if closed is not None:
            return closed
        include_link = bool(brief.plan and brief.plan.include_links and _link_fits(context, tx))
    reading = _read_sources(context)
    with context.database.transaction() as tx:
        request = DraftRequest(
            items=reading.items,
            topic=brief.topic,
            avoid=tuple(tx.tweets.recent_texts(context.profile.id, limit=TEXTS_TO_AVOID)),
            include_link=include_link,
        )
    return _write_within_rules(context, brief, request)


def _write_within_rules(context: ProfileContext, brief: Brief, request: DraftRequest) -> Prepared | Outcome:
    """Asks the writer again with the guard's complaints, a few times at most."""
    found: Sequence[Problem] = ()
    for _ in range(context.settings.draft_tries):
        draft = _write(context, request)
        if isinstance(draft, Outcome):
            return draft
        kept = _judge_and_keep(context, draft, brief)
        if not isinstance(kept, Judgement):
            return kept
        found = kept.problems
        request = replace(
            request,
            avoid=(draft.text, *request.avoid),
            feedback=tuple(problem.message for problem in found),
        )
    return _rejected(found)


def _rejected(found: Sequence[Problem]) -> Outcome:
    return Outcome(
        kind=OutcomeKind.REJECTED,
        reason=found[0].rule if found else "no_draft",
        detail="; ".join(problem.message for problem in found),
    )


def _closed(context: ProfileContext, tx: Transaction, brief: Brief) -> Outcome | None:
    """What keeps the post from going out in time, before anything is spent on writing it."""
    now, slot = context.clock.now(), brief.slot
    price = context.limits.prices(tx).post_price(has_link=False)
    verdict = context.limits.judge(
        tx, context.profile.id, Wanted(cost_usd=price, spaced=slot is not None), now
    )
    late = brief.plan.late_tolerance if brief.plan else timedelta(0)
    last = now if slot is None else slot.due_at + late
    if not isinstance(verdict, Wait) or not closed_beyond(verdict, last):
        return None
    context.decisions(tx, DecisionKind.PREPARE, now=now).weighed(verdict, about=brief.slot)
    return _waiting(verdict)


def _waiting(verdict: Wait) -> Outcome:
    return Outcome(kind=OutcomeKind.WAITING, reason=verdict.limit, detail=verdict.reason, verdict=verdict)


def _link_fits(context: ProfileContext, tx: Transaction) -> bool:
    """Whether the budget pays for a post with a link now: it costs many times a plain one."""
    wanted = Wanted(cost_usd=context.limits.prices(tx).post_price(has_link=True), spaced=False)
    verdict = context.limits.judge(tx, context.profile.id, wanted, context.clock.now())
    if isinstance(verdict, Wait):
        context.log.info("link_left_out", limit=verdict.limit, reason=verdict.reason)
    return not isinstance(verdict, Wait)


def take_posts(context: ProfileContext, posts: Sequence[Post], *, topic: str | None) -> Prepared | Outcome:
    """Checks and keeps what a person wrote: one post, or the parts of a thread."""
    drafts = [Draft(text=post.text, source=None, writer=OPERATOR) for post in posts]
    with context.database.transaction() as tx:
        tx.tweets.lock_texts(context.profile.id)
        judged = [_judged(context, tx, draft) for draft in drafts]
        problems = against_all(judged)
        if problems:
            return _rejected(problems)
        root, *_others = [tx.tweets.add(row) for row in _rows(context, drafts, judged, topic=topic)]
        _say(context, tx, root, None)
    return Prepared(tweet=root)


def _rows(
    context: ProfileContext, drafts: Sequence[Draft], judged: Sequence[Judgement], *, topic: str | None
) -> Sequence[Tweet]:
    rows = [
        _tweet(context, draft, judgement.text, brief=Brief(topic=topic))
        for draft, judgement in zip(drafts, judged, strict=True)
    ]
    if len(rows) == 1:
        return rows
    return [replace(row, thread_id=rows[0].id, part=part) for part, row in enumerate(rows, start=1)]


def _read_sources(context: ProfileContext) -> SourceReading:
    """Reads all sources; a decision row says when some break and when all are back."""
    try:
        reading = context.sources.read()
    except SourceUnreadable as error:
        _say_sources(context, error.line)
        raise
    if _say_sources(context, "; ".join(reading.problems)):
        for problem in reading.problems:
            context.log.warning("source_unreadable", problem=problem)
    return reading


def _say_sources(context: ProfileContext, problems: str) -> bool:
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


def _write(context: ProfileContext, request: DraftRequest) -> Draft | Outcome:
    """Asks the writer, with its cost reserved before and settled after."""
    most = context.writer.estimate(request)
    if most is None:
        return context.writer.write(request)
    with context.database.transaction() as tx:
        tx.ledger.lock()
        now = context.clock.now()
        wanted = context.limits.want_draft(tx, most)
        verdict = context.limits.judge(tx, context.profile.id, wanted, now)
        if isinstance(verdict, Wait):
            context.decisions(tx, DecisionKind.PREPARE, now=now).weighed(verdict)
            return _waiting(verdict)
        call = context.limits.reserve(tx, wanted, profile_id=context.profile.id, now=now)
    return _write_reserved(context, request, call)


def _write_reserved(context: ProfileContext, request: DraftRequest, call: Call) -> Draft:
    try:
        draft = context.writer.write(request)
    except (WriterFailed, Retryable, Fatal) as error:
        with context.database.transaction() as tx:
            context.limits.settle_draft(tx, call, getattr(error, "usage", None))
        raise
    except BaseException:
        # Whatever broke, no answer came: what it spent isn't known, so all of it counts.
        with context.database.transaction() as tx:
            context.limits.settle_draft(tx, call, context.writer.estimate(request))
        raise
    with context.database.transaction() as tx:
        context.limits.settle_draft(tx, call, draft.usage)
    return draft


def _judge_and_keep(context: ProfileContext, draft: Draft, brief: Brief) -> Prepared | Outcome | Judgement:
    """Keeps a draft, or returns what the guard has against it.

    Both in one transaction: two that write at once must not both keep the same text.
    """
    with context.database.transaction() as tx:
        tx.tweets.lock_texts(context.profile.id)
        judgement = _judged(context, tx, draft)
        if not judgement.valid:
            return judgement
        if brief.slot is not None and not tx.slots.still_to_write(brief.slot.id):
            reason = "its slot was given up, or got another draft, while this one was written"
            return Outcome(kind=OutcomeKind.WAITING, reason="slot_taken", detail=reason)
        kept = tx.tweets.add(_tweet(context, draft, judgement.text, brief=brief))
        _say(context, tx, kept, draft.source)
    context.log.info("draft_written", tweet=str(kept.id), writer=draft.writer)
    return Prepared(tweet=kept)


def _judged(context: ProfileContext, tx: Transaction, draft: Draft) -> Judgement:
    known = tx.tweets.fingerprints(context.profile.id, since=context.clock.now() - DUPLICATE_WINDOW)
    allowed = None
    if draft.writer != OPERATOR:
        allowed = (draft.source.url,) if draft.source and draft.source.url else ()
    return judge(draft.text, recent_fingerprints=known, allowed_links=allowed)


def _tweet(context: ProfileContext, draft: Draft, text: str, *, brief: Brief) -> Tweet:
    review = context.profile.mode is Mode.REVIEW
    tweet_id = TweetId(context.new_id())
    post = Post(text=text)
    return Tweet(
        id=tweet_id,
        profile_id=context.profile.id,
        idempotency_key=str(tweet_id),
        text=post.text,
        fingerprint=post.fingerprint,
        status=TweetStatus.AWAITING_APPROVAL if review else TweetStatus.DRAFTED,
        slot_id=brief.slot_id,
        origin=Origin.SLOT if brief.slot else Origin.MANUAL,
        topic=brief.topic,
        source=draft.source,
        writer=draft.writer,
    )


def _say(context: ProfileContext, tx: Transaction, tweet: Tweet, source: Source | None) -> None:
    reason = f"written from {source.title}" if source else f"written by {tweet.writer}"
    context.decisions(tx, DecisionKind.PREPARE).note(Ruling(tweet.status.value), reason, about=tweet)

"""Prepare: a draft from real sources, checked by the guard."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.drafts import Draft, DraftRequest, Source, SourceReading
from bot.core.errors import BotError, Fatal, Retryable, SourceUnreadable, WriterFailed
from bot.core.guard import Judgement, Problem, judge
from bot.core.limits import Verdict, Wait, Wanted
from bot.core.model import Call, Plan, Profile, Slot, Tweet, TweetId
from bot.core.states import Mode, Origin, TweetStatus
from bot.core.text import fingerprint
from bot.engine.noting import noted, weighed
from bot.engine.parts import Outcome, OutcomeKind, Parts
from bot.ports import Transaction

DUPLICATE_WINDOW = timedelta(days=30)
TEXTS_TO_AVOID = 50
OPERATOR = "operator"


def write_draft(
    parts: Parts, profile: Profile, plan: Plan | None, *, slot: Slot | None, topic: str | None
) -> Outcome:
    """Writes, checks and keeps a draft.

    Returns:
        `POSTED` here means ready, with the tweet; else `WAITING` when money or tokens don't
        allow a model call now, or `REJECTED` when the guard refused every try.

    Raises:
        SourceUnreadable, WriterFailed, Retryable, Fatal: there is no draft; a decision row says why.
    """
    try:
        return _write_draft(parts, profile, plan, slot=slot, topic=topic)
    except BotError as error:
        with suppress(BotError), parts.database.transaction() as tx:
            now = parts.clock.now()
            tx.decisions.record(
                noted("failed", error.line, now=now, kind="prepare", profile=profile, slot=slot)
            )
        raise


def _write_draft(
    parts: Parts, profile: Profile, plan: Plan | None, *, slot: Slot | None, topic: str | None
) -> Outcome:
    with parts.database.transaction() as tx:
        closed = _closed(parts, tx, profile, plan, slot)
        if closed is not None:
            return closed
        include_link = bool(plan and plan.include_links and _link_fits(parts, tx, profile))
    reading = _read_sources(parts, profile)
    with parts.database.transaction() as tx:
        request = DraftRequest(
            items=reading.items,
            topic=topic,
            avoid=tuple(tx.tweets.recent_texts(profile.id, limit=TEXTS_TO_AVOID)),
            include_link=include_link,
        )
    judgement: Judgement | None = None
    for _ in range(parts.settings.draft_tries):
        draft = _write(parts, profile, request)
        if isinstance(draft, Outcome):
            return draft
        judgement = _judged(parts, profile, draft)
        if judgement.valid:
            return _keep(
                parts, profile, draft, _tweet(parts, profile, draft, judgement.text, slot=slot, topic=topic)
            )
        request = replace(
            request,
            avoid=(draft.text, *request.avoid),
            feedback=tuple(problem.message for problem in judgement.problems),
        )
    found = judgement.problems if judgement else ()
    return Outcome(
        kind=OutcomeKind.REJECTED,
        reason=found[0].rule if found else "no_draft",
        detail="; ".join(problem.message for problem in found),
    )


def closed_beyond(verdict: Verdict, last: datetime) -> bool:
    """Whether a limit stays closed past the last moment at which posting makes sense."""
    return isinstance(verdict, Wait) and (verdict.until is None or verdict.until > last)


def _closed(
    parts: Parts, tx: Transaction, profile: Profile, plan: Plan | None, slot: Slot | None
) -> Outcome | None:
    """What keeps the post from going out in time, before anything is spent on writing it."""
    now = parts.clock.now()
    price = parts.limits.prices(tx).post_price(has_link=False)
    verdict = parts.limits.judge(tx, profile.id, Wanted(cost_usd=price, spaced=slot is not None), now)
    last = now if slot is None else slot.due_at + (plan.late_tolerance if plan else timedelta(0))
    if not isinstance(verdict, Wait) or not closed_beyond(verdict, last):
        return None
    tx.decisions.record(
        weighed(verdict, now=now, kind="prepare", profile=profile, slot_id=slot.id if slot else None)
    )
    return Outcome(kind=OutcomeKind.WAITING, reason=verdict.limit, detail=verdict.reason, verdict=verdict)


def _link_fits(parts: Parts, tx: Transaction, profile: Profile) -> bool:
    """Whether the budget pays for a post with a link now: it costs many times a plain one."""
    wanted = Wanted(cost_usd=parts.limits.prices(tx).post_price(has_link=True), spaced=False)
    verdict = parts.limits.judge(tx, profile.id, wanted, parts.clock.now())
    if isinstance(verdict, Wait):
        parts.log.info("link_left_out", limit=verdict.limit, reason=verdict.reason)
    return not isinstance(verdict, Wait)


def take_texts(parts: Parts, profile: Profile, texts: Sequence[str], *, topic: str | None) -> Outcome:
    """Checks and keeps texts that a person wrote: one is a post, more are a thread."""
    drafts = [Draft(text=text, source=None, writer=OPERATOR) for text in texts]
    judged = [_judged(parts, profile, draft) for draft in drafts]
    problems = [problem for judgement in judged for problem in judgement.problems]
    if len({judgement.text for judgement in judged}) < len(judged):
        problems.append(Problem(rule="duplicate", message="two parts of the thread are the same text"))
    if problems:
        return Outcome(
            kind=OutcomeKind.REJECTED,
            reason=problems[0].rule,
            detail="; ".join(problem.message for problem in problems),
        )
    rows = [
        _tweet(parts, profile, draft, judgement.text, slot=None, topic=topic)
        for draft, judgement in zip(drafts, judged, strict=True)
    ]
    if len(rows) > 1:
        rows = [replace(row, thread_id=rows[0].id, part=part) for part, row in enumerate(rows, start=1)]
    with parts.database.transaction() as tx:
        kept = [tx.tweets.add(row) for row in rows]
        _say(tx, parts.clock.now(), profile, kept[0], None)
    return Outcome(kind=OutcomeKind.POSTED, tweet=kept[0])


def _read_sources(parts: Parts, profile: Profile) -> SourceReading:
    """Reads all sources; a decision row says when some break and when all are back."""
    try:
        reading = parts.sources.read()
    except SourceUnreadable as error:
        _say_sources(parts, profile, error.line)
        raise
    if _say_sources(parts, profile, "; ".join(reading.problems)):
        for problem in reading.problems:
            parts.log.warning("source_unreadable", problem=problem)
    return reading


def _say_sources(parts: Parts, profile: Profile, problems: str) -> bool:
    """Keeps what can't be read as a decision; returns whether that is news."""
    with parts.database.transaction() as tx:
        last = next(iter(tx.decisions.last(profile.id, limit=1, kinds=("source",))), None)
        if not problems and (last is None or last.verdict != "unreadable"):
            return False
        verdict, reason = "unreadable", problems
        if not problems:
            verdict, reason = "readable", "every source can be read again"
        tx.decisions.record(noted(verdict, reason, now=parts.clock.now(), kind="source", profile=profile))
        return last is None or last.reason != reason


def _write(parts: Parts, profile: Profile, request: DraftRequest) -> Draft | Outcome:
    """Asks the writer, with its cost reserved before and settled after."""
    most = parts.writer.estimate(request)
    if most is None:
        return parts.writer.write(request)
    with parts.database.transaction() as tx:
        tx.ledger.lock()
        now = parts.clock.now()
        wanted = parts.limits.want_draft(tx, most)
        verdict = parts.limits.judge(tx, profile.id, wanted, now)
        if isinstance(verdict, Wait):
            tx.decisions.record(weighed(verdict, now=now, kind="prepare", profile=profile))
            return Outcome(
                kind=OutcomeKind.WAITING, reason=verdict.limit, detail=verdict.reason, verdict=verdict
            )
        call = parts.limits.reserve(tx, wanted, profile_id=profile.id, now=now)
    return _write_reserved(parts, request, call)


def _write_reserved(parts: Parts, request: DraftRequest, call: Call) -> Draft:
    try:
        draft = parts.writer.write(request)
    except (WriterFailed, Retryable, Fatal) as error:
        with parts.database.transaction() as tx:
            parts.limits.settle_draft(tx, call, getattr(error, "usage", None))
        raise
    except BaseException:
        # Whatever broke, no answer came: what it spent isn't known, so all of it counts.
        with parts.database.transaction() as tx:
            parts.limits.settle_draft(tx, call, parts.writer.estimate(request))
        raise
    with parts.database.transaction() as tx:
        parts.limits.settle_draft(tx, call, draft.usage)
    return draft


def _judged(parts: Parts, profile: Profile, draft: Draft) -> Judgement:
    with parts.database.transaction() as tx:
        known = tx.tweets.fingerprints(profile.id, since=parts.clock.now() - DUPLICATE_WINDOW)
    allowed = None
    if draft.writer != OPERATOR:
        allowed = (draft.source.url,) if draft.source and draft.source.url else ()
    return judge(draft.text, recent_fingerprints=known, allowed_links=allowed)


def _keep(parts: Parts, profile: Profile, draft: Draft, tweet: Tweet) -> Outcome:
    with parts.database.transaction() as tx:
        if tweet.slot_id is not None and not tx.slots.still_to_write(tweet.slot_id):
            reason = "its slot was given up, or got another draft, while this one was written"
            return Outcome(kind=OutcomeKind.WAITING, reason="slot_taken", detail=reason)
        kept = tx.tweets.add(tweet)
        _say(tx, parts.clock.now(), profile, kept, draft.source)
    parts.log.info("draft_written", tweet=str(kept.id), writer=draft.writer)
    return Outcome(kind=OutcomeKind.POSTED, tweet=kept)


def _tweet(
    parts: Parts, profile: Profile, draft: Draft, text: str, *, slot: Slot | None, topic: str | None
) -> Tweet:
    review = profile.mode is Mode.REVIEW
    tweet_id = TweetId(parts.new_id())
    return Tweet(
        id=tweet_id,
        profile_id=profile.id,
        idempotency_key=str(tweet_id),
        text=text,
        fingerprint=fingerprint(text),
        status=TweetStatus.AWAITING_APPROVAL if review else TweetStatus.DRAFTED,
        slot_id=slot.id if slot else None,
        origin=Origin.SLOT if slot else Origin.MANUAL,
        topic=topic,
        source=draft.source,
        writer=draft.writer,
    )


def _say(tx: Transaction, now: datetime, profile: Profile, tweet: Tweet, source: Source | None) -> None:
    reason = f"written from {source.title}" if source else f"written by {tweet.writer}"
    tx.decisions.record(
        noted(tweet.status.value, reason, now=now, kind="prepare", profile=profile, tweet=tweet)
    )

"""Audit: once a day, what X shows against what the tables say, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.auditing import Findings, compare
from bot.core.model import DecisionRecord, Profile, Tweet, TweetStatus
from bot.engine.buying import buy_posts
from bot.engine.limits_agent import READ_POSTS, READ_TIMELINE
from bot.engine.parts import Parts
from bot.engine.recording import break_thread

EVERY = timedelta(hours=20)
POSTS_TO_READ = 100
KIND = "audit"
CLEAN, DIFFERS = "clean", "differs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """What an audit found and did; `deleted` rows have lost their text."""

    findings: Findings
    deleted: tuple[str, ...] = ()


def audit_if_due(parts: Parts, profile: Profile) -> Audit | None:
    """Audits when the last one is most of a day old."""
    with parts.database.transaction() as tx:
        rows = tx.decisions.last(profile.id, limit=50, kinds=(KIND,))
    done = [row.last_at or row.at for row in rows if row.verdict in {CLEAN, DIFFERS}]
    if done and parts.clock.now() - max(done) < EVERY:
        return None
    return audit(parts, profile)


def audit(parts: Parts, profile: Profile) -> Audit | None:
    """Compares now; None when the timeline can't be read or may not be."""
    if profile.x_user_id is None:
        return None
    x_user_id = profile.x_user_id
    timeline = buy_posts(
        parts,
        profile,
        kind=KIND,
        endpoint=READ_TIMELINE,
        price="own_post_read",
        units=POSTS_TO_READ,
        read=lambda: parts.x.timeline(x_user_id, limit=POSTS_TO_READ),
    )
    if timeline is None:
        return None
    now = parts.clock.now()
    with parts.database.transaction() as tx:
        rows = tx.tweets.last_live(profile.id, limit=2 * POSTS_TO_READ)
    findings = compare(rows, timeline.posts, complete=timeline.complete, now=now)
    gone = _confirm_gone(parts, profile, findings.missing)
    done = Audit(findings=findings, deleted=tuple(tweet.x_tweet_id or "" for tweet in gone))
    _record(parts, profile, done, gone, now)
    return done


def _confirm_gone(parts: Parts, profile: Profile, missing: tuple[Tweet, ...]) -> tuple[Tweet, ...]:
    """Of the missing posts, those that a look-up by id does not find either."""
    ids = [tweet.x_tweet_id for tweet in missing if tweet.x_tweet_id]
    if not ids:
        return ()
    found = buy_posts(
        parts,
        profile,
        kind=KIND,
        endpoint=READ_POSTS,
        price="post_read",
        units=len(ids),
        read=lambda: parts.x.lookup(ids),
    )
    if found is None:
        return ()
    alive = {post.x_tweet_id for post in found.posts}
    return tuple(tweet for tweet in missing if tweet.x_tweet_id not in alive)


def _record(parts: Parts, profile: Profile, done: Audit, gone: tuple[Tweet, ...], now: datetime) -> None:
    findings = done.findings
    numbers = {
        "missing": [str(tweet.x_tweet_id) for tweet in findings.missing],
        "foreign": list(findings.foreign),
        "edited": [str(tweet_id) for tweet_id in findings.edited],
        "deleted": list(done.deleted),
    }
    clean = not any(numbers.values())
    with parts.database.transaction() as tx:
        for tweet in gone:
            # What was removed on X leaves the tables too; the row stays as a mark without content.
            removed = tx.tweets.change(
                tweet.id, TweetStatus.DELETED, text="", fingerprint="", source=None, reason="removed_on_x"
            )
            break_thread(tx, removed)
        tx.decisions.record(
            DecisionRecord(
                at=now,
                kind=KIND,
                verdict=CLEAN if clean else DIFFERS,
                reason="X and the tables agree"
                if clean
                else ", ".join(f"{len(ids)} {name}" for name, ids in numbers.items() if ids),
                profile_id=profile.id,
                numbers=numbers,
            )
        )
    log = parts.log.info if clean else parts.log.warning
    log("audit_done", profile=profile.handle, **{name: len(ids) for name, ids in numbers.items()})

"""Audit: once a day, what X shows against what the tables say, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.core.auditing import Findings, compare
from bot.core.errors import SettingError
from bot.core.model import DecisionRecord, Lease, Profile, Timeline, Tweet
from bot.core.states import TweetStatus
from bot.engine.buying import buy_posts
from bot.engine.limits_agent import READ_POSTS, READ_TIMELINE
from bot.engine.parts import Parts, leased
from bot.engine.recording import break_thread
from bot.ports import Transaction

EVERY = timedelta(hours=20)
# How many of the newest posts are compared, unless `bot_config` says otherwise: each read is paid.
DEPTH = 100
DEEPEST = 3200
SHALLOWEST = 5
# Room for posts that no row holds; X bills only those that are there.
FOREIGN_ROOM = 20
LOOKUP_PAGE = 100
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
    with parts.database.transaction() as tx:
        most = depth(tx)
        ours = [int(tweet.x_tweet_id or 0) for tweet in tx.tweets.last_live(profile.id, limit=most)]
    timeline = None
    # As far as our own posts should reach; and all the way where others' stand between them.
    for posts in (min(most, len(ours) + FOREIGN_ROOM), most):
        longer = buy_posts(
            parts,
            profile,
            kind=KIND,
            endpoint=READ_TIMELINE,
            price="own_post_read",
            units=posts,
            read=partial(parts.x.timeline, x_user_id, limit=posts),
        )
        timeline = longer or timeline
        if longer is None or longer.complete or posts == most or _reaches(longer, ours):
            break
    if timeline is None:
        return None
    now = parts.clock.now()
    with parts.database.transaction() as tx:
        rows = tx.tweets.last_live(profile.id, limit=2 * most)
    findings = compare(rows, timeline.posts, complete=timeline.complete, now=now)
    gone = _remove(parts, profile, _confirm_gone(parts, profile, findings.missing))
    done = Audit(findings=findings, deleted=tuple(tweet.x_tweet_id or "" for tweet in gone))
    _record(parts, profile, done, now)
    return done


def _reaches(timeline: Timeline, ours: Sequence[int]) -> bool:
    """Whether the read goes back to the oldest of our posts."""
    oldest = min((int(post.x_tweet_id) for post in timeline.posts), default=None)
    return oldest is not None and oldest <= min(ours, default=oldest)


def depth(tx: Transaction) -> int:
    """How many of the newest posts are compared."""
    value = tx.config.get("audit_posts")
    if value is None:
        return DEPTH
    if isinstance(value, int) and not isinstance(value, bool) and SHALLOWEST <= value <= DEEPEST:
        return value
    raise SettingError(
        f"bot_config audit_posts: {value!r} is not a number of posts",
        fix=f"use a whole number from {SHALLOWEST} to {DEEPEST}, or remove the row for {DEPTH}",
    )


def _confirm_gone(parts: Parts, profile: Profile, missing: tuple[Tweet, ...]) -> tuple[Tweet, ...]:
    """Of the missing posts, those that a look-up by id does not find either."""
    gone: list[Tweet] = []
    for start in range(0, len(missing), LOOKUP_PAGE):
        some = missing[start : start + LOOKUP_PAGE]
        ids = [tweet.x_tweet_id for tweet in some if tweet.x_tweet_id]
        found = buy_posts(
            parts,
            profile,
            kind=KIND,
            endpoint=READ_POSTS,
            price="post_read",
            units=len(ids),
            read=partial(parts.x.lookup, ids),
        )
        if found is None:
            break
        alive = {post.x_tweet_id for post in found.posts}
        gone += [tweet for tweet in some if tweet.x_tweet_id not in alive]
    return tuple(gone)


def _remove(parts: Parts, profile: Profile, gone: Sequence[Tweet]) -> Sequence[Tweet]:
    """Takes what was removed on X out of the tables; returns what was taken.

    Only under the lease: a tick beside this one may be about to answer the very post. Without it the
    next audit finds the same.
    """
    give_up = parts.clock.now() + parts.settings.lease_time
    while gone and parts.clock.now() < give_up:
        with leased(parts, profile, job="/audit") as lease:
            if lease is not None:
                return _remove_leased(parts, lease, gone)
        parts.clock.wait(1)
    return ()


def _remove_leased(parts: Parts, lease: Lease, gone: Sequence[Tweet]) -> Sequence[Tweet]:
    with parts.database.transaction() as tx:
        tx.leases.check(lease)
        still = [tweet for tweet in gone if tx.tweets.get(tweet.id).status is TweetStatus.POSTED]
        for tweet in still:
            # The row stays as a mark without content.
            removed = tx.tweets.change(
                tweet.id, TweetStatus.DELETED, text="", fingerprint="", source=None, reason="removed_on_x"
            )
            break_thread(tx, removed)
    return still


def _record(parts: Parts, profile: Profile, done: Audit, now: datetime) -> None:
    findings = done.findings
    numbers = {
        "missing": [str(tweet.x_tweet_id) for tweet in findings.missing],
        "foreign": list(findings.foreign),
        "edited": [str(tweet_id) for tweet_id in findings.edited],
        "deleted": list(done.deleted),
    }
    clean = not any(numbers.values())
    with parts.database.transaction() as tx:
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

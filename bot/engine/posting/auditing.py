"""Audit: once a day, what X shows against what the tables say, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.core.codes import DecisionKind, Ruling
from bot.core.errors import SettingError
from bot.core.model import Lease, Timeline, Tweet
from bot.core.posting.auditing import Findings, compare
from bot.core.posting.lifecycle import deleted
from bot.core.states import TweetStatus
from bot.engine.context import ProfileContext
from bot.engine.leasing import leased
from bot.engine.posting.threads import break_thread
from bot.engine.spending.limits_agent import READ_POSTS
from bot.engine.spending.paid_reads import PaidRead, buy_posts, buy_timeline
from bot.ports import Transaction

EVERY = timedelta(hours=20)
TRY_AGAIN = timedelta(hours=1)
# How many of the newest posts are compared, unless `bot_config` says otherwise: each read is paid.
DEPTH = 100
DEEPEST = 3200
SHALLOWEST = 5
# Room for posts that no row holds; X bills only those that are there.
FOREIGN_ROOM = 20
LOOKUP_PAGE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """What an audit found and did; `deleted` rows have lost their text."""

    findings: Findings
    deleted: tuple[str, ...] = ()

    @property
    def numbers(self) -> Mapping[str, Sequence[str]]:
        """The ids of all that differs, by what is wrong with them."""
        return {
            "missing": [str(tweet.x_tweet_id) for tweet in self.findings.missing],
            "foreign": list(self.findings.foreign),
            "edited": [str(tweet_id) for tweet_id in self.findings.edited],
            "deleted": list(self.deleted),
        }

    @property
    def clean(self) -> bool:
        """Whether X and the tables agree."""
        return not any(self.numbers.values())


def audit_if_due(context: ProfileContext) -> Audit | None:
    """Audits when the last one is most of a day old."""
    last = _last_audited(context)
    if last is not None and context.clock.now() - last < EVERY:
        return None
    return audit(context)


def next_audit(context: ProfileContext) -> datetime:
    """When the next audit is due: some time after the last, soon where it found nothing out."""
    last = _last_audited(context)
    soon = context.clock.now() + TRY_AGAIN
    return soon if last is None else max(last + EVERY, soon)


def _last_audited(context: ProfileContext) -> datetime | None:
    with context.database.transaction() as tx:
        rows = tx.decisions.last(context.profile.id, limit=50, kinds=(DecisionKind.AUDIT,))
    done = [row.last_at or row.at for row in rows if row.verdict in {Ruling.CLEAN, Ruling.DIFFERS}]
    return max(done, default=None)


def audit(context: ProfileContext) -> Audit | None:
    """Compares now; None when the timeline can't be read or may not be."""
    with context.database.transaction() as tx:
        most = depth(tx)
        ours = [int(tweet.x_tweet_id or 0) for tweet in tx.tweets.last_live(context.profile.id, limit=most)]
    timeline = _read_timeline(context, ours, most)
    if timeline is None:
        return None
    now = context.clock.now()
    with context.database.transaction() as tx:
        rows = tx.tweets.last_live(context.profile.id, limit=2 * most)
    findings = compare(rows, timeline.posts, complete=timeline.complete, now=now)
    gone = _remove_gone(context, _confirm_gone(context, findings.missing))
    done = Audit(findings=findings, deleted=tuple(tweet.x_tweet_id or "" for tweet in gone))
    _record_audit(context, done, now)
    return done


def _read_timeline(context: ProfileContext, ours: Sequence[int], most: int) -> Timeline | None:
    """Reads as far as our own posts should reach; and all the way where others' stand between them."""
    timeline = None
    for posts in (min(most, len(ours) + FOREIGN_ROOM), most):
        longer = buy_timeline(context, DecisionKind.AUDIT, posts=posts)
        timeline = longer or timeline
        if longer is None or longer.complete or posts == most or _reaches(longer, ours):
            break
    return timeline


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


def _confirm_gone(context: ProfileContext, missing: tuple[Tweet, ...]) -> tuple[Tweet, ...]:
    """Of the missing posts, those that a look-up by id does not find either."""
    gone: list[Tweet] = []
    for start in range(0, len(missing), LOOKUP_PAGE):
        some = missing[start : start + LOOKUP_PAGE]
        ids = [tweet.x_tweet_id for tweet in some if tweet.x_tweet_id]
        wanted = PaidRead(kind=DecisionKind.AUDIT, endpoint=READ_POSTS, price="post_read", units=len(ids))
        found = buy_posts(context, wanted, partial(context.x.lookup, ids))
        if found is None:
            break
        alive = {post.x_tweet_id for post in found.posts}
        gone += [tweet for tweet in some if tweet.x_tweet_id not in alive]
    return tuple(gone)


def _remove_gone(context: ProfileContext, gone: Sequence[Tweet]) -> Sequence[Tweet]:
    """Takes what was removed on X out of the tables; returns what was taken.

    Only under the lease: a tick beside this one may be about to answer the very post. Without it the
    next audit finds the same.
    """
    give_up = context.clock.now() + context.settings.lease_time
    while gone and context.clock.now() < give_up:
        with leased(context, job="/audit") as lease:
            if lease is not None:
                return _remove_leased(context, lease, gone)
        context.clock.wait(1)
    return ()


def _remove_leased(context: ProfileContext, lease: Lease, gone: Sequence[Tweet]) -> Sequence[Tweet]:
    with context.database.transaction() as tx:
        tx.leases.check(lease)
        rows = [tx.tweets.lock(tweet.id) for tweet in gone]
        still = [tweet for tweet in rows if tweet.status is TweetStatus.POSTED]
        for tweet in still:
            break_thread(tx, tx.tweets.save(deleted(tweet)))
    return still


def _record_audit(context: ProfileContext, done: Audit, now: datetime) -> None:
    ruling, reason = Ruling.CLEAN, "X and the tables agree"
    if not done.clean:
        ruling = Ruling.DIFFERS
        reason = ", ".join(f"{len(ids)} {name}" for name, ids in done.numbers.items() if ids)
    with context.deciding(DecisionKind.AUDIT, now=now) as decisions:
        decisions.note(ruling, reason, numbers=done.numbers)
    log = context.log.info if done.clean else context.log.warning
    counts = {name: len(ids) for name, ids in done.numbers.items()}
    log("audit_done", profile=context.profile.handle, **counts)

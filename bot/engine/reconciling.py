"""Reconcile: what is unknown is read from the account's own timeline, and settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.model import Lease, LivePost, Profile, Timeline, Tweet
from bot.core.settling import LONGEST_PAUSE, Absence, covers, judge_absence, match, pause_after, read_after
from bot.core.states import CallState, SlotStatus, TweetStatus
from bot.engine.buying import buy_posts
from bot.engine.limits_agent import READ_TIMELINE
from bot.engine.noting import noted
from bot.engine.parts import Parts
from bot.engine.recording import break_thread, finish_slot, open_next_part
from bot.ports import Transaction

# How many posts a read asks for, and how many when those don't reach back far enough.
PAGES = (10, 30, 100, 300, 800)
ADOPTED = "adopted"


def find_orphans(parts: Parts, profile: Profile, lease: Lease) -> int:
    """Marks intents without an outcome unknown; call it while holding the lease.

    Whoever holds the lease is the only one who acts, so a tweet that is still `publishing` belongs
    to a process that crashed, lost its lease, or could not save what it heard.
    """
    with parts.database.transaction() as tx:
        tx.leases.check(lease, now=parts.clock.now())
        orphans = tx.tweets.with_status(profile.id, TweetStatus.PUBLISHING)
        for tweet in orphans:
            tx.tweets.change(
                tweet.id, TweetStatus.UNKNOWN, reason="no_record", next_attempt_at=None, vain_reads=0
            )
            for call in tx.ledger.of_tweet(tweet.id):
                if call.state is CallState.RESERVED:
                    tx.ledger.change(call.id, CallState.UNKNOWN)
            tx.decisions.record(
                noted(
                    "unknown",
                    "its process ended before the outcome was saved",
                    now=parts.clock.now(),
                    kind="reconcile",
                    profile=profile,
                    tweet=tweet,
                )
            )
            parts.log.warning("orphan_found", tweet=str(tweet.id))
        for call in tx.ledger.orphans(profile.id, before=parts.clock.now() - parts.settings.lease_time):
            # A read or a draft that nobody waits for any more: it may have been made, so it counts.
            tx.ledger.change(call.id, CallState.UNKNOWN, note="its process ended before the answer")
    return len(orphans)


def settle_unknown(parts: Parts, profile: Profile, lease: Lease, *, by_hand: bool = False) -> int:
    """Looks the unknown tweets up that are due for a look; returns how many stay unknown.

    Call it while holding the lease. One read of the timeline serves them all. A person who asks
    does not wait for looks that were put off for longer than X's delay.
    """
    now = parts.clock.now()
    with parts.database.transaction() as tx:
        unknown = list(tx.tweets.with_status(profile.id, TweetStatus.UNKNOWN))
    due = [tweet for tweet in unknown if _due(tweet, parts, now, by_hand=by_hand)]
    if not due or profile.x_user_id is None:
        return len(unknown)
    due, settled = _put_off(parts, lease, due, by_hand=by_hand)
    timeline = _read(parts, profile, due) if due else None
    if timeline is not None:
        settled += sum(_settle(parts, profile, lease, tweet, timeline) for tweet in due)
    return len(unknown) - settled


def _put_off(parts: Parts, lease: Lease, due: Sequence[Tweet], *, by_hand: bool) -> tuple[list[Tweet], int]:
    """Puts the next look off before this one is made, in case nothing comes of it.

    Returns:
        The tweets as they are now, and how many have been settled meanwhile.
    """
    now, delay = parts.clock.now(), parts.settings.settle_delay
    put_off = []
    with parts.database.transaction() as tx:
        tx.leases.check(lease, now=now)
        for tweet in due:
            if tx.tweets.get(tweet.id).status is not TweetStatus.UNKNOWN:
                continue
            pause = delay if by_hand else pause_after(tweet, delay=delay)
            put_off.append(
                tx.tweets.note(tweet.id, next_attempt_at=now + pause, vain_reads=tweet.vain_reads + 1)
            )
    return put_off, len(due) - len(put_off)


def _due(tweet: Tweet, parts: Parts, now: datetime, *, by_hand: bool) -> bool:
    last = tweet.looked_at or tweet.intent_at
    later = tweet.next_attempt_at
    longest = parts.settings.settle_delay if by_hand else LONGEST_PAUSE
    if later is not None and now < later <= now + longest:
        return False
    # A look right after the answer often finds the post; later looks are spaced, because only a
    # text that stayed away for X's delay is absent.
    first = tweet.looked_at is None
    return first or last is None or now - last >= parts.settings.settle_delay or last > now


def _read(parts: Parts, profile: Profile, due: Sequence[Tweet]) -> Timeline | None:
    """Reads the timeline since before the first intent, through the limits agent."""
    starts = [read_after(tweet) for tweet in due]
    since = None if None in starts else min(start for start in starts if start is not None)
    timeline = None
    for page in PAGES:
        longer = _buy(parts, profile, None if since is None else str(since), page)
        if longer is None:
            break
        timeline = longer
        if all(covers(timeline, tweet) for tweet in due):
            break
    return timeline


def _buy(parts: Parts, profile: Profile, since_id: str | None, limit: int) -> Timeline | None:
    x_user_id = profile.x_user_id
    if x_user_id is None:
        return None
    return buy_posts(
        parts,
        profile,
        kind="reconcile",
        endpoint=READ_TIMELINE,
        price="own_post_read",
        units=limit,
        read=lambda: parts.x.timeline(x_user_id, since_id=since_id, limit=limit),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """One unknown tweet under one look at the timeline, inside one transaction."""

    parts: Parts
    tx: Transaction
    profile: Profile
    tweet: Tweet
    now: datetime

    def note(self, verdict: str, reason: str) -> None:
        """Leaves a decision row."""
        self.tx.decisions.record(
            noted(verdict, reason, now=self.now, kind="reconcile", profile=self.profile, tweet=self.tweet)
        )

    def adopt(self, found: LivePost) -> None:
        """The post exists: the row takes its id."""
        adopted = self.tx.tweets.change(
            self.tweet.id,
            TweetStatus.POSTED,
            x_tweet_id=found.x_tweet_id,
            posted_at=max(found.created_at or self.now, self.tweet.intent_at or self.now),
            reason=ADOPTED,
        )
        for call in self.tx.ledger.of_tweet(self.tweet.id):
            self.tx.ledger.change(call.id, CallState.SETTLED)
            self.tx.rates.count_unheard(call)
        finish_slot(self.tx, adopted, SlotStatus.DONE)
        open_next_part(self.tx, adopted)
        self.note("adopted", f"found on the timeline as {found.x_tweet_id}")
        self.parts.log.info("tweet_adopted", tweet=str(self.tweet.id), x_tweet_id=found.x_tweet_id)

    def absent(self, absence: Absence) -> bool:
        """The text was not there; returns whether that settles it."""
        if absence is Absence.LOOK_AGAIN:
            self.tx.tweets.note(self.tweet.id, looked_at=self.now, next_attempt_at=None, vain_reads=0)
            return False
        if absence is Absence.COUNTS:
            looks = self.tweet.absent_reads + 1
            self.tx.tweets.note(
                self.tweet.id, looked_at=self.now, absent_reads=looks, next_attempt_at=None, vain_reads=0
            )
            self.note("unknown", "not on the timeline yet")
            return False
        for call in self.tx.ledger.of_tweet(self.tweet.id):
            self.tx.ledger.change(call.id, CallState.RELEASED)
        if absence is Absence.RESEND:
            self._resend()
        else:
            self._give_up()
        return True

    def _resend(self) -> None:
        self.tx.tweets.change(
            self.tweet.id,
            TweetStatus.APPROVED,
            resends=self.tweet.resends + 1,
            looked_at=self.now,
            next_attempt_at=self.now,
            reason="absent",
        )
        self.note("resend", "stayed absent from the timeline over two looks")
        self.parts.log.info("tweet_absent", tweet=str(self.tweet.id), next="resend")

    def _give_up(self) -> None:
        reason = "duplicate_refused" if self.tweet.reason == "duplicate" else "absent_after_resend"
        failed = self.tx.tweets.change(self.tweet.id, TweetStatus.FAILED, reason=reason)
        finish_slot(self.tx, failed, SlotStatus.SKIPPED, reason=reason)
        break_thread(self.tx, failed)
        self.note("failed", reason)
        self.parts.log.warning("tweet_failed", tweet=str(self.tweet.id), reason=reason)


def _settle(parts: Parts, profile: Profile, lease: Lease, seen: Tweet, timeline: Timeline) -> bool:
    """Settles one tweet from what was read; returns whether it is unknown no more.

    The read took time: the lease is checked again, and only the very tweet that was unknown before
    the read is settled by it.
    """
    with parts.database.transaction() as tx:
        tx.leases.check(lease, now=parts.clock.now())
        tweet = tx.tweets.get(seen.id)
        if tweet != seen:
            return tweet.status is not TweetStatus.UNKNOWN
        look = _Look(parts=parts, tx=tx, profile=profile, tweet=tweet, now=parts.clock.now())
        known = tx.tweets.known_ids(profile.id, [post.x_tweet_id for post in timeline.posts])
        found = match(tweet, [post for post in timeline.posts if post.x_tweet_id not in known])
        if found is not None:
            look.adopt(found)
            return True
        if not covers(timeline, tweet):
            look.note("unknown", "the timeline is longer than one read shows")
            tx.tweets.note(tweet.id, looked_at=look.now)
            return False
        return look.absent(judge_absence(tweet, now=look.now, delay=parts.settings.settle_delay))

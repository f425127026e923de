"""What a look at the timeline says about a tweet whose outcome is unknown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.model import LivePost, Timeline, Tweet
from bot.core.text import fingerprint, links

ABSENT_LOOKS = 2
MAX_RESENDS = 1
# How far back a post may be that X calls a text the duplicate of; far beyond what clocks differ by.
REACH = timedelta(hours=48)
LONGEST_PAUSE = timedelta(hours=1)


def pause_after(tweet: Tweet, *, delay: timedelta) -> timedelta:
    """How long a timeline is left alone that could not be read, or not far enough: ever longer.

    Each read may be billed, and what stands in its way seldom goes by itself within a minute.
    """
    return min(delay * int(2 ** min(tweet.vain_reads, 20)), LONGEST_PAUSE)


def is_stale(tweet: Tweet, *, now: datetime, delay: timedelta) -> bool:
    """Whether a text that was proven absent has to be looked for again before it is resent.

    What kept the resend up, a pause or a limit, may have given X the time to show it after all.
    """
    if not tweet.resends:
        return False
    return tweet.looked_at is None or abs(now - tweet.looked_at) > 2 * delay


class Absence(StrEnum):
    """What it means that a complete read of the timeline does not show the text."""

    LOOK_AGAIN = "look_again"
    COUNTS = "counts"
    RESEND = "resend"
    GIVE_UP = "give_up"


def match(tweet: Tweet, posts: Sequence[LivePost]) -> LivePost | None:
    """The live post that is this tweet, among posts that no other row holds.

    A post from before the first intent is another one, and so is one whose links stand for
    something else. Of several the newest is taken. (The fingerprint alone counts every link the
    same, because X rewrites links.)
    """
    wanted = {_plain(link) for link in links(tweet.text)}
    same = [
        post
        for post in posts
        if not _from_before(tweet, post)
        and fingerprint(post.text, post.links) == tweet.fingerprint
        and _may_be(wanted, post)
    ]
    return max(same, key=lambda post: int(post.x_tweet_id), default=None)


def read_after(tweet: Tweet) -> int | None:
    """The id after which X made the tweet, if it did; None when that isn't known.

    What a duplicate answer speaks of may be older than any intent.
    """
    return int(tweet.after_x_id) if tweet.after_x_id and tweet.reason != "duplicate" else None


def _from_before(tweet: Tweet, post: LivePost) -> bool:
    """Whether the post was there before the first intent: by X's own order where that is known.

    Clocks are the last resort, and a coarse one: ours may be wrong, if by less than X lets a
    signature be.
    """
    after = read_after(tweet)
    return int(post.x_tweet_id) <= after if after is not None else _long_before(tweet, post)


def _long_before(tweet: Tweet, post: LivePost) -> bool:
    begun = tweet.first_intent_at or tweet.intent_at
    return begun is not None and post.created_at is not None and post.created_at < begun - REACH


def _may_be(wanted: set[str], post: LivePost) -> bool:
    """Whether the post's links, where X tells what they stand for, are those of the text."""
    shown = {_plain(target) for target in post.links.values() if target}
    return not (wanted and shown) or bool(wanted & shown)


def _plain(link: str) -> str:
    return re.sub(r"^https?://", "", link, flags=re.IGNORECASE).rstrip("/").lower()


def covers(timeline: Timeline, tweet: Tweet) -> bool:
    """Whether the read reaches back past the tweet's intent, so that absence from it means something."""
    if timeline.complete:
        return True
    return any(_from_before(tweet, post) or _long_before(tweet, post) for post in timeline.posts)


def judge_absence(tweet: Tweet, *, now: datetime, delay: timedelta) -> Absence:
    """Decides what one more look without the text means.

    A look counts when it comes at least X's delay after the intent and after the last look. After
    the second the text does not exist: it is resent once, and given up after that.
    A duplicate answer is never resent, because X would refuse it again.
    """
    last = max((one for one in (tweet.looked_at, tweet.intent_at) if one is not None), default=None)
    # A clock that jumped back makes the difference negative: that is no delay either.
    if last is not None and now - last < delay:
        return Absence.LOOK_AGAIN
    if tweet.absent_reads + 1 < ABSENT_LOOKS:
        return Absence.COUNTS
    if tweet.reason == "duplicate" or tweet.resends >= MAX_RESENDS:
        return Absence.GIVE_UP
    return Absence.RESEND

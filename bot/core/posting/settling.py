"""What a look at the timeline says about a tweet whose outcome is unknown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from bot.core.codes import ErrorCode
from bot.core.content.text import fingerprint, links, unescape
from bot.core.model import LivePost, Timeline, Tweet
from bot.core.posting.snowflakes import is_before

ABSENT_LOOKS = 2
MAX_RESENDS = 1
# How far back a post may be that X calls a text the duplicate of; far beyond what clocks differ by.
REACH = timedelta(hours=48)
LONGEST_PAUSE = timedelta(hours=1)
# A text that was sent twice and is nowhere is looked for over so many of X's delays.
RESENT_DELAYS = 10
# How long a post is looked for that X says is there, and for how much of that others wait for it.
DUPLICATE_SOUGHT = timedelta(days=1)
DUPLICATE_HOLDS_UP = timedelta(hours=1)

# Reasons of an unknown tweet whose text exists, because X called it a duplicate: at first, and once
# it has kept others waiting for long enough.
DUPLICATE: str = ErrorCode.DUPLICATE
UNSEEN = "duplicate_unseen"
# Why a tweet is live whose post was found on the timeline.
ADOPTED = "adopted"
# Why such a tweet failed that was never found.
DUPLICATE_REFUSED = "duplicate_refused"


class Absence(StrEnum):
    """What it means that a complete read of the timeline does not show the text."""

    LOOK_AGAIN = "look_again"
    COUNTS = "counts"
    RESEND = "resend"
    GIVE_UP = "give_up"


def exists(tweet: Tweet) -> bool:
    """Whether X has said that the text is there, so that it counts whether or not it is found."""
    return tweet.reason in {DUPLICATE, UNSEEN}


def holds_up(tweet: Tweet) -> bool:
    """Whether nothing new is posted before this unknown tweet is settled."""
    return tweet.reason != UNSEEN


def is_unseen(tweet: Tweet, *, now: datetime) -> bool:
    """Whether a text that exists has kept others waiting for long enough."""
    return tweet.reason == DUPLICATE and _age(tweet, now) >= DUPLICATE_HOLDS_UP


def is_over(tweet: Tweet, *, now: datetime) -> bool:
    """Whether a text that exists is looked for no more."""
    return exists(tweet) and _age(tweet, now) >= DUPLICATE_SOUGHT


def pause_after(tweet: Tweet, *, now: datetime, delay: timedelta) -> timedelta:
    """How long the timeline is left alone before the next look.

    A read that proves nothing doubles the pause each time: each may be billed, and what stands in its
    way seldom goes by itself within a minute. What has to be looked for long is looked for when its
    age has doubled, and once more at the end.
    """
    pause = min(delay * int(2 ** min(tweet.inconclusive_reads, 20)), LONGEST_PAUSE)
    sought, age = _sought(tweet, delay), _age(tweet, now)
    if sought is None or age >= sought:
        return pause
    return max(min(max(age, pause), sought - age), delay)


def longest_pause(tweet: Tweet) -> timedelta:
    """The longest that a look is ever put off."""
    return DUPLICATE_SOUGHT if exists(tweet) else LONGEST_PAUSE


def is_due(tweet: Tweet, *, now: datetime, delay: timedelta, by_hand: bool) -> bool:
    """Whether an unknown tweet is looked up now.

    A look right after the answer often finds the post; later looks are spaced, because only a text
    that stayed away for X's delay is absent. A person who asks waits for no look that was put off
    for longer than that delay.
    """
    # That it keeps nobody waiting any more does not wait for a look.
    if is_unseen(tweet, now=now):
        return True
    longest = delay if by_hand else longest_pause(tweet)
    if tweet.next_attempt_at is not None and now < tweet.next_attempt_at <= now + longest:
        return False
    last = tweet.looked_at or tweet.intent_at
    return tweet.looked_at is None or last is None or now - last >= delay or last > now


def _sought(tweet: Tweet, delay: timedelta) -> timedelta | None:
    """How long after its last call a text that may not be sent again is looked for."""
    if exists(tweet):
        return DUPLICATE_SOUGHT
    return RESENT_DELAYS * delay if tweet.resends >= MAX_RESENDS else None


def _age(tweet: Tweet, now: datetime) -> timedelta:
    """How long ago the last call was; nothing where a clock jumped back."""
    return max(now - tweet.intent_at, timedelta(0)) if tweet.intent_at is not None else timedelta(0)


def is_stale(tweet: Tweet, *, now: datetime, delay: timedelta) -> bool:
    """Whether a text that was proven absent has to be looked for again before it is resent.

    What kept the resend up, a pause or a limit, may have given X the time to show it after all.
    """
    if not tweet.resends:
        return False
    return tweet.looked_at is None or abs(now - tweet.looked_at) > 2 * delay


def match(tweet: Tweet, posts: Sequence[LivePost]) -> LivePost | None:
    """The live post that is this tweet, among posts that no other row holds.

    A post from before the first intent is another one, and so is one whose links stand for
    something else. Of several the newest is taken. (The fingerprint alone counts every link the
    same, because X rewrites links. Escapes are undone in all that a timeline shows: on a server that
    makes none, those that were written are lost.)
    """
    wanted = {_plain(link) for link in links(tweet.text)}
    prints = {tweet.fingerprint, fingerprint(unescape(tweet.text))}
    same = [
        post
        for post in posts
        if not _from_before(tweet, post)
        and fingerprint(post.text, post.links) in prints
        and _may_be(wanted, post)
    ]
    return max(same, key=_newest, default=None)


def _newest(post: LivePost) -> tuple[datetime, int]:
    return post.created_at or datetime.min.replace(tzinfo=UTC), int(post.x_tweet_id)


def _from_before(tweet: Tweet, post: LivePost) -> bool:
    """Whether the post was there before the first intent: by X's own order where that is proven.

    What a duplicate answer speaks of may be older than any intent. Clocks are the last resort, and a
    coarse one: ours may be wrong, if by less than X lets a signature be.
    """
    return (not exists(tweet) and is_before(post, tweet.after_x_id)) or _long_before(tweet, post)


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
    if not timeline.whole:
        return False
    if timeline.complete:
        return True
    return _newest_first(timeline.posts) and any(_from_before(tweet, post) for post in timeline.posts)


def _newest_first(posts: Sequence[LivePost]) -> bool:
    """Whether what was cut off is older than what is shown."""
    moments = [post.created_at for post in posts]
    return (
        all(one is not None and other is not None and one >= other for one, other in pairwise(moments))
        and None not in moments
    )


def judge_absence(tweet: Tweet, *, now: datetime, delay: timedelta) -> Absence:
    """Decides what one more look without the text means.

    A look counts when it comes at least X's delay after the intent and after the last look. After
    the second the text does not exist: it is resent once, and given up after that, once X has had
    several of its delays to show it.
    A duplicate answer is never resent, because X would refuse it again.
    """
    last = max((one for one in (tweet.looked_at, tweet.intent_at) if one is not None), default=None)
    # A clock that jumped back makes the difference negative: that is no delay either.
    if last is not None and now - last < delay:
        return Absence.LOOK_AGAIN
    if tweet.absent_reads + 1 < ABSENT_LOOKS:
        return Absence.COUNTS
    sought = _sought(tweet, delay)
    if sought is None:
        return Absence.RESEND
    return Absence.GIVE_UP if _age(tweet, now) >= sought else Absence.COUNTS

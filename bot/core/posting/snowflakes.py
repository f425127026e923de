"""What an id of X says of when its post was made, and how far that is believed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from bot.core.model import KnownPost, LivePost

# Source: https://docs.x.com/fundamentals/x-ids: milliseconds since this moment, above 22 other bits.
_EPOCH = datetime.fromtimestamp(1_288_834_974, UTC) + timedelta(milliseconds=657)
_SHIFT = 22
# How far an id may lie from the time that is known of its post. X refuses a call that was signed
# by a clock that is further off.
TOLERANCE = timedelta(minutes=15)
# Two ids that are each that near to their times are in order beyond this.
IN_ORDER = 2 * TOLERANCE
# Of so many of an account's newest posts at most the ids are doubted.
ASKED = 3


def made_at(x_tweet_id: str) -> datetime:
    """When X made the post, if this is an id as X makes them."""
    return _EPOCH + timedelta(milliseconds=int(x_tweet_id) >> _SHIFT)


def _is_believed(x_tweet_id: str, moment: datetime | None) -> bool:
    return moment is not None and abs(made_at(x_tweet_id) - moment) <= TOLERANCE


def newest_believed(posts: Iterable[KnownPost]) -> str | None:
    """The first id that lies near the time of its post; None when none does.

    An id that doesn't may still be that of a live post, but says nothing of what came after it:
    other servers than X's number their posts as they like.

    Args:
        posts: the newest first.
    """
    return next((post.x_tweet_id for post in posts if _is_believed(post.x_tweet_id, post.posted_at)), None)


def is_before(post: LivePost, x_tweet_id: str | None) -> bool:
    """Whether ids prove that X made the post before another one; False proves nothing.

    Args:
        post: as a timeline shows it.
        x_tweet_id: the other's id, believed; None when there is none.
    """
    if x_tweet_id is None or not _is_believed(post.x_tweet_id, post.created_at):
        return False
    return made_at(post.x_tweet_id) < made_at(x_tweet_id) - IN_ORDER

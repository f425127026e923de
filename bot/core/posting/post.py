"""What one call makes on X."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.content.text import fingerprint
from bot.core.model import Tweet


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """A post as a person wishes for it and as X is asked to make it.

    `media` and `poll` are empty by their types, because nothing sends them yet; what does gives them
    types of their own, and no signature between a wish and X changes for it. `reply_to` is the id of
    the post that this one answers.
    """

    text: str
    media: tuple[()] = ()
    poll: None = None
    reply_to: str | None = None

    @property
    def fingerprint(self) -> str:
        """What finds the post again among those that X shows."""
        return fingerprint(self.text)


def post_of(tweet: Tweet, *, reply_to: str | None = None) -> Post:
    """What is sent of a tweet, as an answer to the part before it where there is one."""
    return Post(text=tweet.text, reply_to=reply_to)

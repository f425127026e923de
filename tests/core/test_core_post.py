"""A post is one value from the wish to X."""

from __future__ import annotations

from bot.core.content.text import fingerprint
from bot.core.posting.post import Post, post_of
from tests.core.makers import tweet


def test_a_post_without_more_is_its_text() -> None:
    assert Post(text="hello") == Post(text="hello", media=(), poll=None, reply_to=None)


def test_what_is_sent_of_a_tweet_is_its_text_and_what_it_answers() -> None:
    assert post_of(tweet("The tide turns.")) == Post(text="The tide turns.")
    assert post_of(tweet("And again."), reply_to="1999") == Post(text="And again.", reply_to="1999")


def test_a_post_is_found_by_the_text_that_x_shows_for_it() -> None:
    post = Post(text="Tides:  https://example.org/tides", reply_to="1999")
    assert post.fingerprint == fingerprint(
        "Tides: https://t.co/1", {"https://t.co/1": "https://example.org/tides"}
    )

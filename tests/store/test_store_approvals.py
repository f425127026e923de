"""An approval belongs to the exact text: the database itself sees to it, whoever writes."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from bot.core.model import Profile
from bot.core.states import TweetStatus
from bot.store.manager import DatabaseManager
from tests.store.rows import NOW, a_tweet

CHANGE = text("UPDATE tweets SET text = 'another', status = coalesce(CAST(:status AS tweet_status), status)")


@pytest.mark.parametrize(
    ("before", "status"),
    [
        (TweetStatus.DRAFTED, None),
        (TweetStatus.DRAFTED, "awaiting_approval"),
        (TweetStatus.AWAITING_APPROVAL, None),
        (TweetStatus.APPROVED, "awaiting_approval"),
    ],
)
def test_a_text_may_change_while_nobody_approved_it(
    manager: DatabaseManager, profile: Profile, before: TweetStatus, status: str | None
) -> None:
    with manager.transaction() as tx:
        row = tx.tweets.add(a_tweet(profile.id, status=before))
        tx.connection.execute(CHANGE, {"status": status})
        assert tx.tweets.get(row.id).text == "another"


@pytest.mark.parametrize(
    ("before", "status"),
    [
        (TweetStatus.APPROVED, None),
        (TweetStatus.DRAFTED, "approved"),
        (TweetStatus.AWAITING_APPROVAL, "approved"),
        (TweetStatus.AWAITING_APPROVAL, "drafted"),
        (TweetStatus.APPROVED, "publishing"),
    ],
)
def test_no_text_changes_into_one_that_goes_out_unseen(
    manager: DatabaseManager, profile: Profile, before: TweetStatus, status: str | None
) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(profile.id, status=before))
    with pytest.raises(IntegrityError, match="a changed text awaits approval"), manager.transaction() as tx:
        tx.connection.execute(CHANGE, {"status": status})


@pytest.mark.parametrize(
    "status",
    [TweetStatus.PUBLISHING, TweetStatus.UNKNOWN, TweetStatus.FAILED, TweetStatus.REJECTED],
)
def test_a_text_that_may_have_been_sent_or_is_at_its_end_stays(
    manager: DatabaseManager, profile: Profile, status: TweetStatus
) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(profile.id, status=status))
    with pytest.raises(IntegrityError, match="may have been sent stays"), manager.transaction() as tx:
        tx.connection.execute(CHANGE, {"status": None})


def test_a_text_is_not_changed_by_deleting_it(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(profile.id, status=TweetStatus.APPROVED))
    with pytest.raises(IntegrityError, match="awaits approval"), manager.transaction() as tx:
        tx.connection.execute(CHANGE, {"status": "deleted"})


def test_a_text_that_was_refused_for_now_stays_too(manager: DatabaseManager, profile: Profile) -> None:
    with manager.transaction() as tx:
        tx.tweets.add(a_tweet(profile.id, status=TweetStatus.APPROVED, first_intent_at=NOW))
    with pytest.raises(IntegrityError, match="may have been sent stays"), manager.transaction() as tx:
        tx.connection.execute(CHANGE, {"status": "awaiting_approval"})

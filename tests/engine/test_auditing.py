"""Once a day X's timeline is compared with the tables, both ways, and each read of it is paid."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.errors import Retryable, SettingError
from bot.core.model import LivePost
from bot.core.posting.auditing import Findings
from bot.core.spending.limits import Limits
from bot.core.states import TweetStatus
from bot.engine.posting.auditing import Audit, audit, audit_if_due
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import World

HOUR = timedelta(hours=1)


def posted(world: World, *texts: str) -> list[str]:
    """Texts that are live, an hour ago; their ids."""
    for text in texts:
        world.slot(0, text)
        world.engine.tick(world.profile)
        world.clock.pass_time(1)
    world.clock.pass_time(HOUR.total_seconds())
    return [tweet.x_tweet_id or "" for tweet in world.tweets()]


def compared(world: World) -> Audit:
    done = audit(world.engine.context(world.profile))
    assert done is not None
    return done


def test_an_account_that_agrees_with_its_tables_is_clean(world: World) -> None:
    posted(world, "one", "two")
    done = compared(world)
    assert (done.findings, done.deleted) == (Findings(), ())
    assert world.rows("SELECT verdict FROM decisions WHERE kind = 'audit'") == [("clean",)]
    assert world.rows("SELECT units, cost_usd * 1000 FROM api_calls WHERE kind = 'read'") == [(2, 10)]


def test_what_was_removed_on_x_leaves_the_tables(world: World) -> None:
    kept, removed = posted(world, "kept", "removed by hand")
    world.x.delete(removed)
    assert compared(world).deleted == (removed,)
    left = {tweet.x_tweet_id: tweet for tweet in world.tweets()}
    assert (left[kept].status, left[kept].text) == (TweetStatus.POSTED, "kept")
    gone = left[removed]
    assert (gone.status, gone.text, gone.fingerprint, gone.source) == (TweetStatus.DELETED, "", "", None)
    assert compared(world).deleted == ()


def test_a_post_that_only_the_timeline_hides_is_kept(world: World) -> None:
    (hidden,) = posted(world, "hidden")
    shown, world.x.visibility = world.x.posts, timedelta(days=1)
    done = compared(world)
    assert [tweet.x_tweet_id for tweet in done.findings.missing] == [hidden]
    assert (done.deleted, world.x.posts) == ((), shown)
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.POSTED]


def test_nothing_is_taken_for_removed_when_x_does_not_confirm_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (removed,) = posted(world, "removed by hand")
    world.x.delete(removed)

    def fails(_ids: object) -> None:
        raise Retryable("503", code="x_trouble")

    monkeypatch.setattr(world.x, "lookup", fails)
    assert compared(world).deleted == ()
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.POSTED]


def test_what_others_posted_and_edited_is_reported(world: World) -> None:
    (ours,) = posted(world, "as it was")
    (live,) = world.x.posts
    world.x.posts = [
        LivePost(x_tweet_id=ours, text="as it is now", created_at=live.created_at),
        LivePost(x_tweet_id="5000", text="made by hand", created_at=live.created_at),
    ]
    findings = compared(world).findings
    assert findings.foreign == ("5000",)
    assert findings.edited == (world.tweets()[0].id,)
    assert world.rows("SELECT verdict, reason FROM decisions WHERE kind = 'audit'") == [
        ("differs", "1 foreign, 1 edited")
    ]


@pytest.mark.parametrize(
    ("read", "booked"), [("fail", []), ("lost", [(20, "unknown")]), ("half", [(3, "settled")])]
)
def test_a_read_that_fails_is_paid_for_as_far_as_x_may_have_served_it(
    world: World, read: str, booked: list[tuple[int, str]]
) -> None:
    world.x.reads = [read]
    assert audit(world.engine.context(world.profile)) is None
    assert (
        world.rows("SELECT units, state FROM api_calls WHERE kind = 'read' AND state <> 'released'") == booked
    )


def test_it_is_due_once_a_day(world: World) -> None:
    posted(world, "one")
    assert audit_if_due(world.context) is not None
    world.clock.pass_time(19 * HOUR.total_seconds())
    assert audit_if_due(world.context) is None
    world.clock.pass_time(HOUR.total_seconds())
    assert audit_if_due(world.context) is not None


def test_it_reads_no_further_than_the_operator_pays_for(world: World) -> None:
    posted(world, *(f"number {number}" for number in range(7)))
    world.change("INSERT INTO bot_config (key, value) VALUES ('audit_posts', '5')")
    compared(world)
    assert world.rows("SELECT units FROM api_calls WHERE kind = 'read'") == [(5,)]


def test_it_reads_on_where_a_persons_own_posts_stand_before_ours(world: World) -> None:
    (removed, _kept) = posted(world, "removed by hand", "kept")
    world.x.posts += [
        LivePost(x_tweet_id=str(5000 + number), text=f"by hand {number}", created_at=world.clock.true)
        for number in range(40)
    ]
    world.x.delete(removed)
    done = compared(world)
    assert (done.deleted, len(done.findings.foreign)) == ((removed,), 40)


@pytest.mark.parametrize("value", ["4", "3201", "true", '"many"', "1.5"])
def test_a_depth_that_is_none_is_named(world: World, value: str) -> None:
    world.change(f"INSERT INTO bot_config (key, value) VALUES ('audit_posts', '{value}')")
    with pytest.raises(SettingError, match="audit_posts"):
        audit(world.engine.context(world.profile))


def test_it_fits_into_a_small_cap_on_reads(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_24h=None, posts_15min=None, reads_month=25))
    posted(world, "one", "two")
    assert compared(world).deleted == ()
    world.engine = with_caps(world, Limits(posts_24h=None, posts_15min=None, reads_month=10))
    assert audit(world.engine.context(world.profile)) is None


def test_an_account_with_an_older_life_is_read_no_further_than_our_own_posts(world: World) -> None:
    world.x.posts = [
        LivePost(x_tweet_id=str(number + 1), text=f"before {number}", created_at=world.clock.true)
        for number in range(300)
    ]
    posted(world, "ours", "ours too")
    assert compared(world).deleted == ()
    assert world.rows("SELECT units FROM api_calls WHERE kind = 'read'") == [(22,)]

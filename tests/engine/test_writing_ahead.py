"""Drafts are written beside posting: a slot is claimed for it, and nothing else is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.content.drafts import Draft, DraftRequest, SourceReading
from bot.core.errors import Retryable, SourceUnreadable, WriterFailed
from bot.core.spending.limits import Limits
from bot.core.states import TweetStatus
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.context import ProfileContext
from bot.engine.leasing import leased
from bot.engine.posting.auditing import audit
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import Notes, PlainWriter, Process, World

LONG_AGO = "UPDATE posting_schedule SET writing_until = '2020-01-01T00:00:00Z'"


@dataclass
class Interrupted(PlainWriter):
    """Something happens while it writes."""

    meanwhile: Callable[[], object] = lambda: None

    def write(self, request: DraftRequest) -> Draft:
        if not self.asked:
            self.meanwhile()
        return super().write(request)


def context(world: World, **changes: Any) -> ProfileContext:
    return replace(world.new_engine().context(world.profile), **changes)


def decided(world: World, kind: str) -> list[tuple[str, str, int]]:
    rows = world.rows(
        f"SELECT verdict, reason, repeated FROM decisions WHERE kind = '{kind}' ORDER BY at, created_at"
    )
    return [tuple(row) for row in rows]


def test_a_tick_finds_no_draft_says_so_and_asks_neither_source_nor_model(world: World) -> None:
    world.sources.items = ()
    world.slot(0)
    for _ in range(3):
        assert world.engine.tick(world.profile) == ()
    assert not world.writer.asked
    assert decided(world, "publish") == [("nothing", "no draft is ready yet", 3)]


def test_a_slot_that_is_due_already_is_written_and_posted(world: World) -> None:
    world.slot(-60)
    assert prepare_next(world.engine.context(world.profile)) is not None
    world.engine.tick(world.profile)
    assert [tweet.status for tweet in world.tweets()] == [TweetStatus.POSTED]


def test_a_slot_past_its_tolerance_is_written_for_no_more_and_expires_with_a_reason(world: World) -> None:
    world.slot(-1260)
    assert prepare_next(world.engine.context(world.profile)) is None
    world.engine.tick(world.profile)
    assert not world.writer.asked
    assert world.rows("SELECT status, reason FROM posting_schedule") == [("expired", "late by 21 min")]


def test_posting_goes_on_while_a_draft_is_written(world: World) -> None:
    """The same worker's tick, on another thread."""
    world.slot(3600)

    def post_the_ready() -> None:
        world.slot(0, "ready")
        world.engine.tick(world.profile)

    writing = context(
        world, settings=world.engine.services.settings, writer=Interrupted(meanwhile=post_the_ready)
    )
    assert prepare_next(writing) is not None
    assert world.x.count("ready") == 1
    assert world.rows("SELECT fencing FROM leases") == [(1,)]
    assert sorted(tweet.status for tweet in world.tweets()) == [TweetStatus.DRAFTED, TweetStatus.POSTED]


def test_two_workers_pay_for_one_draft(world: World) -> None:
    world.slot(3600)
    second = PlainWriter()

    def also() -> None:
        assert prepare_next(context(world, writer=second)) is None

    assert prepare_next(context(world, writer=Interrupted(meanwhile=also))) is not None
    assert not second.asked
    assert len(world.tweets()) == 1


def test_a_killed_writers_claim_runs_out_and_its_late_draft_is_dropped(world: World) -> None:
    world.slot(3600)

    def taken_over() -> None:
        world.change(LONG_AGO)
        assert prepare_next(context(world, writer=PlainWriter())) is not None

    assert prepare_next(context(world, writer=Interrupted(meanwhile=taken_over))) is None
    assert len(world.tweets()) == 1
    assert "waiting" in [verdict for verdict, _, _ in decided(world, "prepare")]


def test_a_draft_for_a_slot_that_is_gone_meanwhile_is_dropped(world: World) -> None:
    world.slot(3600)
    gone = Interrupted(meanwhile=lambda: world.change("UPDATE posting_schedule SET status = 'skipped'"))
    assert prepare_next(context(world, writer=gone)) is None
    assert not world.tweets()


def test_a_claim_is_given_back_by_a_worker_that_stops(world: World) -> None:
    world.slot(3600)
    writing = world.engine.services
    with world.manager.transaction() as tx:
        (slot,) = tx.slots.upcoming(
            world.profile_id, after=world.clock.now(), before=world.clock.now() + timedelta(days=1)
        )
        assert tx.slots.claim_writing(slot.id, by=writing.settings.holder, span=timedelta(minutes=5))
        assert not tx.slots.claim_writing(slot.id, by="another", span=timedelta(minutes=5))
        assert tx.slots.give_back_writing(by=writing.settings.holder) == 1
        assert tx.slots.claim_writing(slot.id, by="another", span=timedelta(minutes=5))


@pytest.mark.parametrize(
    "error", [WriterFailed("no fact fits"), Retryable("the model is down", code="model_unavailable")]
)
def test_a_failed_draft_leaves_a_row_and_is_put_off_ever_longer(world: World, error: Exception) -> None:
    world.slot(3600)
    world.writer.fails = error
    pauses = []
    for _ in range(3):
        with pytest.raises(type(error)):
            prepare_next(world.engine.context(world.profile))
        assert prepare_next(world.engine.context(world.profile)) is None
        ((until,),) = world.rows("SELECT writing_until FROM posting_schedule")
        pauses.append((until - world.clock.true).total_seconds())
        world.change(LONG_AGO)
    assert len(world.writer.asked) == 3
    assert pauses[0] <= 10 < pauses[1] <= 20 < pauses[2] <= 40
    assert decided(world, "prepare") == [("failed", str(error), 3)]


def test_a_source_that_breaks_is_one_row_until_it_is_back(world: World) -> None:
    notes = world.sources

    @dataclass
    class Broken(Notes):
        problems: tuple[str, ...] = ("feed.example: no answer",)

        def read(self) -> SourceReading:
            if not self.items:
                raise SourceUnreadable("no source could be read")
            return SourceReading(items=self.items, problems=self.problems)

    for number, sources in enumerate((notes, Broken(), Broken(), Broken(items=()), notes, notes)):
        world.slot(3600 + number)
        try:
            prepare_next(context(world, sources=sources))
        except SourceUnreadable:
            world.change("DELETE FROM posting_schedule WHERE writing_tries > 0")
    assert decided(world, "source") == [
        ("unreadable", "feed.example: no answer", 2),
        ("unreadable", "no source could be read", 1),
        ("readable", "every source can be read again", 1),
    ]
    assert [event for event, _ in world.log.events].count("source_unreadable") == 1


def test_a_due_slot_whose_limit_stays_closed_too_long_is_given_up_before_anything_is_paid(
    world: World,
) -> None:
    world.slot(0)
    engine: Process = with_caps(world, Limits(posts_24h=0))
    assert prepare_next(engine.context(world.profile)) is None
    assert not world.writer.asked
    assert world.rows("SELECT status, reason FROM posting_schedule") == [("expired", "posts_24h")]


def test_an_audit_removes_nothing_while_a_tick_acts(world: World) -> None:
    """It is another to the tick of its own worker, and waits for it."""
    world.slot(0, "one")
    world.engine.tick(world.profile)
    world.clock.pass_time(3600)
    world.x.delete(world.tweets()[0].x_tweet_id or "")
    with leased(world.engine.context(world.profile)):
        found = audit(world.engine.context(world.profile))
    assert found is not None
    assert (len(found.findings.missing), found.deleted) == (1, ())
    assert world.tweets()[0].status is TweetStatus.POSTED
    assert audit(world.engine.context(world.profile)) is not None
    assert world.tweets()[0].status is TweetStatus.DELETED


def test_two_that_write_at_once_keep_no_text_twice(world: World) -> None:
    world.slot(3600)
    world.slot(3700)

    def also() -> None:
        assert prepare_next(context(world, writer=PlainWriter())) is not None

    assert prepare_next(context(world, writer=Interrupted(meanwhile=also))) is not None
    assert sorted(row.text for row in world.tweets()) == [
        "Fact number 0 about the sea.",
        "Fact number 1 about the sea.",
    ]

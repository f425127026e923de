"""Drafts: written ahead of their slot from real items, checked, kept, and paid for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.content.drafts import Brief, Draft, SourceItem
from bot.core.errors import Fatal, SourceUnreadable, WriterFailed
from bot.core.model import Tweet
from bot.core.posting.post import Post
from bot.core.spending.limits import Limits
from bot.core.spending.usage import ModelUsage
from bot.core.states import Mode, Origin, SlotStatus, TweetStatus
from bot.engine.content.keeping import take_posts
from bot.engine.content.preparing import write_draft
from bot.engine.content.writing_ahead import prepare_next
from bot.engine.learning.planning import ensure_plan, fill_schedule
from bot.engine.leasing import leased
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.engine.slots import move_slot
from tests.engine.test_limits_agent import with_caps
from tests.engine.world import NOON, World

HOURS = 3600
MODEL = ModelUsage(model="gpt-5-mini", input_tokens=1000, output_tokens=100)


def write(world: World, topic: str | None = None) -> Tweet | Outcome:
    with world.manager.transaction() as tx:
        plan = tx.plans.active(world.profile_id)
    return write_draft(world.context, Brief(plan=plan, topic=topic))


def take(world: World, *texts: str) -> Tweet | Outcome:
    return take_posts(world.context, [Post(text=text) for text in texts], topic="tides")


def saying(world: World, *texts: str) -> None:
    items = world.sources.items
    world.sources.items = tuple(
        SourceItem(source=item.source, text=text) for item, text in zip(items, texts, strict=False)
    )


def test_a_draft_is_written_two_hours_ahead_of_its_slot_and_no_earlier(world: World) -> None:
    world.slot(2 * HOURS + 1)
    assert prepare_next(world.engine.context(world.profile)) is None
    world.clock.pass_time(1)
    draft = prepare_next(world.engine.context(world.profile))
    assert draft is not None
    assert world.tweets() == [draft]
    assert draft.status is TweetStatus.DRAFTED
    assert world.rows("SELECT id FROM posting_schedule") == [(draft.slot_id,)]
    assert prepare_next(world.engine.context(world.profile)) is None
    assert world.rows("SELECT verdict, kind, reason, tweet_id, slot_id FROM decisions") == [
        ("drafted", "prepare", "written from Note 0", draft.id, draft.slot_id)
    ]


def test_the_first_slot_without_a_draft_gets_one_a_call(world: World) -> None:
    world.slot(100, "has one")
    world.slot(200)
    world.slot(300)
    first, second = (prepare_next(world.engine.context(world.profile)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert world.rows(
        "SELECT text FROM posting_schedule AS slots JOIN tweets ON slot_id = slots.id ORDER BY due_at"
    ) == [("has one",), (first.text,), (second.text,)]
    assert first.text != second.text


def test_a_draft_is_written_also_while_another_worker_acts(world: World) -> None:
    world.slot(100)
    with leased(world.new_engine().context(world.profile)):
        assert prepare_next(world.engine.context(world.profile)) is not None


def test_a_draft_that_another_worker_wrote_meanwhile_is_left(world: World) -> None:
    world.slot(100)

    def other() -> None:
        with world.manager.transaction() as tx:
            (slot,) = tx.slots.upcoming(world.profile_id, after=NOON, before=NOON + timedelta(days=1))
        world.change(
            "INSERT INTO tweets (profile_id, slot_id, text) VALUES (:p, :s, 'written meanwhile')",
            p=world.profile_id,
            s=slot.id,
        )

    world.database.failures = ["ok", other]
    assert prepare_next(world.engine.context(world.profile)) is None
    assert [row.text for row in world.tweets()] == ["written meanwhile"]


def test_a_draft_whose_slot_was_given_up_meanwhile_is_not_kept(world: World) -> None:
    world.slot(100)
    with world.manager.transaction() as tx:
        (slot,) = tx.slots.upcoming(world.profile_id, after=NOON, before=NOON + timedelta(days=1))
        move_slot(tx, slot.id, SlotStatus.EXPIRED, reason="late")
    outcome = write_draft(world.context, Brief(slot=slot))
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.reason, outcome.tweet) == (OutcomeKind.WAITING, "slot_taken", None)
    assert outcome.detail == "its slot was given up, or got another draft, while this one was written"
    assert world.tweets() == []


def test_a_draft_left_over_from_a_missed_slot_serves_the_next(world: World) -> None:
    world.slot(0, "left over")
    world.clock.pass_time(21 * 60)
    world.engine.tick(world.profile)
    world.slot(60)
    moved = prepare_next(world.engine.context(world.profile))
    assert moved is not None
    assert moved.text == "left over"
    assert not world.writer.asked
    assert "draft_moved" in [event for event, _facts in world.log.events]


def test_a_draft_names_where_it_comes_from(world: World) -> None:
    outcome = write(world, topic="tides")
    (row,) = world.tweets()
    assert outcome == row
    assert (row.origin, row.slot_id, row.topic, row.writer) == (Origin.MANUAL, None, "tides", "plain")
    assert row.source is not None
    assert (row.source.id, row.text) == ("note-0", "Fact number 0 about the sea.")
    assert row.idempotency_key == str(row.id)
    (request,) = world.writer.asked
    assert (request.topic, request.include_link, request.feedback) == ("tides", False, ())
    assert request.items == world.sources.items


def test_in_review_a_draft_awaits_approval(world: World) -> None:
    world.change("UPDATE profiles SET mode = 'review'")
    assert world.profile.mode is Mode.REVIEW
    write(world)
    assert [row.status for row in world.tweets()] == [TweetStatus.AWAITING_APPROVAL]
    assert world.rows("SELECT verdict FROM decisions WHERE kind = 'prepare'") == [("awaiting_approval",)]


def test_a_draft_that_the_guard_refuses_is_written_again_with_its_complaints(world: World) -> None:
    saying(world, "too long " * 60, "short enough")
    assert isinstance(write(world), Tweet)
    first, second = world.writer.asked
    assert first.feedback == ()
    assert ["over 280" in one for one in second.feedback] == [True]
    assert second.avoid[0] == ("too long " * 60)
    assert [row.text for row in world.tweets()] == ["short enough"]


def test_the_third_refused_draft_is_the_last(world: World) -> None:
    saying(world, *(f"{number} {'too long ' * 60}" for number in range(5)))
    outcome = write(world)
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.reason, outcome.tweet) == (OutcomeKind.REJECTED, "length", None)
    assert "over 280" in outcome.detail
    assert len(world.writer.asked) == 3
    assert world.tweets() == []


def test_the_writer_is_told_the_fifty_newest_texts(world: World) -> None:
    for number in range(52):
        world.slot(1000 + number, f"text {number}")
    saying(world, *(f"new {number}" for number in range(3)))
    write(world)
    (request,) = world.writer.asked
    assert len(request.avoid) == 50
    assert set(request.avoid) <= {f"text {number}" for number in range(52)}


@pytest.mark.parametrize(("days", "kind"), [(29, Outcome), (31, Tweet)])
def test_a_text_is_a_duplicate_for_thirty_days(world: World, days: int, kind: type[Outcome | Tweet]) -> None:
    world.slot(0, "said before")
    world.engine.tick(world.profile)
    world.change("UPDATE tweets SET created_at = posted_at, updated_at = posted_at")
    world.clock.pass_time(days * 24 * HOURS)
    assert isinstance(take(world, "said before"), kind)


def test_a_source_without_items_gives_no_draft(world: World) -> None:
    world.sources.items = ()
    with pytest.raises(SourceUnreadable):
        write(world)
    assert world.tweets() == []


def test_only_a_sources_own_address_may_be_linked(world: World) -> None:
    saying(world, "see https://example.org/made-up", "without a link")
    assert isinstance(write(world), Tweet)
    assert [row.text for row in world.tweets()] == ["without a link"]
    assert "https://example.org/made-up" in world.writer.asked[1].feedback[0]


def test_a_draft_without_a_source_may_link_nowhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts = iter(["see https://example.org", "without a link"])
    monkeypatch.setattr(
        world.writer, "write", lambda _request: Draft(text=next(drafts), source=None, writer="plain")
    )
    assert isinstance(write(world), Tweet)
    assert [(row.text, row.source) for row in world.tweets()] == [("without a link", None)]
    assert world.rows("SELECT reason FROM decisions") == [("written by plain",)]


def test_nothing_is_written_for_a_post_that_can_not_go_out_in_time(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_24h=0, posts_15min=None))
    outcome = write(world)
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.WAITING, "posts_24h")
    assert outcome.verdict is not None
    assert outcome.detail == outcome.verdict.reason
    assert not world.writer.asked
    assert world.rows("SELECT verdict, kind, limit_name, cap, slot_id FROM decisions") == [
        ("wait", "prepare", "posts_24h", 0, None)
    ]


def test_a_slots_draft_is_written_where_the_limit_opens_within_its_tolerance(world: World) -> None:
    world.engine = with_caps(world, Limits(posts_15min=1, posts_24h=None))
    world.slot(0, "takes the place")
    world.engine.tick(world.profile)
    world.slot(60)
    assert prepare_next(world.engine.context(world.profile)) is not None


# A person's own texts.


def test_one_text_is_a_post(world: World) -> None:
    outcome = take(world, "  mine  ")
    (row,) = world.tweets()
    assert outcome == row
    assert (row.text, row.writer, row.topic, row.thread_id, row.part) == (
        "mine",
        "operator",
        "tides",
        None,
        1,
    )
    assert (row.origin, row.status) == (Origin.MANUAL, TweetStatus.DRAFTED)
    assert world.rows("SELECT verdict, kind, reason FROM decisions") == [
        ("drafted", "prepare", "written by operator")
    ]


def test_more_texts_are_a_thread(world: World) -> None:
    outcome = take(world, "one", "two", "three")
    rows = world.tweets()
    assert isinstance(outcome, Tweet)
    assert [(row.text, row.part, row.thread_id) for row in rows] == [
        ("one", 1, outcome.id),
        ("two", 2, outcome.id),
        ("three", 3, outcome.id),
    ]
    assert len({row.idempotency_key for row in rows}) == 3
    assert {row.topic for row in rows} == {"tides"}


@pytest.mark.parametrize(
    ("texts", "reason", "count"),
    [
        (("",), "empty", 1),
        (("fine", "x" * 281), "length", 1),
        (("x" * 281, ""), "length", 2),
        (("the same", "the same"), "duplicate", 1),
    ],
)
def test_texts_that_break_a_rule_are_refused_whole(
    world: World, texts: tuple[str, ...], reason: str, count: int
) -> None:
    outcome = take(world, *texts)
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.REJECTED, reason)
    assert len(outcome.detail.split("; ")) == count
    assert world.tweets() == []


def test_a_person_may_link_what_they_like(world: World) -> None:
    assert isinstance(take(world, "see https://example.org"), Tweet)


# What a model costs.


def ledger(world: World) -> list[tuple[object, ...]]:
    found = world.rows("SELECT state, tokens, cost_usd, endpoint FROM api_calls WHERE kind = 'model'")
    return [tuple(row) for row in found]


def test_a_model_call_is_reserved_at_the_most_it_may_take(world: World) -> None:
    world.writer.usage = MODEL
    asked = world.writer.write

    def write_and_look(request: object) -> object:
        # Twice the output tokens that it takes in the end.
        assert ledger(world) == [("reserved", 1200, Decimal("0.000650"), "POST /v1/chat/completions")]
        return asked(request)  # type: ignore[arg-type]  # passed on

    world.writer.write = write_and_look  # type: ignore[method-assign,assignment]  # this world's alone
    assert isinstance(write(world), Tweet)
    assert ledger(world) == [("settled", 1100, Decimal("0.000450"), "POST /v1/chat/completions")]


def test_a_model_that_failed_and_took_nothing_costs_nothing(world: World) -> None:
    world.writer.usage = MODEL
    world.writer.fails = WriterFailed("the model is silent")
    with pytest.raises(WriterFailed):
        write(world)
    assert [row[0] for row in ledger(world)] == ["released"]


def test_a_model_that_failed_after_taking_tokens_costs_those(world: World) -> None:
    world.writer.usage = MODEL
    world.writer.fails = Fatal("refused its own answer")
    world.writer.fails.usage = MODEL  # type: ignore[attr-defined]  # as the writer tells it
    with pytest.raises(Fatal):
        write(world)
    assert ledger(world) == [("settled", 1100, Decimal("0.000450"), "POST /v1/chat/completions")]


def test_a_writer_that_broke_costs_all_that_was_reserved(world: World) -> None:
    world.writer.usage = MODEL
    world.writer.fails = RuntimeError("broke")
    with pytest.raises(RuntimeError):
        write(world)
    assert ledger(world) == [("settled", 1200, Decimal("0.000650"), "POST /v1/chat/completions")]


def test_no_model_is_asked_beyond_its_tokens(world: World) -> None:
    world.writer.usage = MODEL
    world.engine = with_caps(world, Limits(tokens_day=1199, posts_24h=None))
    outcome = write(world)
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.WAITING, "tokens_day")
    assert outcome.verdict is not None
    assert outcome.detail == outcome.verdict.reason
    assert not world.writer.asked
    assert world.rows("SELECT verdict, kind, limit_name, profile_id FROM decisions") == [
        ("wait", "prepare", "tokens_day", world.profile_id)
    ]
    world.engine = with_caps(world, Limits(tokens_day=1200, posts_24h=None))
    assert isinstance(write(world), Tweet)


@pytest.mark.parametrize(("budget", "link"), [("0.199", False), ("0.200", True)])
def test_a_link_is_asked_for_where_the_plan_wants_it_and_the_budget_pays(
    world: World, budget: str, link: bool
) -> None:
    world.change("UPDATE plans SET include_links = true")
    world.engine = with_caps(world, Limits(budget_usd=Decimal(budget), posts_24h=None))
    write(world)
    assert [request.include_link for request in world.writer.asked] == [link]
    assert ("link_left_out" in [event for event, _facts in world.log.events]) is not link


# The plan behind it.


def test_a_plan_is_started_once_and_again_when_its_number_changes(world: World) -> None:
    first = ensure_plan(world.engine.context(world.profile), posts_per_day=4)
    assert first.posts_per_day == 4
    assert ensure_plan(world.engine.context(world.profile), posts_per_day=4) == first
    other = ensure_plan(world.engine.context(world.profile), posts_per_day=2)
    assert (other.posts_per_day, other.id != first.id) == (2, True)
    assert world.rows("SELECT id FROM plans WHERE status = 'active'") == [(other.id,)]
    assert [facts["posts_per_day"] for event, facts in world.log.events if event == "plan_started"] == [4, 2]


def test_the_next_three_days_are_filled_once_and_never_in_the_past(world: World) -> None:
    ensure_plan(world.engine.context(world.profile), posts_per_day=4)
    # Of today's four, 09:45 and 13:15 and 16:45 and 20:15, the first has passed at noon.
    assert fill_schedule(world.engine.context(world.profile)) == 11
    due = [row.due_at for row in world.rows("SELECT due_at FROM posting_schedule ORDER BY due_at")]
    assert due[0] == NOON + timedelta(hours=1, minutes=15)
    assert due[-1] == NOON + timedelta(days=2, hours=8, minutes=15)
    assert world.rows("SELECT verdict, kind, reason, profile_id FROM decisions") == [
        ("planned", "plan", "11 slots for the next 3 days", world.profile_id)
    ]
    assert fill_schedule(world.engine.context(world.profile)) == 0
    assert world.rows("SELECT count(*) FROM decisions") == [(1,)]
    world.clock.pass_time(24 * HOURS)
    assert fill_schedule(world.engine.context(world.profile)) == 4


def test_a_slot_that_was_taken_out_of_a_filled_day_stays_out(world: World) -> None:
    ensure_plan(world.engine.context(world.profile), posts_per_day=4)
    fill_schedule(world.engine.context(world.profile))
    world.change("UPDATE posting_schedule SET status = 'skipped' WHERE due_at < '2026-03-10 14:00+00'")
    assert fill_schedule(world.engine.context(world.profile)) == 0


def test_without_an_active_plan_nothing_is_filled(world: World) -> None:
    world.change("UPDATE plans SET status = 'archived'")
    assert fill_schedule(world.engine.context(world.profile)) == 0

"""What becomes of a post that X did not take: when it is tried again, how often, and what it costs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.core.errors import Retryable
from bot.core.model import Posted
from bot.core.posting.post import Post
from bot.core.states import TweetStatus
from bot.engine.outcomes import Outcome, OutcomeKind
from tests.engine.world import NOON, World

TEXT = "not taken at first"


def refused(world: World, script: str, *texts: str) -> Outcome:
    world.slot(0, *(texts or (TEXT,)))
    world.x.script = [script]
    (outcome,) = world.engine.tick(world.profile)
    return outcome


def test_what_may_pass_is_kept_for_another_try_after_its_pause(world: World) -> None:
    outcome = refused(world, "unreachable")
    assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, "x_unreachable")
    assert outcome.detail == "connection refused"
    assert outcome.cost_usd == 0
    assert outcome.verdict is not None
    (row,) = world.tweets()
    assert (row.status, row.reason, row.attempts) == (TweetStatus.APPROVED, "x_unreachable", 1)
    assert row.next_attempt_at is not None
    assert timedelta(seconds=2.5) <= row.next_attempt_at - NOON <= timedelta(seconds=5)
    assert row.looked_at == NOON
    assert world.rows("SELECT verdict, reason, kind, until FROM decisions WHERE verdict = 'retry'") == [
        ("retry", "connection refused", "publish", row.next_attempt_at)
    ]
    assert world.rows("SELECT state FROM api_calls") == [("released",)]
    assert world.rows("SELECT status, reason FROM posting_schedule") == [("claimed", None)]


def test_no_call_is_made_before_the_pause_is_over(world: World) -> None:
    refused(world, "unreachable")
    (row,) = world.tweets()
    assert row.next_attempt_at is not None
    world.clock.pass_time((row.next_attempt_at - NOON).total_seconds() - 0.01)
    assert world.engine.tick(world.profile) == []
    assert world.x.calls == 1
    (decision,) = world.rows("SELECT reason, until FROM decisions WHERE verdict = 'nothing'")
    assert tuple(decision) == ("nothing is ready yet", row.next_attempt_at)
    world.clock.pass_time(0.01)
    (outcome,) = world.engine.tick(world.profile)
    assert outcome.kind is OutcomeKind.POSTED
    assert world.tweets()[0].attempts == 2


def test_the_eighth_refusal_is_the_last(world: World) -> None:
    world.change("UPDATE plans SET late_tolerance_seconds = 86400")
    world.slot(0, TEXT, "its second part")
    world.x.script = ["unreachable"] * 9
    pauses = []
    for _ in range(8):
        world.engine.tick(world.profile)
        row = world.tweets()[0]
        if row.next_attempt_at is not None:
            pauses.append((row.next_attempt_at - world.clock.now()).total_seconds())
            world.clock.pass_time(pauses[-1])
    assert world.x.calls == 8
    for pause, longest in zip(pauses, (5, 10, 20, 40, 80, 160, 320), strict=True):
        assert longest / 2 <= pause <= longest
    root, part = world.tweets()
    assert (root.status, root.reason) == (TweetStatus.FAILED, "x_unreachable")
    assert (part.status, part.reason) == (TweetStatus.REJECTED, "thread_broken")
    assert world.rows("SELECT status, reason FROM posting_schedule") == [("skipped", "x_unreachable")]


def test_what_x_never_takes_ends_its_slot_and_its_thread_at_once(world: World) -> None:
    outcome = refused(world, "refuse", TEXT, "second", "third")
    assert (outcome.kind, outcome.reason, outcome.detail) == (OutcomeKind.FAILED, "policy", "not allowed")
    assert [(row.status, row.reason) for row in world.tweets()] == [
        (TweetStatus.FAILED, "policy"),
        (TweetStatus.REJECTED, "thread_broken"),
        (TweetStatus.REJECTED, "thread_broken"),
    ]
    assert world.rows("SELECT status, reason FROM posting_schedule") == [("skipped", "policy")]
    assert world.rows("SELECT reason, until FROM decisions WHERE verdict = 'refused'") == [
        ("not allowed", None)
    ]
    assert world.rows("SELECT state FROM api_calls") == [("released",)]


@pytest.mark.parametrize(
    ("script", "kind", "reason", "window"),
    [
        ("too_many", OutcomeKind.WAITING, "rate_limited", ("POST /2/tweets", "block", 120)),
        ("credits", OutcomeKind.WAITING, "credits_depleted", ("*", "credits", 3600)),
        ("keys", OutcomeKind.FAILED, "keys_invalid", ("*", "keys", 900)),
    ],
)
def test_what_x_closed_stays_closed_as_long_as_it_said_or_until_a_probe(
    world: World, script: str, kind: OutcomeKind, reason: str, window: tuple[str, str, int]
) -> None:
    outcome = refused(world, script)
    assert (outcome.kind, outcome.reason) == (kind, reason)
    endpoint, name, seconds = window
    assert world.rows("SELECT endpoint, name, remaining, resets_at, reason FROM rate_windows") == [
        (endpoint, name, 0, NOON + timedelta(seconds=seconds), reason)
    ]
    assert [(row.status, row.reason) for row in world.tweets()] == [(TweetStatus.APPROVED, reason)]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("rate_limited", OutcomeKind.WAITING),
        ("usage_capped", OutcomeKind.WAITING),
        ("credits_depleted", OutcomeKind.WAITING),
        ("x_trouble", OutcomeKind.FAILED),
    ],
)
def test_only_what_opens_by_itself_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str, kind: OutcomeKind
) -> None:
    def create_post(_post: Post) -> Posted:
        raise Retryable("not now", code=code)

    monkeypatch.setattr(world.x, "create_post", create_post)
    world.slot(0, TEXT)
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.reason) == (kind, code)


def test_a_lease_too_short_for_a_call_makes_none_and_no_attempt(world: World) -> None:
    world.engine = world.new_engine(lease_time=timedelta(seconds=59))
    world.slot(0, TEXT)
    (outcome,) = world.engine.tick(world.profile)
    assert (outcome.kind, outcome.reason, world.x.calls) == (OutcomeKind.FAILED, "lease_short", 0)
    world.clock.pass_time(20)
    world.engine.tick(world.profile)
    assert [(row.status, row.attempts) for row in world.tweets()] == [(TweetStatus.APPROVED, 1)]
    world.engine = world.new_engine(lease_time=timedelta(seconds=60))
    world.run(60, every=20)
    assert world.x.count(TEXT) == 1


def test_an_answer_that_nobody_heard_is_told_and_counts(world: World) -> None:
    outcome = refused(world, "error_after")
    assert (outcome.kind, outcome.reason, outcome.detail) == (OutcomeKind.UNKNOWN, "server_error", "503")
    assert outcome.cost_usd == Decimal("0.015")
    assert outcome.tweet is not None
    assert outcome.verdict is not None
    assert [(row.status, row.reason) for row in world.tweets()] == [(TweetStatus.UNKNOWN, "server_error")]
    assert world.rows("SELECT state, units, cost_usd FROM api_calls") == [("unknown", 1, Decimal("0.015"))]
    assert world.rows("SELECT reason, kind FROM decisions WHERE verdict = 'unknown'") == [("503", "publish")]

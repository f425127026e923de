"""The next state of a tweet and of a slot: along the diagram, with nothing lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from uuid import UUID

import pytest

from bot.core.content.drafts import Brief, Draft
from bot.core.errors import ForbiddenTransition
from bot.core.model import LivePost, Profile, Slot, SlotId, Source, Tweet, TweetId
from bot.core.posting import lifecycle
from bot.core.states import (
    SLOT_TRANSITIONS,
    TWEET_TRANSITIONS,
    CallState,
    Mode,
    Origin,
    SlotStatus,
    TweetStatus,
    leading_to,
)
from tests.core.makers import PROFILE, slot, tweet, utc

NOW = utc("2026-11-17T15:30:00")
EARLIER = NOW - timedelta(hours=1)
POST = LivePost(x_tweet_id="1999", text="text", created_at=NOW - timedelta(minutes=1))
# A row in which every column says something, so that what a change takes away or keeps is seen.
FULL = tweet(
    slot_id=SlotId(UUID(int=7)),
    topic="tides",
    source=Source(id="1", kind="note", title="Tides", location="notes"),
    writer="offline",
    first_intent_at=EARLIER,
    after_x_id="1998",
    intent_at=EARLIER,
    fencing=3,
    attempts=2,
    resends=1,
    absent_reads=1,
    inconclusive_reads=2,
    looked_at=EARLIER,
    next_attempt_at=EARLIER,
    reason="before",
    revision="42",
)

Change = Callable[[Tweet], Tweet]
LEADS_TO: dict[str, tuple[TweetStatus, Change]] = {
    "awaiting approval": (TweetStatus.AWAITING_APPROVAL, lifecycle.awaiting_approval),
    "approved": (TweetStatus.APPROVED, lifecycle.approved),
    "put off": (TweetStatus.APPROVED, partial(lifecycle.put_off, reason="429", until=NOW)),
    "to resend": (TweetStatus.APPROVED, partial(lifecycle.to_resend, now=NOW)),
    "rejected": (TweetStatus.REJECTED, partial(lifecycle.rejected, reason="not_queued")),
    "publishing": (
        TweetStatus.PUBLISHING,
        partial(lifecycle.publishing, fencing=4, after_x_id="9", now=NOW),
    ),
    "recalled": (TweetStatus.PUBLISHING, lifecycle.recalled),
    "posted": (TweetStatus.POSTED, partial(lifecycle.posted, x_tweet_id="1999", at=NOW)),
    "adopted": (TweetStatus.POSTED, partial(lifecycle.adopted, x_tweet_id="1999", at=NOW)),
    "found": (TweetStatus.POSTED, partial(lifecycle.found, post=POST, now=NOW)),
    "unknown": (TweetStatus.UNKNOWN, partial(lifecycle.unknown, reason="no_answer")),
    "orphaned": (TweetStatus.UNKNOWN, lifecycle.orphaned),
    "doubted": (TweetStatus.UNKNOWN, lifecycle.doubted),
    "forestalled": (TweetStatus.UNKNOWN, lifecycle.forestalled),
    "failed": (TweetStatus.FAILED, partial(lifecycle.failed, reason="policy")),
    "never found": (TweetStatus.FAILED, partial(lifecycle.never_found, now=NOW)),
    "deleted": (TweetStatus.DELETED, lifecycle.deleted),
}
STAYS: dict[str, Change] = {
    "assigned": partial(lifecycle.assigned, slot_id=SlotId(UUID(int=8))),
    "look put off": partial(lifecycle.look_put_off, until=NOW),
    "not shown": partial(lifecycle.not_shown, now=NOW),
    "looked for": partial(lifecycle.looked_for, now=NOW, next_look=None),
    "called duplicate": lifecycle.called_duplicate,
    "unseen": lifecycle.unseen,
}


@pytest.mark.parametrize(("name", "current"), list(product(LEADS_TO, TweetStatus)))
def test_every_change_follows_the_diagram(name: str, current: TweetStatus) -> None:
    wanted, change = LEADS_TO[name]
    row = replace(FULL, status=current)
    if wanted in TWEET_TRANSITIONS[current]:
        assert change(row).status is wanted
    else:
        with pytest.raises(ForbiddenTransition, match=f"{current} -> {wanted} is not allowed"):
            change(row)


@pytest.mark.parametrize(("name", "current"), list(product(STAYS, TweetStatus)))
def test_what_is_noted_of_a_tweet_leaves_its_state(name: str, current: TweetStatus) -> None:
    assert STAYS[name](replace(FULL, status=current)).status is current


@pytest.mark.parametrize("change", [*(change for _, change in LEADS_TO.values()), *STAYS.values()])
def test_every_change_keeps_the_revision_that_it_was_computed_from(change: Change) -> None:
    rows = [replace(FULL, status=status) for status in TweetStatus]
    after = []
    for row in rows:
        try:
            after.append(change(row))
        except ForbiddenTransition:
            continue
    assert after
    assert {one.revision for one in after} == {"42"}


def test_a_first_intent_says_since_when_and_after_which_post() -> None:
    first = replace(FULL, status=TweetStatus.APPROVED, first_intent_at=None, after_x_id=None)
    begun = lifecycle.publishing(first, fencing=4, after_x_id="9", now=NOW)
    assert begun == replace(
        first,
        status=TweetStatus.PUBLISHING,
        first_intent_at=NOW,
        after_x_id="9",
        intent_at=NOW,
        fencing=4,
        attempts=3,
        absent_reads=0,
        inconclusive_reads=0,
        looked_at=None,
        next_attempt_at=None,
        reason=None,
    )


def test_a_later_intent_keeps_what_the_first_one_said() -> None:
    again = lifecycle.publishing(
        replace(FULL, status=TweetStatus.APPROVED), fencing=4, after_x_id="9", now=NOW
    )
    assert (again.first_intent_at, again.after_x_id) == (EARLIER, "1998")
    assert (again.intent_at, again.fencing, again.resends) == (NOW, 4, 1)


def test_a_refusal_that_may_pass_waits_and_is_as_fresh_as_its_call() -> None:
    row = replace(FULL, status=TweetStatus.PUBLISHING, looked_at=None)
    assert lifecycle.put_off(row, "rate_limited", until=NOW) == replace(
        row,
        status=TweetStatus.APPROVED,
        next_attempt_at=NOW,
        reason="rate_limited",
        looked_at=EARLIER,
    )


@pytest.mark.parametrize(("attempts", "left"), [(1, 1), (2, 1), (5, 4)])
def test_a_call_that_was_not_made_is_no_attempt(attempts: int, left: int) -> None:
    row = replace(FULL, status=TweetStatus.PUBLISHING, attempts=attempts)
    assert lifecycle.put_off(row, "lease_short", until=NOW).attempts == left
    assert lifecycle.put_off(row, "rate_limited", until=NOW).attempts == attempts


def test_what_x_made_has_its_id_and_moment() -> None:
    row = replace(FULL, status=TweetStatus.PUBLISHING, reason=None)
    live = lifecycle.posted(row, "1999", at=NOW)
    assert live == replace(row, status=TweetStatus.POSTED, x_tweet_id="1999", posted_at=NOW)
    assert lifecycle.adopted(row, "1999", at=NOW) == replace(live, reason="adopted")


@pytest.mark.parametrize(
    ("shown", "intent", "at"),
    [
        (NOW - timedelta(minutes=5), EARLIER, NOW - timedelta(minutes=5)),
        (EARLIER - timedelta(minutes=5), EARLIER, EARLIER),
        (NOW + timedelta(minutes=5), EARLIER, NOW),
        (None, EARLIER, NOW),
        (NOW - timedelta(minutes=5), None, NOW),
    ],
)
def test_what_was_found_was_made_between_its_intent_and_now(
    shown: datetime | None, intent: datetime | None, at: datetime
) -> None:
    row = replace(FULL, status=TweetStatus.UNKNOWN, intent_at=intent)
    live = lifecycle.found(row, replace(POST, created_at=shown), now=NOW)
    assert (live.x_tweet_id, live.posted_at, live.reason) == ("1999", at, "adopted")


def test_an_orphan_is_looked_for_at_once() -> None:
    row = replace(FULL, status=TweetStatus.PUBLISHING)
    assert lifecycle.orphaned(row) == replace(
        row, status=TweetStatus.UNKNOWN, reason="no_record", next_attempt_at=None, inconclusive_reads=0
    )


def test_what_was_absent_is_resent_at_once_and_counted() -> None:
    row = replace(FULL, status=TweetStatus.UNKNOWN)
    assert lifecycle.to_resend(row, now=NOW) == replace(
        row, status=TweetStatus.APPROVED, resends=2, looked_at=NOW, next_attempt_at=NOW, reason="absent"
    )


def test_a_resend_that_is_doubted_does_not_count_and_is_looked_for_anew() -> None:
    row = lifecycle.recalled(replace(FULL, status=TweetStatus.APPROVED))
    assert lifecycle.doubted(row) == replace(
        row,
        status=TweetStatus.UNKNOWN,
        reason="absent_long_ago",
        resends=0,
        absent_reads=0,
        inconclusive_reads=0,
        looked_at=None,
        next_attempt_at=None,
    )


def test_a_resend_that_a_late_answer_forestalls_is_looked_for_at_once() -> None:
    row = lifecycle.recalled(replace(FULL, status=TweetStatus.APPROVED))
    assert row == replace(FULL, status=TweetStatus.PUBLISHING)
    assert lifecycle.forestalled(row) == replace(
        row, status=TweetStatus.UNKNOWN, looked_at=None, next_attempt_at=None
    )


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        ("duplicate", "duplicate_refused"),
        ("duplicate_unseen", "duplicate_refused"),
        ("absent", "absent_after_resend"),
        (None, "absent_after_resend"),
    ],
)
def test_what_is_never_found_says_whether_it_counts(reason: str | None, end: str) -> None:
    row = replace(FULL, status=TweetStatus.UNKNOWN, reason=reason)
    assert lifecycle.never_found(row, now=NOW) == replace(
        row, status=TweetStatus.FAILED, reason=end, looked_at=NOW, next_attempt_at=None
    )


@pytest.mark.parametrize(
    ("current", "end"),
    [(TweetStatus.APPROVED, TweetStatus.FAILED), (TweetStatus.DRAFTED, TweetStatus.REJECTED)],
)
def test_a_part_of_a_broken_thread_ends(current: TweetStatus, end: TweetStatus) -> None:
    row = replace(FULL, status=current)
    assert lifecycle.broken_off(row) == replace(row, status=end, reason="thread_broken")


@pytest.mark.parametrize("live", [TweetStatus.POSTED, TweetStatus.PUBLISHING, TweetStatus.UNKNOWN])
def test_a_part_that_may_be_live_is_not_broken_off(live: TweetStatus) -> None:
    with pytest.raises(ForbiddenTransition):
        lifecycle.broken_off(replace(FULL, status=live))


def test_what_was_removed_keeps_nothing_of_what_it_said() -> None:
    row = replace(FULL, status=TweetStatus.POSTED, x_tweet_id="1999")
    assert lifecycle.deleted(row) == replace(
        row, status=TweetStatus.DELETED, text="", fingerprint="", source=None, reason="removed_on_x"
    )


def test_looks_are_counted_by_what_they_prove() -> None:
    row = replace(FULL, status=TweetStatus.UNKNOWN)
    assert lifecycle.look_put_off(row, until=NOW) == replace(row, next_attempt_at=NOW, inconclusive_reads=3)
    assert lifecycle.not_shown(row, now=NOW) == replace(row, looked_at=NOW)
    proven = replace(row, looked_at=NOW, inconclusive_reads=0, next_attempt_at=None)
    assert lifecycle.looked_for(row, now=NOW, next_look=None) == proven
    assert lifecycle.looked_for(row, now=NOW, next_look=NOW, absent=True) == replace(
        proven, absent_reads=2, next_attempt_at=NOW
    )


def test_what_x_calls_a_duplicate_says_so_first_aloud_and_then_softly() -> None:
    row = replace(FULL, status=TweetStatus.UNKNOWN)
    assert lifecycle.called_duplicate(row) == replace(row, reason="duplicate")
    assert lifecycle.unseen(row) == replace(row, reason="duplicate_unseen")


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        (Mode.AUTO, TweetStatus.DRAFTED),
        (Mode.DRY_RUN, TweetStatus.DRAFTED),
        (Mode.REVIEW, TweetStatus.AWAITING_APPROVAL),
    ],
)
@pytest.mark.parametrize("due", [slot(NOW, 7), None])
def test_a_draft_begins_where_the_mode_says_and_remembers_what_it_is_for(
    mode: Mode, status: TweetStatus, due: Slot | None
) -> None:
    draft = Draft(text="as written", source=FULL.source, writer="offline")
    profile = Profile(
        id=PROFILE,
        auth_user_id=UUID(int=4),
        handle="ada",
        x_user_id="1",
        timezone="UTC",
        mode=mode,
        paused=False,
        pause_reason=None,
    )
    brief = Brief(slot=due, topic="tides")
    assert lifecycle.drafted(TweetId(UUID(int=9)), profile, draft, "as judged", brief) == tweet(
        "as judged",
        id=TweetId(UUID(int=9)),
        idempotency_key=str(UUID(int=9)),
        status=status,
        slot_id=due and due.id,
        origin=Origin.SLOT if due else Origin.MANUAL,
        topic="tides",
        source=FULL.source,
        writer="offline",
    )


def test_a_draft_moves_to_another_slot() -> None:
    assert lifecycle.assigned(FULL, SlotId(UUID(int=8))) == replace(FULL, slot_id=SlotId(UUID(int=8)))


@pytest.mark.parametrize(("current", "wanted"), list(product(SlotStatus, SlotStatus)))
def test_a_slot_moves_along_the_diagram_with_its_reason(current: SlotStatus, wanted: SlotStatus) -> None:
    row = replace(slot(NOW), status=current, reason="before", revision="42")
    if wanted in SLOT_TRANSITIONS[current]:
        after = lifecycle.moved(row, wanted, reason="late")
        assert after == replace(row, status=wanted, reason="late")
        assert after.revision == "42"
        assert lifecycle.moved(row, wanted).reason is None
    else:
        with pytest.raises(ForbiddenTransition, match=f"{current} -> {wanted} is not allowed"):
            lifecycle.moved(row, wanted)


def test_the_states_before_a_state_are_those_with_an_arrow_to_it() -> None:
    assert leading_to(TweetStatus.PUBLISHING) == {TweetStatus.DRAFTED, TweetStatus.APPROVED}
    assert leading_to(SlotStatus.DONE) == {SlotStatus.CLAIMED}
    assert leading_to(CallState.RESERVED) == frozenset()

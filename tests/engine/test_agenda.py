"""When which job acts: from what rows ask for and what jobs answered, and never in a circle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from bot.core.codes import DecisionKind
from bot.core.model import ProfileId
from bot.core.work import Due, Work
from bot.engine.agenda import Agenda

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
ONE, TWO = ProfileId(UUID(int=1)), ProfileId(UUID(int=2))
PUBLISH = Work(DecisionKind.PUBLISH, ONE)
PREPARE = Work(DecisionKind.PREPARE, ONE)
PLAN, AUDIT = Work(DecisionKind.PLAN, ONE), Work(DecisionKind.AUDIT, ONE)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def an_agenda(*due: tuple[Work, float]) -> Agenda:
    agenda = Agenda(pause=timedelta(seconds=5))
    look(agenda, *due)
    return agenda


def look(agenda: Agenda, *due: tuple[Work, float]) -> None:
    agenda.look(Due(work=work, at=after(seconds)) for work, seconds in due)


def acts(agenda: Agenda, seconds: float) -> list[Work]:
    """What acts at a moment, and ends at once without an answer."""
    begun = agenda.begin(now=after(seconds))
    for work in begun:
        agenda.end(work)
    return begun


def test_nothing_acts_before_its_moment_and_the_moment_is_known() -> None:
    agenda = an_agenda((PUBLISH, 10))
    assert agenda.begin(now=after(9.999)) == []
    assert agenda.next_moment() == after(10)
    assert agenda.begin(now=after(10)) == [PUBLISH]


def test_what_is_due_for_longest_acts_first() -> None:
    other = Work(DecisionKind.PUBLISH, TWO)
    assert an_agenda((PUBLISH, 3), (other, 1), (PREPARE, 2)).begin(now=after(5)) == [other, PREPARE, PUBLISH]


def test_what_is_under_way_does_not_act_twice_at_once() -> None:
    agenda = an_agenda((PUBLISH, 0))
    assert agenda.begin(now=NOON) == [PUBLISH]
    look(agenda, (PUBLISH, 0))
    assert agenda.begin(now=after(60)) == []
    assert agenda.next_moment() is None


def test_what_an_act_left_as_it_was_acts_again_after_a_pause() -> None:
    agenda = an_agenda((PUBLISH, 0))
    assert acts(agenda, 1) == [PUBLISH]
    look(agenda, (PUBLISH, 0))
    assert agenda.next_moment() == after(6)
    assert acts(agenda, 5.9) == []
    assert acts(agenda, 6) == [PUBLISH]


def test_a_moment_that_came_after_an_act_has_no_pause() -> None:
    agenda = an_agenda((PUBLISH, 0))
    acts(agenda, 1)
    look(agenda, (PUBLISH, 2))
    assert acts(agenda, 2) == [PUBLISH]


def test_what_an_act_waited_for_has_come_and_so_it_acts_without_a_pause() -> None:
    agenda = an_agenda((PUBLISH, 0))
    acts(agenda, 1)
    look(agenda, (PUBLISH, 0))
    agenda.hurry(PUBLISH)
    assert acts(agenda, 1.1) == [PUBLISH]


def test_what_no_row_asks_for_any_more_does_not_act() -> None:
    agenda = an_agenda((PUBLISH, 10))
    look(agenda)
    assert (agenda.begin(now=after(10)), agenda.next_moment()) == ([], None)


def test_a_plan_that_is_new_is_filled_and_its_profile_audited_once() -> None:
    agenda = an_agenda((PLAN, -30))
    assert sorted(acts(agenda, 0)) == sorted([PLAN, AUDIT])
    # The look finds the change again for a while.
    look(agenda, (PLAN, -30))
    assert acts(agenda, 1) == []
    look(agenda, (PLAN, 50))
    assert sorted(acts(agenda, 50)) == sorted([PLAN, AUDIT])


def test_a_job_acts_again_when_it_answered_that_it_wants_to_whatever_looks_find() -> None:
    agenda = an_agenda((PLAN, 0))
    for work in agenda.begin(now=NOON):
        agenda.end(work, again=after(3600) if work == PLAN else after(7200))
    look(agenda, (PLAN, 0))
    assert agenda.next_moment() == after(3600)
    assert agenda.begin(now=after(3600)) == [PLAN]
    assert agenda.begin(now=after(7200)) == [AUDIT]


def test_a_change_of_the_plan_brings_its_filling_forward_and_leaves_the_audit_alone() -> None:
    agenda = an_agenda((PLAN, 0))
    for work in agenda.begin(now=NOON):
        agenda.end(work, again=after(3600))
    look(agenda, (PLAN, 100))
    assert agenda.begin(now=after(100)) == [PLAN]


def test_of_a_profile_that_is_run_no_more_nothing_is_left() -> None:
    other = Work(DecisionKind.PUBLISH, TWO)
    agenda = an_agenda((PLAN, 0), (PUBLISH, 0), (other, 0))
    agenda.forget(ONE)
    assert agenda.begin(now=NOON) == [other]


def test_a_job_that_answers_nothing_ends() -> None:
    agenda = Agenda(pause=timedelta(seconds=5))
    agenda.add(Work(DecisionKind.FORGET), NOON)
    assert acts(agenda, 0) == [Work(DecisionKind.FORGET)]
    assert agenda.next_moment() is None

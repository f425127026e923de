"""Errors name what to do next, for people and for programs."""

from __future__ import annotations

import pytest

from bot.core import errors
from bot.core.errors import BotError, Fatal, OutcomeUnknown, Refused, Retryable, ServiceError
from bot.core.rates import RateWindow
from tests.core.makers import utc

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BotError)]
WINDOW = RateWindow(name="15m", limit=100, remaining=0, resets_at=utc("2026-12-30T22:15:00"))


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_without_a_message_says_its_own_meaning(kind: type[BotError]) -> None:
    assert str(kind()) == (kind.__doc__ or "").splitlines()[0]
    assert str(kind("the words")) == "the words"


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_has_a_stable_code_that_a_raise_may_narrow(kind: type[BotError]) -> None:
    assert kind().code == kind.default_code
    assert kind(code="narrower").code == "narrower"


def test_every_error_that_can_be_raised_has_a_code_of_its_own() -> None:
    named = [kind for kind in EVERY if kind is not ServiceError]
    assert len({kind.default_code for kind in named}) == len(named)


def test_codes_are_those_that_rows_and_programs_know() -> None:
    assert {kind.default_code for kind in EVERY} == {
        "error",
        "retryable",
        "refused",
        "fatal",
        "outcome_unknown",
        "setting_invalid",
        "database_unavailable",
        "schema_outdated",
        "usage_unreadable",
        "price_unknown",
        "source_unreadable",
        "writer_failed",
        "row_unreadable",
        "id_taken",
        "lease_lost",
        "row_changed",
        "not_possible_now",
        "forbidden_transition",
    }


def test_the_line_holds_message_and_mend_on_one_line() -> None:
    assert BotError("no\n  keys", fix="set X_API_KEY").line == "no keys - set X_API_KEY"
    assert BotError("no keys").line == "no keys"


@pytest.mark.parametrize("kind", [Retryable, Refused, Fatal, OutcomeUnknown])
def test_a_services_error_keeps_the_windows_that_its_headers_told(kind: type[ServiceError]) -> None:
    assert kind(rates=[WINDOW]).rates == (WINDOW,)
    assert kind().rates == ()


def test_what_may_be_retried_says_from_when_and_how_much_is_closed() -> None:
    plain = Retryable()
    assert (plain.until, plain.scope) == (None, "endpoint")
    known = Retryable(until=utc("2026-12-30T22:15:00"), scope="account", code="credits_depleted")
    assert (known.until, known.scope) == (utc("2026-12-30T22:15:00"), "account")
    assert known.code == "credits_depleted"


def test_the_four_answers_of_a_service_exclude_each_other() -> None:
    four = (Retryable, Refused, Fatal, OutcomeUnknown)
    assert [[issubclass(one, other) for other in four] for one in four] == [
        [one is other for other in four] for one in four
    ]
    assert all(issubclass(one, ServiceError) for one in four)

"""A slice of the hostile texts: every one gets an answer, and few have to be abandoned."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import main as run_benchmark
from benchmarks.hostile import play


@pytest.mark.long
def test_every_hostile_text_is_answered() -> None:
    tallies = play(20, seed=3)
    assert sum(tally.texts for tally in tallies.values()) == 20 * 4
    assert all(tally.abandoned == 0 for (_, place), tally in tallies.items() if place == "check")
    # Third-party parsers have squares of their own; what they don't get through is given up.
    assert sum(tally.abandoned for tally in tallies.values()) < 20


def test_a_benchmark_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_benchmark(["no-such"]) == 2
    assert "hostile" in capsys.readouterr().err

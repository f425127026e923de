"""`plan`, as a person uses it."""

from __future__ import annotations

import pytest

from tests.end_to_end.conftest import Cli, Rows


def test_a_plan_is_shown_changed_added_put_in_force_and_put_away(cli: Cli, rows: Rows) -> None:
    cli.json("init", "--topics", "tides")
    (first,) = cli.json("plan")["plans"]
    assert (first["status"], first["topics"], first["posts_per_day"]) == ("active", ["tides"], 4)
    assert cli.json("plan", "show") == first

    changed = cli.json("plan", "set", "--posts-per-day", "2", "--day-ends", "21:30", "--spacing", "60")
    assert changed == first | {"posts_per_day": 2, "day_ends": "21:30", "spacing_seconds": 60}

    made = cli.json("plan", "add", "--topics", "mills,looms", "--include-links", "yes")
    assert (made["status"], made["topics"], made["include_links"]) == ("draft", ["mills", "looms"], True)
    assert cli.json("plan", "activate", made["id"][:8])["status"] == "active"
    assert [one["status"] for one in cli.json("plan", "--json", "list")["plans"]] == ["active", "archived"]
    assert cli.json("plan", "archive", made["id"])["status"] == "archived"
    assert cli("plan").out.splitlines()[0] == (
        f"{made['id'][:8]}  archived  2 posts a day between 08:00 and 21:30, with links; "
        "late posts move after 20 min"
    )
    assert rows.count("posting_schedule", "status = 'planned'") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "set", "--day-starts", "25:00"), "'25:00' is no time like 08:00"),
        (("plan", "set", "--day-starts", "22:30"), "day_ends: it is not after day_starts"),
        (("plan", "set", "--spacing", "90000"), "is not a whole number of seconds up to 86400"),
        (("plan", "activate", "abcdef"), "no plan has the id abcdef - `plan list` shows them"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    cli.json("init")
    answered = cli(*arguments)
    assert (answered.code, answered.out) == (2, "")
    assert said in answered.err

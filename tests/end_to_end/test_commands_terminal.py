"""On a terminal: nothing broken at 40 columns, nothing wider than the window."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any

import pytest

from tests.end_to_end.conftest import Cli, Rows

Screen = Callable[..., list[str]]
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def screen(cli: Cli) -> Screen:
    """The lines that a command writes to a terminal of a width; stderr goes elsewhere."""

    def run(*arguments: str, columns: int, **variables: Any) -> list[str]:
        written = on_terminal(cli, *arguments, columns=columns, **variables)
        return [_CONTROL.sub("", line).rstrip() for line in written.splitlines()]

    return run


def on_terminal(cli: Cli, *arguments: str, columns: int, both: bool = False, **variables: str) -> str:
    """What a command writes to a terminal, control sequences included; with `both`, stderr too."""
    master, slave = pty.openpty()
    given = {"COLUMNS": str(columns), "TERM": "xterm-256color", **variables}
    with TemporaryFile("w+") as apart:
        with open(slave, "w") as screen:  # noqa: PTH123 - a descriptor is no path
            process = cli.process.start_on(arguments, given, out=screen, err=screen if both else apart)
        written = b"".join(iter(lambda: _read(master), b"")).decode()
        os.close(master)
        process.wait(timeout=60)
        apart.seek(0)
        errors = written if both else apart.read()
    assert "Traceback" not in errors, errors
    return written


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65_536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize("columns", [40, 80])
def test_nothing_is_wider_than_the_terminal(cli: Cli, screen: Screen, columns: int) -> None:
    cli.json("run-once")

    wide = [
        f"{command}: {line}"
        for command in ("usage", "status", "doctor")
        for line in screen(command, columns=columns)
        if len(line) > columns or "…" in line
    ]
    assert not wide, wide


def test_every_limit_stands_whole_on_its_line_at_40_columns(cli: Cli, rows: Rows, screen: Screen) -> None:
    cli.json("run-once")
    rows.execute("SELECT track_twitter_usage(9, 4321)")

    lines = screen("usage", columns=40, BOT_MONTHLY_BUDGET_USD="1234.50", X_READS_PER_MONTH="100000")

    for name, figures in {
        "posts_24h": "10 of 17",
        "reads_month": "4322 of 100000",
        "budget_usd": "0.025 of 1234.50",
    }.items():
        assert any(name in line and figures in line for line in lines), lines


def test_words_are_not_broken_at_40_columns(cli: Cli, screen: Screen) -> None:
    posted = cli.json("run-once")

    lines = screen("status", columns=40)

    shown = " ".join(" ".join(lines).split())
    assert posted["tweet"]["text"] in shown


def test_why_stays_readable_at_40_columns(cli: Cli, screen: Screen) -> None:
    cli.json("run-once")

    lines = screen("why", columns=40)

    assert max(map(len, lines)) <= 40
    assert any("posts_24h:" in line for line in lines), lines


def test_the_log_and_the_moving_line_do_not_share_a_line(cli: Cli) -> None:
    cli.json("run-once")

    shown = on_terminal(cli, "run-once", columns=80, LOG_FORMAT="console", both=True)

    assert "tweet_posted" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    glued = re.findall(rf"[{_SPINNER}] [a-z ]+\d{{4}}-\d\d-\d\dT\S+", plain)
    assert not glued, glued


def test_a_mend_can_be_copied_from_the_terminal_in_one_piece(cli: Cli, rows: Rows, screen: Screen) -> None:
    rows.execute("ALTER TABLE api_usage_tracking DROP CONSTRAINT uq_api_usage_tracking_date_api_type")
    told = next(one for one in cli.json_ending(1, "doctor")["checks"] if one["name"] == "constraints")

    shown = " ".join(" ".join(screen("doctor", columns=80)).split())

    assert told["fix"] in shown


def test_a_piped_answer_is_not_broken_into_lines(cli: Cli) -> None:
    cli.json("run-once")
    cli.json("pause", "--reason", "the harbour is closed for a while " * 6)

    shown = cli("status").out + cli("why").out

    assert "the harbour is closed for a while " * 5 in shown


def test_colours_stay_out_of_a_pipe(cli: Cli) -> None:
    assert "\x1b" not in cli("usage").out + cli("doctor").out

"""The process that reads documents: started, given up, replaced and ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.sources.fetch import Body
from bot.sources.parser import Abandoned, Parser
from tests.support.processes import eventually
from tests.writer.conftest import NOW, source_reader

NOTE = "Rain fell on the northern hills for nine days, and the reservoirs are full again at last."
SLOW = "[" * 20_000 + NOTE


def read_with(parser: Parser, text: str, **more: Any) -> list[str]:
    found = parser.read(Body(content=text.encode()), name="a", now=NOW, suffix=".md", **more)
    return [entry.text for entry in found]


def test_a_document_that_takes_too_long_is_abandoned_and_the_next_is_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.md").write_text(SLOW)
    (tmp_path / "b.md").write_text(NOTE)
    reading = source_reader([str(tmp_path)], parse_timeout=0.2).read()
    assert [item.text for item in reading.items] == [NOTE]
    assert "takes too long to read" in reading.problems[0]


def test_an_abandoned_document_leaves_no_process() -> None:
    with Parser(seconds=0.05) as parser:
        with pytest.raises(Abandoned):
            read_with(parser, SLOW)
        assert parser._process is not None
        pid = parser._process.pid
        assert not children_of(pid)
    assert not Path(f"/proc/{pid}").exists()


def test_a_parser_that_does_not_answer_at_all_is_replaced() -> None:
    with Parser(seconds=60) as parser:
        with pytest.raises(Abandoned):
            read_with(parser, SLOW * 4, within=0.5)
        assert read_with(parser, NOTE) == [NOTE]


def test_a_parser_that_was_killed_is_replaced() -> None:
    with Parser() as parser:
        read_with(parser, NOTE)
        assert parser._process is not None
        parser._process.kill()
        parser._process.wait()
        with pytest.raises(Abandoned):
            read_with(parser, NOTE)
        assert read_with(parser, NOTE) == [NOTE]


def test_the_parsers_process_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_API_SECRET", "hunter2")
    with Parser() as parser:
        read_with(parser, NOTE)
        assert parser._process is not None
        assert b"hunter2" not in Path(f"/proc/{parser._process.pid}/environ").read_bytes()


@pytest.mark.parametrize("text", [NOTE, SLOW], ids=["waiting", "in_a_document"])
def test_the_parser_ends_when_the_bot_is_killed(text: str) -> None:
    code = (
        "import sys; from datetime import datetime, UTC; from bot.sources.fetch import Body;"
        "from bot.sources.parser import Parser; parser = Parser(seconds=1);"
        f"parser.read(Body(content={NOTE!r}.encode()), name='a', now=datetime(2026, 1, 1, tzinfo=UTC));"
        "print(parser._process.pid, flush=True);"
        f"parser.read(Body(content={text!r}.encode()), name='a', now=datetime(2026, 1, 1, tzinfo=UTC));"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        if text == SLOW:
            eventually(lambda: bool(children_of(pid)), within=10, what="the document is being read")
        family = [pid, *children_of(pid)]
        process.send_signal(signal.SIGKILL)
        eventually(lambda: not any(is_alive(one) for one in family), within=10, what="all have ended")


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(one) for one in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False

"""A timeline that can't be read proves nothing: a post that is live is never sent again because of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

import pytest
from sqlalchemy import URL

from bot.sandbox import Sandbox
from bot.sandbox.faults import KINDS
from tests.faults.cases import CLOSED
from tests.faults.report import MATRIX_CELL, TIMELINE, Record
from tests.faults.rig import Rig, database, until

READ = "GET /2/users/:id/tweets"
# One more than the looks without the text that would lead to a resend.
FAILED_READS = 3
# After these the endpoint, or all of X, stays closed until an operator says `resume`.
CLOSING = frozenset(CLOSED) | {"accept_then_429"}


class Reader:
    """One account for all kinds, and a fresh one after a kind that went wrong."""

    def __init__(self, server: URL, template: str, factory: pytest.TempPathFactory) -> None:
        self._server, self._template, self._factory = server, template, factory
        self._stack = ExitStack()
        self._rig: Rig | None = None

    def rig(self) -> Rig:
        if self._rig is None or self._rig.problems():
            self.close()
            url = self._stack.enter_context(database(self._server, self._template))
            x = self._stack.enter_context(Sandbox())
            folder = self._factory.mktemp("reader")
            self._rig = Rig(url=url, x=x, folder=folder, knobs={"BOT_SETTLE_SECONDS": "0.2"})
            self._stack.callback(self._rig.close)
            self._rig.start()
            # A worker's first audit reads the timeline too, and would meet the first kind's fault.
            until(lambda: self._rig and self._rig.decisions("kind = 'audit'"), what="the first audit")
        return self._rig

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def reader(postgres_url: URL, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = Reader(postgres_url, template, tmp_path_factory)
    yield made
    made.close()


@pytest.mark.xdist_group("faults-timeline")
@pytest.mark.parametrize("kind", KINDS)
def test_a_live_post_is_not_sent_again_while_the_timeline_fails(
    reader: Reader, kind: str, record_property: Record
) -> None:
    rig = reader.rig()
    begun, heard = monotonic(), rig.heard
    rig.x.disarm()
    rig.x.arm("accept_then_drop")
    fault = rig.x.arm(
        kind, endpoint=READ, count=None if kind in CLOSING else FAILED_READS, seconds=_seconds(kind)
    )
    (tweet_id,) = rig.add_slot()
    number = int(fault["number"])
    wanted = 1 if kind in CLOSING else FAILED_READS
    # An answer that only comes slowly may still be read, and then it settles the tweet at once.
    until(lambda: _fired(rig, number) >= wanted or rig.rests([tweet_id]), what="reads fail")
    if kind in CLOSING:
        until(lambda: rig.select("SELECT 1 FROM rate_windows WHERE remaining = 0"), what="reading is closed")
        rig.x.disarm()
        assert rig.command("resume", "--json").code == 0
    rig.wait_rest([tweet_id])
    rig.x.disarm()

    row = rig.tweet(tweet_id)
    shown = f"{'adopted' if row['reason'] == 'adopted' else row['status']} {monotonic() - begun:.1f} s"
    record_property(MATRIX_CELL, {"kind": kind, "column": TIMELINE, "shown": shown})
    assert rig.problems() == []
    assert rig.heard == heard + 1
    assert (row["status"], row["reason"]) == ("posted", "adopted")


def _seconds(kind: str) -> float | None:
    return 1 if kind in {"429_with_headers", "429_code_88"} else None


def _fired(rig: Rig, number: int) -> int:
    return sum(one["fired"] for one in rig.x.state()["faults"] if one["number"] == number)

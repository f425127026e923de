"""What processes do that race for the last places."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from uuid import uuid4

from sqlalchemy import URL

from bot.core.model import ProfileId
from bot.core.spending.limits import Allow, Limits, Wanted
from bot.core.spending.pricing import LISTED
from bot.engine.spending.limits_agent import LimitsAgent
from bot.store.manager import DatabaseManager


def race(
    url: URL, profile_id: ProfileId, *, places: int, now: datetime, start: Barrier, results: Queue[str]
) -> None:
    """Wants a post when all others do, and takes its place only if the agent allows it."""
    manager = DatabaseManager(url)
    agent = LimitsAgent(caps=Limits(posts_24h=places), listed=LISTED, new_id=uuid4)
    wanted = Wanted(cost_usd=Decimal("0.015"))
    start.wait()
    with manager.transaction() as tx:
        tx.ledger.lock()
        verdict = agent.judge(tx, profile_id, wanted, now)
        if isinstance(verdict, Allow):
            agent.reserve(tx, wanted, profile_id=profile_id, now=now)
    results.put(verdict.verdict)
    manager.close()

"""What was spent: the ledger of reserved calls and its daily rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Insert,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from bot.core.errors import UsageUnreadable
from bot.core.model import Call, CallId, ProfileId, TweetId
from bot.core.spending.limits import Scope, Usage
from bot.core.states import CallKind, CallState, check_transition
from bot.ports import Ledger
from bot.store.foundations import mend, missing_foundations
from bot.store.given_rows import GivenRows
from bot.store.rows.base import FORGET_AT_ONCE
from bot.store.rows.posting import PROFILES
from bot.store.rows.spending import CALLS
from bot.store.usage import UsageReader, readable

LEDGER_LOCK = 7_305_991_205


@dataclass
class LedgerTable(Ledger):
    """`api_calls` and `api_usage_tracking`."""

    connection: Connection
    # Whether what the sums stand on was looked up in this transaction, and stands.
    _stands: bool = field(default=False, init=False)

    def lock(self) -> None:
        """Lets one transaction at a time weigh and reserve.

        A transaction-scoped advisory lock for all profiles, since some limits are everybody's: it works
        behind transaction poolers, and the daily row that every reservation touches would make them
        queue anyway. It is held for the transaction alone, never while X is called.

        Locks are taken in one order, so that no two transactions wait for each other: that of a profile's
        texts, where a person's draft is judged once more; this lock;
        then rows of leases, tweets and slots, each of a profile that one holds the lease of; then the
        ledger's, whose trigger takes the day's row before that of the app. An outcome is recorded
        without this lock, and its rows are the profile's own.

        Raises:
            UsageUnreadable: what the sums stand on is missing.
        """
        with readable(self.connection):
            self._check_foundations(lock=LEDGER_LOCK)

    def usage(self, profile_id: ProfileId | None, *, now: datetime, shared: Collection[Scope] = ()) -> Usage:
        """What the rows say was used by a profile, or by nobody in particular; see `usages`.

        Raises:
            UsageUnreadable: a table, its constraint or its trigger is missing, or rows can't be
                read. "0 used" is only ever a sum of rows that were read.
        """
        whose = [] if profile_id is None else [profile_id]
        return self.usages(whose, now=now, shared=shared)[profile_id]

    def usages(
        self, profile_ids: Collection[ProfileId], *, now: datetime, shared: Collection[Scope] = ()
    ) -> Mapping[ProfileId | None, Usage]:
        """What the rows say was used by each of these profiles, and by nobody in particular (None).

        Rows that belong to nobody count for everyone, and those of no known app for every app.

        Args:
            profile_ids: whose.
            now: when.
            shared: wider scopes whose use is read too.

        Raises:
            UsageUnreadable: as `usage` does.
        """
        with readable(self.connection):
            if not self._stands:
                self._check_foundations()
            return UsageReader(self.connection, list(profile_ids), now, frozenset(shared)).read()

    def reserve(self, call: Call) -> Call:
        """Adds a reserved row."""
        self.reserve_all([call])
        return call

    def reserve_all(self, calls: Sequence[Call]) -> None:
        """Adds reserved rows, in one statement."""
        self.connection.execute(_RESERVE, _RESERVED.of(calls))

    def change(self, call_id: CallId, state: CallState, **values: Any) -> None:
        """Settles, releases or marks unknown; `units`, `cost_usd`, `tokens` may be corrected."""
        current = self.connection.scalar(select(CALLS.c.state).where(CALLS.c.id == call_id).with_for_update())
        if current is None:
            raise LookupError(f"call {call_id} is gone")
        check_transition(current, state)
        if "profile_id" in values:
            values["app"] = _APP_OF.where(PROFILES.c.id == values["profile_id"]).scalar_subquery()
        self.connection.execute(update(CALLS).where(CALLS.c.id == call_id).values(state=state, **values))

    def of_tweet(self, tweet_id: TweetId) -> Sequence[Call]:
        """The tweet's open calls, newest first."""
        statement = (
            select(*_CALL_COLUMNS)
            .where(CALLS.c.tweet_id == tweet_id, CALLS.c.state.in_((CallState.RESERVED, CallState.UNKNOWN)))
            .order_by(CALLS.c.at.desc())
        )
        with readable(self.connection):
            return [Call(**row) for row in self.connection.execute(statement).mappings()]

    def orphans(self, profile_id: ProfileId, *, before: datetime) -> Sequence[Call]:
        """Reserved calls without a tweet from before a moment: their process is gone."""
        statement = select(*_CALL_COLUMNS).where(
            CALLS.c.profile_id == profile_id,
            CALLS.c.state == CallState.RESERVED,
            CALLS.c.tweet_id.is_(None),
            CALLS.c.at < before,
        )
        with readable(self.connection):
            return [Call(**row) for row in self.connection.execute(statement).mappings()]

    def forget(self, *, before: datetime, released_before: datetime) -> int:
        """Deletes old rows, some thousands at most; the daily rows keep what they counted.

        Args:
            before: rows of calls from before this moment go, once their outcome is known.
            released_before: rows that count nothing go sooner.

        Returns:
            How many went.
        """
        self.connection.execute(_FORGETS)
        values = {"before": before, "released_before": released_before}
        return len(self.connection.execute(_FORGET, values).all())

    def _check_foundations(self, *, lock: int | None = None) -> None:
        missing = missing_foundations(self.connection, lock=lock)
        self._stands = not missing
        if missing:
            raise UsageUnreadable(
                f"usage can't be read: {'; '.join(missing)}; nothing is posted",
                fix=f"run: {mend(missing)}",
            )


_CALL_COLUMNS = (
    CALLS.c.id,
    CALLS.c.profile_id,
    CALLS.c.tweet_id,
    CALLS.c.api,
    CALLS.c.kind,
    CALLS.c.endpoint,
    CALLS.c.units,
    CALLS.c.tokens,
    CALLS.c.cost_usd,
    CALLS.c.state,
    CALLS.c.at,
    CALLS.c.note,
)
_APP_OF = select(PROFILES.c.app)


_RESERVED = GivenRows(**{one.key: one.type for one in _CALL_COLUMNS})


def _reserve() -> Insert:
    """Adds the rows, each with the app that its profile's keys belong to; a model is no app's."""
    given = _RESERVED.table
    app = case((given.c.kind != CallKind.MODEL, PROFILES.c.app))
    rows = select(given, app).select_from(given.outerjoin(PROFILES, PROFILES.c.id == given.c.profile_id))
    return insert(CALLS).from_select([*_CALL_COLUMNS, CALLS.c.app], rows)


_RESERVE = _reserve()
_FORGETS = select(func.set_config("bot.forgets", "on", True))
_OLD = (
    select(CALLS.c.id)
    .where(
        or_(
            and_(CALLS.c.state == CallState.RELEASED, CALLS.c.at < bindparam("released_before")),
            and_(
                CALLS.c.state.in_((CallState.SETTLED, CallState.EXTERNAL)), CALLS.c.at < bindparam("before")
            ),
        )
    )
    .limit(FORGET_AT_ONCE)
)
_FORGET = delete(CALLS).where(CALLS.c.id.in_(_OLD)).returning(CALLS.c.id)

"""What every table shares: types, names of keys, ids and time stamps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    Numeric,
    Text,
    Uuid,
    cast,
    literal_column,
)
from sqlalchemy import text as sql_text
from sqlalchemy.types import TypeDecorator

from bot.core.moments import aware
from bot.core.states import (
    CallKind,
    CallState,
    LatePolicy,
    MemberRole,
    Mode,
    Origin,
    PlanStatus,
    SlotStatus,
    TweetStatus,
)

# Sums and differences of moments between these can be told; X began in 2006.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
# Old rows are deleted in transactions of so many, which nobody has to wait for.
FORGET_AT_ONCE = 5_000


class OddValue(ValueError):
    """A value of a row that nothing can be weighed with; `table` is the row's, where it is known."""

    def __init__(self, said: str, *, table: str | None = None) -> None:
        super().__init__(said)
        self.table = table


class Moment(TypeDecorator[datetime]):
    """`timestamptz` that refuses naive datetimes on the way in and gives UTC on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuses a naive datetime."""
        return None if value is None else aware(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Gives the moment in UTC, whatever the session's zone."""
        if value is None:
            return None
        if value.year >= LATEST.year:
            raise OddValue(f"{value.isoformat()} is after the year {LATEST.year - 1}")
        return value.astimezone(UTC)


def _enum(kind: type[StrEnum], name: str) -> Enum:
    return Enum(kind, name=name, values_callable=lambda members: [member.value for member in members])


class Amount(TypeDecorator[Decimal]):
    """`numeric` that is a figure: NaN and infinity, which PostgreSQL keeps, are refused."""

    impl = Numeric
    cache_ok = True

    def process_result_value(self, value: Decimal | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Gives the figure."""
        if value is not None and not value.is_finite():
            raise OddValue(f"{value} is no amount")
        return value


MONEY = Amount(20, 6)

# Names a row's present version, which every update replaces: the transaction that wrote it.
REVISION = cast(literal_column("xmin"), Text).label("revision")


def moments(*columns: str) -> CheckConstraint:
    """The rule that these columns say moments that can be weighed: no infinity, no year 9999."""
    rule = " AND ".join(
        f"{one} >= '{EARLIEST}'::timestamptz AND {one} < '{LATEST}'::timestamptz" for one in columns
    )
    return CheckConstraint(rule, name="moments")


def finite(*columns: str) -> CheckConstraint:
    """The rule that these columns hold amounts: NaN is greater than all, infinity included."""
    return CheckConstraint(" AND ".join(f"{one} < 'Infinity'::numeric" for one in columns), name="finite")


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

PROFILE_MODE = _enum(Mode, "profile_mode")
PLAN_STATUS = _enum(PlanStatus, "plan_status")
LATE_POLICY = _enum(LatePolicy, "late_policy")
SLOT_STATUS = _enum(SlotStatus, "slot_status")
TWEET_STATUS = _enum(TweetStatus, "tweet_status")
TWEET_ORIGIN = _enum(Origin, "tweet_origin")
CALL_STATE = _enum(CallState, "call_state")
CALL_KIND = _enum(CallKind, "call_kind")
MEMBER_ROLE = _enum(MemberRole, "member_role")


def keyed() -> Sequence[Column[Any]]:
    """A UUID primary key, made by the program or by the database."""
    return (
        Column("id", Uuid, primary_key=True, default=uuid4, server_default=sql_text("gen_random_uuid()")),
    )


def stamped() -> Sequence[Column[Any]]:
    """`created_at` and `updated_at`, kept by the database."""
    return (
        Column("created_at", Moment(), nullable=False, server_default=sql_text("now()")),
        Column("updated_at", Moment(), nullable=False, server_default=sql_text("now()")),
    )


def owned() -> Column[Any]:
    """The profile that a row goes with."""
    return Column("profile_id", Uuid, ForeignKey("profiles.id", ondelete="CASCADE"), nullable=False)


def of_the_same_profile(column: str, table: str, *, ondelete: str) -> ForeignKeyConstraint:
    """A reference to a row that belongs to the same profile; the database refuses any other.

    Args:
        column: what holds the other row's id.
        table: where the other row is.
        ondelete: what becomes of this row when the other one goes.
    """
    return ForeignKeyConstraint(
        ["profile_id", column],
        [f"{table}.profile_id", f"{table}.id"],
        ondelete=ondelete,
    )

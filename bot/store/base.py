"""What every table shares: types, names of keys, ids and time stamps."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    Numeric,
    Text,
    Time,
    Uuid,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from bot.core.model import aware
from bot.core.states import CallKind, CallState, LatePolicy, Mode, Origin, PlanStatus, SlotStatus, TweetStatus

# Sums and differences of moments between these can be told; X began in 2006.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class OddValue(ValueError):
    """A value of a row that nothing can be weighed with."""


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


Money = Amount(20, 6)


def moments(*columns: str) -> CheckConstraint:
    """The rule that these columns say moments that can be weighed: no infinity, no year 9999."""
    rule = " AND ".join(
        f"{one} >= '{EARLIEST}'::timestamptz AND {one} < '{LATEST}'::timestamptz" for one in columns
    )
    return CheckConstraint(rule, name="moments")


def finite(*columns: str) -> CheckConstraint:
    """The rule that these columns hold amounts: NaN is greater than all, infinity included."""
    return CheckConstraint(" AND ".join(f"{one} < 'Infinity'::numeric" for one in columns), name="finite")


class Base(DeclarativeBase):
    """The base of every table: one naming rule for keys, UUID ids and kept time stamps."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this class attribute as it is
        datetime: Moment(),
        date: Date(),
        time: Time(),
        Decimal: Money,
        str: Text(),
        UUID: Uuid(),
        dict[str, Any]: JSONB(),
        list[str]: JSONB(),
        Mode: _enum(Mode, "profile_mode"),
        PlanStatus: _enum(PlanStatus, "plan_status"),
        LatePolicy: _enum(LatePolicy, "late_policy"),
        SlotStatus: _enum(SlotStatus, "slot_status"),
        TweetStatus: _enum(TweetStatus, "tweet_status"),
        Origin: _enum(Origin, "tweet_origin"),
        CallState: _enum(CallState, "call_state"),
        CallKind: _enum(CallKind, "call_kind"),
    }


class Stamped:
    """`created_at` and `updated_at`, kept by the database."""

    created_at: Mapped[datetime] = mapped_column(server_default=sql_text("now()"), sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(server_default=sql_text("now()"), sort_order=91)


class Keyed(Stamped):
    """A UUID primary key."""

    id: Mapped[UUID] = mapped_column(
        primary_key=True, default=uuid4, server_default=sql_text("gen_random_uuid()"), sort_order=-1
    )


def owned() -> Mapped[Any]:
    """The column of a row that goes with its profile."""
    return mapped_column(ForeignKey("profiles.id", ondelete="CASCADE"), nullable=False)


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

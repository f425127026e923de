"""Moments: aware datetimes in UTC, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime


def aware(moment: datetime) -> datetime:
    """Returns the moment in UTC.

    Raises:
        ValueError: the datetime is naive.
    """
    if moment.utcoffset() is None:
        raise ValueError(f"a naive datetime ({moment.isoformat()}) says no moment: give it a time zone")
    return moment.astimezone(UTC)

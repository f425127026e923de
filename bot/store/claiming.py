"""Posts that are ready, claimed: each with its lease, its plan and the newest posts of its account."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from bot.core.model import KnownPost, Lease, ProfileId, Ready
from bot.core.posting.snowflakes import ASKED
from bot.core.states import Mode, Origin, PlanStatus, SlotStatus, TweetStatus
from bot.store.constants import with_constants
from bot.store.leases import acquiring
from bot.store.plans import as_plan
from bot.store.rows.base import Moment
from bot.store.rows.posting import PLANS, PROFILES, SLOTS, TWEETS
from bot.store.tweet_rows import TWEET_COLUMNS, as_tweet


def ready_post(row: RowMapping, holder: str, ends: float) -> Ready:
    """A row of what `CLAIM` answers.

    Args:
        row: one of them.
        holder: whose the lease is.
        ends: when it ends, on the holder's monotonic clock.
    """
    lease = Lease(
        profile_id=ProfileId(row["profile_id"]),
        holder=holder,
        fencing=row["lease_fencing"],
        began=row["began"],
        ends=ends,
    )
    return Ready(
        tweet=as_tweet({column.key: row[column.key] for column in TWEET_COLUMNS}),
        lease=lease,
        plan=as_plan({one.key: row[f"plan_{one.key}"] for one in PLANS.c}) if row["plan_id"] else None,
        known=tuple(map(KnownPost, row["known_ids"] or (), row["known_at"] or ())),
    )


def newest(profile_id: ColumnElement[Any]) -> Select[Any]:
    """The profile's newest live posts; a lease's number orders them, and a thread's parts theirs."""
    return (
        select(TWEETS.c.x_tweet_id, TWEETS.c.posted_at)
        .where(
            TWEETS.c.profile_id == profile_id, TWEETS.c.fencing.is_not(None), TWEETS.c.x_tweet_id.is_not(None)
        )
        .order_by(TWEETS.c.fencing.desc(), TWEETS.c.part.desc())
        .limit(ASKED)
    )


_IDS = bindparam("profile_ids", type_=ARRAY(Uuid))
_NOW = bindparam("now", type_=Moment())
_OTHER_SLOTS, _OTHER_TWEETS = SLOTS.alias("other_slots"), TWEETS.alias("other_tweets")


def _ready() -> Select[Any]:
    slots, tweets = _OTHER_SLOTS.c, _OTHER_TWEETS.c
    other_slot = exists().where(
        slots.profile_id == SLOTS.c.profile_id,
        slots.id != SLOTS.c.id,
        or_(
            (slots.status == SlotStatus.PLANNED) & (slots.due_at <= _NOW), slots.status == SlotStatus.CLAIMED
        ),
    )
    other_tweet = exists().where(
        tweets.profile_id == SLOTS.c.profile_id,
        tweets.id != TWEETS.c.id,
        or_(
            tweets.status.in_((TweetStatus.PUBLISHING, TweetStatus.UNKNOWN)),
            (tweets.status == TweetStatus.APPROVED) & or_(tweets.part > 1, tweets.origin == Origin.MANUAL),
        ),
    )
    newer = exists().where(
        tweets.slot_id == SLOTS.c.id, tweets.id != TWEETS.c.id, tweets.status != TweetStatus.REJECTED
    )
    needs_nobody = or_(
        TWEETS.c.status == TweetStatus.APPROVED,
        (TWEETS.c.status == TweetStatus.DRAFTED) & (PROFILES.c.mode == Mode.AUTO),
    )
    return (
        select(*TWEET_COLUMNS)
        .join(SLOTS, (SLOTS.c.id == TWEETS.c.slot_id) & (SLOTS.c.profile_id == TWEETS.c.profile_id))
        .join(PROFILES, PROFILES.c.id == SLOTS.c.profile_id)
        .where(
            SLOTS.c.profile_id == any_(_IDS),
            SLOTS.c.status == SlotStatus.PLANNED,
            SLOTS.c.due_at <= _NOW,
            SLOTS.c.due_at >= bindparam("on_time", type_=Moment()),
            needs_nobody,
            ~PROFILES.c.paused,
            TWEETS.c.part == 1,
            TWEETS.c.thread_id.is_(None),
            TWEETS.c.resends == 0,
            TWEETS.c.next_attempt_at.is_(None),
            ~other_slot,
            ~other_tweet,
            ~newer,
        )
    )


def _claim() -> Select[Any]:
    ready = _ready().cte("ready")
    owners = select(ready.c.profile_id).order_by(ready.c.profile_id).subquery()
    given = acquiring(owners).cte("given")
    posts = newest(ready.c.profile_id).correlate(ready).subquery("newest")
    known = select(
        func.array_agg(posts.c.x_tweet_id, type_=ARRAY(Text)).label("known_ids"),
        func.array_agg(posts.c.posted_at, type_=ARRAY(Moment())).label("known_at"),
    ).lateral("known")
    return (
        select(
            ready,
            given.c.fencing.label("lease_fencing"),
            given.c.began,
            *(one.label(f"plan_{one.key}") for one in PLANS.c),
            known.c.known_ids,
            known.c.known_at,
        )
        .join_from(ready, given, given.c.profile_id == ready.c.profile_id)
        .outerjoin(PLANS, (PLANS.c.profile_id == ready.c.profile_id) & (PLANS.c.status == PlanStatus.ACTIVE))
        .join(known, true())
    )


CLAIM = with_constants(_claim())

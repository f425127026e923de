"""A tweet's and a slot's next state, each along the diagram in `bot.core.states`.

Every function returns the next value and leaves the one that it was given as it is.

Raises:
    ForbiddenTransition: from each of them, where the diagram draws no arrow to the state that it gives.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.core.codes import ErrorCode
from bot.core.content.drafts import Brief, Draft
from bot.core.errors import NotPossibleNow
from bot.core.model import LivePost, Profile, Slot, SlotId, Tweet, TweetId
from bot.core.posting.post import Post
from bot.core.posting.settling import ADOPTED, DUPLICATE, DUPLICATE_REFUSED, UNSEEN, exists
from bot.core.states import UNSENT, Mode, Origin, SlotStatus, TweetStatus, check_transition

OPERATOR = "operator"


def rescheduled(slot: Slot, due_at: datetime) -> Slot:
    """A planned slot at another moment; the day that it was planned for stays filled."""
    return replace(slot, due_at=due_at)


def moved(slot: Slot, status: SlotStatus, *, reason: str | None = None) -> Slot:
    """The slot in another state, with the reason for it where there is one."""
    check_transition(slot.status, status)
    return replace(slot, status=status, reason=reason)


def drafted(tweet_id: TweetId, profile: Profile, draft: Draft, text: str, brief: Brief) -> Tweet:
    """A tweet's first state: a person sees it first where the profile's mode says so.

    Args:
        tweet_id: a new one.
        profile: whose it is.
        draft: where it comes from.
        text: the draft's, as the guard let it pass.
        brief: what it is for.
    """
    post = Post(text=text)
    return Tweet(
        id=tweet_id,
        profile_id=profile.id,
        idempotency_key=str(tweet_id),
        text=post.text,
        fingerprint=post.fingerprint,
        status=TweetStatus.AWAITING_APPROVAL if profile.mode is Mode.REVIEW else TweetStatus.DRAFTED,
        slot_id=brief.slot_id,
        origin=Origin.SLOT if brief.slot else Origin.MANUAL,
        topic=brief.topic,
        source=draft.source,
        writer=draft.writer,
    )


def assigned(tweet: Tweet, slot_id: SlotId | None) -> Tweet:
    """A draft that is meant for another slot, or for whichever comes next; its state stays."""
    return replace(tweet, slot_id=slot_id)


def for_slot(tweet: Tweet, slot_id: SlotId) -> Tweet:
    """A post that was never sent, for a slot of its own: it goes out then, and not as soon as it may.

    Raises:
        NotPossibleNow: it may have been sent, or is a part that follows in a thread.
    """
    if not is_unsent(tweet) or tweet.part > 1:
        raise NotPossibleNow("it is on its way already, and gets no other moment", fix="`why` says more")
    return replace(tweet, slot_id=slot_id, origin=Origin.SLOT)


def edited(tweet: Tweet, text: str) -> Tweet:
    """A draft whose text a person changed: an approval belongs to the exact text, and falls with it.

    Args:
        tweet: one that was never sent.
        text: the new one, as the guard let it pass.
    """
    post = Post(text=text)
    return replace(
        unapproved(tweet), text=post.text, fingerprint=post.fingerprint, writer=OPERATOR, reason=None
    )


def as_it_was(tweet: Tweet, tweet_id: TweetId) -> Tweet:
    """What a writer wrote before a person changed it: turned down, so that it is not written again."""
    return replace(
        tweet,
        id=tweet_id,
        idempotency_key=str(tweet_id),
        slot_id=None,
        thread_id=None,
        part=1,
        status=TweetStatus.REJECTED,
        reason="edited",
        revision=None,
    )


def unapproved(tweet: Tweet) -> Tweet:
    """A tweet as it was before its approval; what was not approved stays as it is."""
    return _to(tweet, TweetStatus.AWAITING_APPROVAL) if tweet.status is TweetStatus.APPROVED else tweet


def is_unsent(tweet: Tweet) -> bool:
    """Whether no call was ever about to be made for it: then it may be changed or dropped freely."""
    return tweet.first_intent_at is None and tweet.status in UNSENT


def awaiting_approval(tweet: Tweet) -> Tweet:
    """A draft that a person has to see first."""
    return _to(tweet, TweetStatus.AWAITING_APPROVAL)


def approved(tweet: Tweet) -> Tweet:
    """A tweet that goes out as soon as it may."""
    return _to(tweet, TweetStatus.APPROVED)


def rejected(tweet: Tweet, reason: str) -> Tweet:
    """A tweet that never goes out."""
    return replace(_to(tweet, TweetStatus.REJECTED), reason=reason)


def publishing(tweet: Tweet, *, fencing: int, after_x_id: str | None, now: datetime) -> Tweet:
    """A tweet that is about to be sent: its intent.

    Args:
        tweet: a draft or an approved one.
        fencing: the number of the lease under which it is sent.
        after_x_id: the account's newest post that is believed; it counts at the first intent alone.
        now: when.
    """
    first = tweet.first_intent_at is None
    return replace(
        _to(tweet, TweetStatus.PUBLISHING),
        first_intent_at=now if first else tweet.first_intent_at,
        after_x_id=after_x_id if first else tweet.after_x_id,
        intent_at=now,
        fencing=fencing,
        attempts=tweet.attempts + 1,
        absent_reads=0,
        inconclusive_reads=0,
        looked_at=None,
        next_attempt_at=None,
        reason=None,
    )


def posted(tweet: Tweet, x_tweet_id: str, *, at: datetime) -> Tweet:
    """A tweet that X made, by its own answer."""
    return replace(_to(tweet, TweetStatus.POSTED), x_tweet_id=x_tweet_id, posted_at=at)


def adopted(tweet: Tweet, x_tweet_id: str, *, at: datetime) -> Tweet:
    """A tweet of unknown outcome that turned out to be live."""
    return replace(posted(tweet, x_tweet_id, at=at), reason=ADOPTED)


def found(tweet: Tweet, post: LivePost, *, now: datetime) -> Tweet:
    """A tweet of unknown outcome whose post the timeline shows."""
    # Clocks differ, but it was there before it was found.
    made = max(post.created_at or now, tweet.intent_at or now)
    return adopted(tweet, post.x_tweet_id, at=min(made, now))


def unknown(tweet: Tweet, reason: str) -> Tweet:
    """A tweet that may be live or not."""
    return replace(_to(tweet, TweetStatus.UNKNOWN), reason=reason)


def orphaned(tweet: Tweet) -> Tweet:
    """A tweet whose process ended before its outcome was saved."""
    return replace(unknown(tweet, "no_record"), next_attempt_at=None, inconclusive_reads=0)


def put_off(tweet: Tweet, reason: str, *, until: datetime) -> Tweet:
    """A tweet that X refused for now; a call that was not even made is no attempt."""
    return replace(
        _to(tweet, TweetStatus.APPROVED),
        next_attempt_at=until,
        attempts=max(1, tweet.attempts - (reason == ErrorCode.LEASE_SHORT)),
        reason=reason,
        # That it was absent was fresh when this call was about to be made, and X made nothing of it.
        looked_at=tweet.intent_at,
    )


def failed(tweet: Tweet, reason: str) -> Tweet:
    """A tweet that is given up."""
    return replace(_to(tweet, TweetStatus.FAILED), reason=reason)


def never_found(tweet: Tweet, *, now: datetime) -> Tweet:
    """A tweet of unknown outcome that is looked for no more: X calls it a duplicate, or it was sent twice."""
    reason = DUPLICATE_REFUSED if exists(tweet) else "absent_after_resend"
    return replace(failed(tweet, reason), looked_at=now, next_attempt_at=None)


def to_resend(tweet: Tweet, *, now: datetime) -> Tweet:
    """A tweet that was proven absent, and goes out once more."""
    return replace(
        _to(tweet, TweetStatus.APPROVED),
        resends=tweet.resends + 1,
        looked_at=now,
        next_attempt_at=now,
        reason="absent",
    )


def recalled(tweet: Tweet) -> Tweet:
    """A tweet that waits to be resent, taken back: its last call counts as under way again."""
    return _to(tweet, TweetStatus.PUBLISHING)


def doubted(tweet: Tweet) -> Tweet:
    """A recalled tweet whose absence was proven too long ago: that resend does not count."""
    return replace(
        unknown(tweet, "absent_long_ago"),
        resends=tweet.resends - 1,
        absent_reads=0,
        inconclusive_reads=0,
        looked_at=None,
        next_attempt_at=None,
    )


def forestalled(tweet: Tweet) -> Tweet:
    """A recalled tweet that X made after all, as a late answer says."""
    return replace(_to(tweet, TweetStatus.UNKNOWN), next_attempt_at=None, looked_at=None)


def broken_off(tweet: Tweet) -> Tweet:
    """A part of a thread that waits for one before it that will never be live."""
    if tweet.status is TweetStatus.APPROVED:
        return failed(tweet, "thread_broken")
    return rejected(tweet, "thread_broken")


def deleted(tweet: Tweet) -> Tweet:
    """A post that was removed on X: the row stays as a mark without content."""
    return replace(
        _to(tweet, TweetStatus.DELETED), text="", fingerprint="", source=None, reason="removed_on_x"
    )


def look_put_off(tweet: Tweet, *, until: datetime) -> Tweet:
    """An unknown tweet before a look at the timeline, in case nothing comes of it."""
    return replace(tweet, next_attempt_at=until, inconclusive_reads=tweet.inconclusive_reads + 1)


def not_shown(tweet: Tweet, *, now: datetime) -> Tweet:
    """An unknown tweet after a look that proves nothing."""
    return replace(tweet, looked_at=now)


def looked_for(tweet: Tweet, *, now: datetime, next_look: datetime | None, absent: bool = False) -> Tweet:
    """An unknown tweet after a look that proves something.

    Args:
        tweet: as it was before the look.
        now: when the look was.
        next_look: no look before then; None where spacing alone holds.
        absent: whether the look counts as one that did not show the text.
    """
    return replace(
        tweet,
        looked_at=now,
        absent_reads=tweet.absent_reads + absent,
        inconclusive_reads=0,
        next_attempt_at=next_look,
    )


def called_duplicate(tweet: Tweet) -> Tweet:
    """An unknown tweet whose text exists: it counts whether or not it is found."""
    return replace(tweet, reason=DUPLICATE)


def unseen(tweet: Tweet) -> Tweet:
    """An unknown tweet whose text exists, and that keeps others waiting no more."""
    return replace(tweet, reason=UNSEEN)


def _to(tweet: Tweet, status: TweetStatus) -> Tweet:
    check_transition(tweet.status, status)
    return replace(tweet, status=status)

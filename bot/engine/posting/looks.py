"""What one look at the timeline means for one unknown tweet, written down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.codes import DecisionKind, Ruling
from bot.core.model import LivePost, Timeline, Tweet
from bot.core.posting import lifecycle
from bot.core.posting.settling import Absence, covers, exists, is_over, judge_absence, match, pause_after
from bot.core.states import CallState, SlotStatus
from bot.engine.context import ProfileContext
from bot.engine.posting.threads import break_thread, open_next_part
from bot.engine.slots import finish_slot
from bot.ports import Transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One unknown tweet, locked, under one look at the timeline, inside one transaction."""

    context: ProfileContext
    tx: Transaction
    tweet: Tweet
    now: datetime

    def _note(self, ruling: Ruling, reason: str) -> None:
        """Leaves a decision row."""
        decisions = self.context.decisions(self.tx, DecisionKind.RECONCILE, now=self.now)
        decisions.note(ruling, reason, about=self.tweet)

    def at(self, timeline: Timeline) -> None:
        """Settles the tweet by what the timeline shows."""
        known = self.tx.tweets.known_ids([post.x_tweet_id for post in timeline.posts])
        found = match(self.tweet, [post for post in timeline.posts if post.x_tweet_id not in known])
        held = match(self.tweet, timeline.posts)
        if found is not None:
            self._adopt(found)
        elif held is not None:
            self._elsewhere(held)
        elif not covers(timeline, self.tweet):
            self._unproven(timeline)
        else:
            self._absent()

    def _adopt(self, found: LivePost) -> None:
        """The post exists: the row takes its id."""
        adopted = self.tx.tweets.save(lifecycle.found(self.tweet, found, now=self.now))
        for call in self.tx.ledger.of_tweet(self.tweet.id):
            self.tx.ledger.change(call.id, CallState.SETTLED)
            self.tx.rates.count_unheard(call)
        finish_slot(self.tx, adopted, SlotStatus.DONE)
        open_next_part(self.tx, adopted)
        self._note(Ruling.ADOPTED, f"found on the timeline as {found.x_tweet_id}")
        self.context.log.info("tweet_adopted", tweet=str(self.tweet.id), x_tweet_id=found.x_tweet_id)

    def _unproven(self, timeline: Timeline) -> None:
        """The text was not there, which says nothing."""
        self._note(
            Ruling.UNKNOWN,
            "the timeline is longer than one read shows"
            if timeline.whole
            else "the timeline's answer is not whole: what it leaves out may be there",
        )
        if not self.end_if_over():
            self.tx.tweets.save(lifecycle.not_shown(self.tweet, now=self.now))

    def tell_unseen(self) -> Tweet:
        """From here on nothing new waits for a text that X says is there and doesn't show."""
        unseen = self.tx.tweets.save(lifecycle.unseen(self.tweet))
        self._note(
            Ruling.UNSEEN,
            "X calls it a duplicate, but its timeline does not show it: it counts as posted and is looked "
            "for ever more seldom for a day; nothing new waits for it any more",
        )
        self.context.log.warning(
            "duplicate_unseen", tweet=str(self.tweet.id), profile=self.context.profile.handle
        )
        return unseen

    def _absent(self) -> None:
        """The text was not there, by a read that would have shown it."""
        absence = judge_absence(self.tweet, now=self.now, delay=self.context.settings.settle_delay)
        if absence is Absence.RESEND:
            self._resend()
        elif absence is Absence.GIVE_UP:
            self._give_up()
        else:
            counted = absence is Absence.COUNTS
            looked = self.tx.tweets.save(self._looked_for(absent=counted))
            if counted and looked.absent_reads == 1:
                self._note(Ruling.UNKNOWN, "not on the timeline yet")

    def _elsewhere(self, found: LivePost) -> None:
        """The text is there, under an id that another row holds: it is neither adopted nor absent."""
        if self.end_if_over():
            return
        looked = self._looked_for()
        if not exists(looked):
            looked = lifecycle.called_duplicate(looked)
            self._note(
                Ruling.UNKNOWN, f"on the timeline as {found.x_tweet_id}, which another tweet has already"
            )
        self.tx.tweets.save(looked)

    def end_if_over(self) -> bool:
        """Ends the search for a text that exists and was looked for for long enough; says whether it did."""
        over = is_over(self.tweet, now=self.now)
        if over:
            self._give_up()
        return over

    def _looked_for(self, *, absent: bool = False) -> Tweet:
        return lifecycle.looked_for(self.tweet, now=self.now, next_look=self._next_look(), absent=absent)

    def _next_look(self) -> datetime | None:
        """When what has to be looked for long is looked for next; spacing alone holds for the others."""
        fresh = replace(self.tweet, inconclusive_reads=0)
        long = exists(fresh) or fresh.resends
        pause = pause_after(fresh, now=self.now, delay=self.context.settings.settle_delay)
        return self.now + pause if long else None

    def _resend(self) -> None:
        self._close_calls(CallState.RELEASED)
        self.tx.tweets.save(lifecycle.to_resend(self.tweet, now=self.now))
        self._note(Ruling.RESEND, "stayed absent from the timeline over two looks")
        self.context.log.info("tweet_absent", tweet=str(self.tweet.id), next="resend")

    def _give_up(self) -> None:
        """It will not be found: what X said exists counts as posted for good, anything else never was."""
        counted = exists(self.tweet)
        self._close_calls(CallState.SETTLED if counted else CallState.RELEASED)
        failed = self.tx.tweets.save(lifecycle.never_found(self.tweet, now=self.now))
        reason = failed.reason or ""
        finish_slot(self.tx, failed, SlotStatus.SKIPPED, reason=reason)
        break_thread(self.tx, failed)
        self._note(Ruling.FAILED, f"{reason}: it stays counted as posted" if counted else reason)
        self.context.log.warning("tweet_failed", tweet=str(self.tweet.id), reason=reason)

    def _close_calls(self, state: CallState) -> None:
        for call in self.tx.ledger.of_tweet(self.tweet.id):
            self.tx.ledger.change(call.id, state)

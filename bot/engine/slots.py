"""Slots: taken when their tweet is sent, and closed when it has come to its end."""

from __future__ import annotations

from bot.core.model import SlotId, Tweet
from bot.core.posting.lifecycle import moved
from bot.core.states import SlotStatus
from bot.ports import Transaction


def move_slot(tx: Transaction, slot_id: SlotId, status: SlotStatus, *, reason: str | None = None) -> None:
    """Gives a slot its next state, and the reason for it."""
    tx.slots.save(moved(tx.slots.lock(slot_id), status, reason=reason))


def claim_slot(tx: Transaction, tweet: Tweet) -> None:
    """Takes the slot of a tweet that is being sent, unless it was sent before; a thread's root has it."""
    if tweet.slot_id is None or tweet.part > 1:
        return
    slot = tx.slots.lock(tweet.slot_id)
    if slot.status is not SlotStatus.CLAIMED:
        tx.slots.save(moved(slot, SlotStatus.CLAIMED))


def finish_slot(tx: Transaction, tweet: Tweet, status: SlotStatus, *, reason: str | None = None) -> None:
    """Closes the slot of a thread's root; replies don't change it."""
    if tweet.slot_id is not None and tweet.part == 1:
        move_slot(tx, tweet.slot_id, status, reason=reason)

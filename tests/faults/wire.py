"""A relay in front of X that notes how far each post has come, so that a blow's place can be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from tests.faults.relay import Message, Relay


@dataclass
class Exchange:
    """One post on its way to X and back; moments by `monotonic`.

    `begun` is when the call had come, and `answered` when X's answer had, to be passed on.
    """

    text: str
    begun: float
    status: int | None = None
    answered: float | None = None


class Wire(Relay):
    """Passes every call on as it is, and keeps count of the posts.

    Args:
        target: the address of X.
    """

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._posts: dict[str, list[Exchange]] = {}

    def of(self, text: str) -> list[Exchange]:
        """The calls with a text, in their order."""
        return self._posts.get(text, [])

    def carry(
        self, call: Message, send: Callable[[], None], hear: Callable[[], Message | None]
    ) -> Message | None:
        if not call.is_post:
            return super().carry(call, send, hear)
        exchange = Exchange(text=call.text, begun=monotonic())
        self._posts.setdefault(exchange.text, []).append(exchange)
        answer = super().carry(call, send, hear)
        if answer is not None:
            exchange.status, exchange.answered = int(answer.head.split()[1]), monotonic()
        return answer

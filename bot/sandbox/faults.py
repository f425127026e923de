"""The armed faults: which call fails, and how.

Every armed fault counts each matching call since it was armed, whether or not another fault took that call,
so its own schedule never depends on its neighbours.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from bot.sandbox import answers
from bot.sandbox.answers import Answer, Problem

HANG_SECONDS: Final = 3600.0
SLOW_SECONDS: Final = 1.0
RESET_SECONDS: Final = 900.0
ANY_ENDPOINT: Final = "*"
UNREAD: Final = "refuse_connection"

_REFUSED_PARAMETER = Problem(parameter="text", value="", message="A fault refused this request.")

# Answered instead of accepting: nothing is stored.
REFUSALS: Final[Mapping[str, Callable[[], Answer]]] = {
    "refuse_400": partial(answers.invalid_request, [_REFUSED_PARAMETER]),
    "refuse_401": answers.unauthorized,
    "refuse_403_policy": answers.policy,
    "refuse_suspended": answers.suspended,
    "refuse_client_forbidden": answers.client_forbidden,
    "duplicate_403": answers.duplicate,
    "fail_500": partial(answers.html, 500),
    "fail_502": partial(answers.html, 502),
    "fail_503": partial(answers.html, 503),
    "fail_504": partial(answers.html, 504),
    "error_list_body": answers.error_list,
    "429_with_headers": answers.too_many,
    "429_without_headers": answers.too_many,
    "429_code_88": answers.code_88,
    "usage_capped": answers.usage_capped,
    "402": answers.no_credits,
}
# Accepted, and no answer comes.
SILENT_ACCEPTS: Final = frozenset({"accept_then_drop", "accept_then_hang"})
# Not accepted, and no answer comes.
SILENT_REFUSALS: Final = frozenset({UNREAD, "drop_before_accept", "hang_before_accept"})


def _broken(answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2])


# Accepted, and the answer is another than the true one.
REWRITES: Final[Mapping[str, Callable[[Answer], Answer]]] = {
    "accept_then_500": lambda _: answers.html(500),
    "accept_then_502": lambda _: answers.html(502),
    "accept_then_503": lambda _: answers.html(503),
    # What stands between answers in X's place.
    "accept_then_302": lambda _: answers.html(302),
    "accept_then_404": lambda _: answers.html(404),
    "accept_then_429": lambda _: answers.html(429),
    "accept_empty_body": lambda answer: replace(answer, body=b""),
    "accept_broken_body": _broken,
    "accept_null_data": lambda answer: replace(answer, body=b'{"data": null}'),
    "accept_bare_page": lambda answer: replace(answer, body=b'{"data": []}'),
    "accept_error_page": lambda answer: replace(answer, body=answers.error_page()),
    "accept_list_body": lambda answer: replace(answer, body=b"[" + answer.body + b"]"),
    "slow_first_byte": lambda answer: answer,
    "reset_mid_body": lambda answer: answer,
}
KINDS: Final[tuple[str, ...]] = tuple(sorted({*REFUSALS, *REWRITES, *SILENT_ACCEPTS, *SILENT_REFUSALS}))
STORING_KINDS: Final = frozenset(REWRITES) | SILENT_ACCEPTS
_HEADERLESS: Final = frozenset({"429_without_headers"})
_SPENT: Final = frozenset({"429_with_headers", "429_code_88"})
_DEFAULT_SECONDS: Final[Mapping[str, float]] = {
    "accept_then_hang": HANG_SECONDS,
    "hang_before_accept": HANG_SECONDS,
    "slow_first_byte": SLOW_SECONDS,
}


@dataclass(kw_only=True)
class Fault:
    """One armed fault.

    Args:
        number: Its place in the order of arming.
        kind: One of KINDS.
        endpoint: The endpoint it waits for, or "*".
        account: The id of the one account whose calls it meets; None for everyone's.
        count: How often it may fire; None for ever.
        probability: The chance that a matching call fires it; None for every one.
        after: How many matching calls pass first.
        seed: Seeds the chance.
        seconds: How long it hangs or delays, or how far ahead a 429's reset lies.
        headers: Extra headers of the answer; None removes one.
    """

    number: int
    kind: str
    endpoint: str = "POST /2/tweets"
    account: str | None = None
    count: int | None = 1
    probability: float | None = None
    after: int = 0
    seed: int = 0
    seconds: float | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    seen: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose

    def meets(self, endpoint: str, caller: str | None) -> bool:
        """Count a call, and say whether this fault wants it."""
        if self.endpoint not in {ANY_ENDPOINT, endpoint} or self.account not in {None, caller}:
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        lucky = self.probability is None or self._random.random() < self.probability
        return lucky and not self.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether it has fired as often as it may."""
        return self.count is not None and self.fired >= self.count

    def to_json(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        return {
            "number": self.number,
            "kind": self.kind,
            "endpoint": self.endpoint,
            "account": self.account,
            "count": self.count,
            "probability": self.probability,
            "after": self.after,
            "seed": self.seed,
            "seconds": self.seconds,
            "headers": dict(self.headers),
            "seen": self.seen,
            "fired": self.fired,
            "left": None if self.count is None else self.count - self.fired,
            "stores": self.kind in STORING_KINDS,
        }


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How an answer reaches the client, or does not.

    Args:
        answer: What is sent; None closes the connection without a word.
        wait: Seconds before anything happens; the sandbox's stop cuts them short.
        reset: Send the headers and half of the body, then reset the connection.
    """

    answer: Answer | None
    wait: float = 0.0
    reset: bool = False


class Faults:
    """All armed faults, in the order of arming."""

    def __init__(self) -> None:
        self.armed: list[Fault] = []

    def strike(self, endpoint: str, *, caller: str | None = None, unread: bool) -> Fault | None:
        """The first armed fault that fires for this call, if any.

        Args:
            endpoint: The endpoint's name.
            caller: The calling account's id, where one is known.
            unread: Whether the call's body is still unread; such calls meet `refuse_connection` alone.
        """
        wanting = [
            fault
            for fault in self.armed
            if (fault.kind == UNREAD) is unread and fault.meets(endpoint, caller)
        ]
        if not wanting:
            return None
        wanting[0].fired += 1
        return wanting[0]


def deliver(
    fault: Fault, accept: Callable[[], Answer], rates: Callable[[], dict[str, str]], now: datetime
) -> Delivery:
    """Play one fault.

    Args:
        fault: The fault that fired.
        accept: Carries the call out and gives the true answer.
        rates: Gives the rate headers as they stand when called.
        now: The sandbox's time.
    """
    wait = _DEFAULT_SECONDS.get(fault.kind, 0.0)
    if fault.kind in _DEFAULT_SECONDS and fault.seconds is not None:
        wait = fault.seconds
    if fault.kind in SILENT_REFUSALS:
        return Delivery(answer=None, wait=wait)
    if fault.kind in SILENT_ACCEPTS:
        accept()
        return Delivery(answer=None, wait=wait)
    answer = REFUSALS[fault.kind]() if fault.kind in REFUSALS else REWRITES[fault.kind](accept())
    headers: dict[str, str | None] = {} if fault.kind in _HEADERLESS else {**rates()}
    if fault.kind in _SPENT:
        reset = now + timedelta(seconds=RESET_SECONDS if fault.seconds is None else fault.seconds)
        headers |= {"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(int(reset.timestamp()))}
    headers |= {name.lower(): value for name, value in fault.headers.items()}
    kept = {name: value for name, value in headers.items() if value is not None}
    return Delivery(answer=replace(answer, headers=kept), wait=wait, reset=fault.kind == "reset_mid_body")

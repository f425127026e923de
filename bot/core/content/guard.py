"""What stands between a draft and the world: every rule that a text itself can break."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.core.content.rules import Problem, WrittenFrom, broken
from bot.core.content.text import (
    MAX_WEIGHTED_LENGTH,
    TextWeight,
    fingerprint,
    is_too_long,
    links,
    normalise,
    weigh,
)

# For how long a text counts as said already.
DUPLICATE_WINDOW = timedelta(days=30)
# Blanks, control and format characters: nothing that a reader would see. Line ends are gone by then.
_INVISIBLE = frozenset({"Zs", "Cc", "Cf"})
_MOST_NAMED = 12  # cashtags or links of a text; a text with more has other troubles
_CASHTAG = re.compile(r"(?<![\w$])\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?!\w)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the guard says of a text; `text` is the text as it would be sent."""

    text: str
    weighted_length: int
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether the text may go out."""
        return not self.problems


def judge(
    text: str,
    *,
    recent_fingerprints: Collection[str] = (),
    allowed_links: Collection[str] | None = None,
    given: WrittenFrom | None = None,
) -> Judgement:
    """Checks a text against X's rules and the operator's: the one judge of every text.

    Args:
        text: the text as written.
        recent_fingerprints: of this account's other texts, live or on their way.
        allowed_links: the only addresses the text may carry; None leaves links to the author.
        given: what a writer worded it from; None asks nothing of the words.
    """
    sent = normalise(text)
    refusal = _refusal(sent)
    if refusal is not None:
        return refusal
    size = weigh(sent)
    found = [*_size(size), *_cashtags(sent)]
    if allowed_links is not None:
        found += _invented_links(sent, allowed_links)
    if given is not None:
        found += broken(_without(sent, allowed_links or ()), given)
    if recent_fingerprints and fingerprint(sent) in recent_fingerprints:
        found.append(Problem(rule="duplicate", message="this account has this very text already"))
    return Judgement(text=sent, weighted_length=size.weighted_length, problems=tuple(found))


def against_all(parts: Sequence[Judgement]) -> tuple[Problem, ...]:
    """What stands against the texts of one wish: each part's problems, and that two are the same."""
    problems = [problem for part in parts for problem in part.problems]
    if len({part.text for part in parts}) < len(parts):
        problems.append(Problem(rule="duplicate", message="two parts of the thread are the same text"))
    return tuple(problems)


def _refusal(sent: str) -> Judgement | None:
    """What there is to say of a text that can't be looked into."""
    if is_too_long(sent):
        message = f"the text has {len(sent)} characters; X takes a weighted length of {MAX_WEIGHTED_LENGTH}"
        return _refused(sent, "length", message, weight=len(sent))
    if not sent:
        return _refused(sent, "empty", "the text is empty: say something")
    if not any(unicodedata.category(sign) not in _INVISIBLE for sign in sent):
        return _refused(sent, "empty", "the text shows nothing: say something")
    if any(unicodedata.category(sign) == "Cs" for sign in sent):
        return _refused(sent, "characters", "the text holds half a character: give it in UTF-8")
    return None


def _refused(text: str, rule: str, message: str, *, weight: int = 0) -> Judgement:
    return Judgement(text=text, weighted_length=weight, problems=(Problem(rule=rule, message=message),))


def _size(size: TextWeight) -> Iterator[Problem]:
    over = size.weighted_length - MAX_WEIGHTED_LENGTH
    if over > 0:
        message = f"the weighted length is {size.weighted_length}, {over} over {MAX_WEIGHTED_LENGTH}"
        yield Problem(rule="length", message=message)
    elif not size.valid:
        yield Problem(rule="characters", message="the text has characters that X refuses")


def _cashtags(sent: str) -> Iterator[Problem]:
    tags = _CASHTAG.findall(sent)
    if len(tags) > 1:
        named = ", ".join([*tags[:_MOST_NAMED], *(["..."] if len(tags) > _MOST_NAMED else [])])
        yield Problem(rule="cashtags", message=f"{len(tags)} cashtags ({named}): one is allowed")


def _invented_links(sent: str, allowed: Collection[str]) -> Iterator[Problem]:
    invented = [link for link in links(sent) if link not in allowed]
    for link in invented[:_MOST_NAMED]:
        yield Problem(rule="invented_link", message=f"{link} is not the source's own address")


def _without(text: str, addresses: Collection[str]) -> str:
    for address in addresses:
        text = text.replace(address, " ")
    return text

"""What stands between a draft and the world: every rule that a text itself can break."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from bot.core.content.text import MAX_WEIGHTED_LENGTH, fingerprint, is_too_long, links, normalise, weigh

# For how long a text counts as said already.
DUPLICATE_WINDOW = timedelta(days=30)
# Blanks, control and format characters: nothing that a reader would see. Line ends are gone by then.
_INVISIBLE = frozenset({"Zs", "Cc", "Cf"})
_MOST_NAMED = 12  # cashtags or links of a text; a text with more has other troubles
_CASHTAG = re.compile(r"(?<![\w$])\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?!\w)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One broken rule, named for programs and said for people."""

    rule: str
    message: str


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
) -> Judgement:
    """Checks a text against X's rules and the operator's.

    Args:
        text: the text as written.
        recent_fingerprints: of this account's other texts, live or on their way.
        allowed_links: the only addresses the text may carry; None leaves links to the author.
    """
    sent = normalise(text)
    if is_too_long(sent):
        message = f"the text has {len(sent)} characters; X takes a weighted length of {MAX_WEIGHTED_LENGTH}"
        return _refused(sent, "length", message, weight=len(sent))
    if not sent:
        return _refused(sent, "empty", "the text is empty: say something")
    if not any(unicodedata.category(sign) not in _INVISIBLE for sign in sent):
        return _refused(sent, "empty", "the text shows nothing: say something")
    if any(unicodedata.category(sign) == "Cs" for sign in sent):
        return _refused(sent, "characters", "the text holds half a character: give it in UTF-8")
    size = weigh(sent)
    found: list[Problem] = []
    if size.weighted_length > MAX_WEIGHTED_LENGTH:
        over = size.weighted_length - MAX_WEIGHTED_LENGTH
        found.append(
            Problem(
                rule="length",
                message=f"the weighted length is {size.weighted_length}, {over} over {MAX_WEIGHTED_LENGTH}",
            )
        )
    elif not size.valid:
        found.append(Problem(rule="characters", message="the text has characters that X refuses"))
    tags = _CASHTAG.findall(sent)
    if len(tags) > 1:
        named = ", ".join([*tags[:_MOST_NAMED], *(["..."] if len(tags) > _MOST_NAMED else [])])
        found.append(Problem(rule="cashtags", message=f"{len(tags)} cashtags ({named}): one is allowed"))
    if allowed_links is not None:
        invented = [link for link in links(sent) if link not in allowed_links]
        found.extend(
            Problem(rule="invented_link", message=f"{link} is not the source's own address")
            for link in invented[:_MOST_NAMED]
        )
    if fingerprint(sent) in recent_fingerprints:
        found.append(Problem(rule="duplicate", message="this account has this very text already"))
    return Judgement(text=sent, weighted_length=size.weighted_length, problems=tuple(found))


def _refused(text: str, rule: str, message: str, *, weight: int = 0) -> Judgement:
    return Judgement(text=text, weighted_length=weight, problems=(Problem(rule=rule, message=message),))

"""Whether a model's answer may become a draft."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.core.content.drafts import DraftRequest, SourceItem
from bot.core.content.text import one_line
from bot.core.model import Source
from bot.writer.prompts import wants_hashtags
from bot.writer.tweet_text import WEIGHT_LIMIT, hashtags, is_valid, links, mentions, repeats, weight

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_FENCE = re.compile(r"\A\s*```(?:json)?\s*|\s*```\s*\Z")
_LONGEST_COMPLAINT = 300


class Answer(BaseModel):
    """What the model is asked to give."""

    model_config = ConfigDict(extra="forbid", strict=True)

    item_id: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The answer's text and source if `complaints` is empty."""

    text: str
    source: Source | None
    complaints: tuple[str, ...]


def judge(content: str, request: DraftRequest, items: Sequence[SourceItem]) -> Judged:
    """Returns the draft text, link included, or what is wrong with the answer."""
    try:
        answer = Answer.model_validate_json(_FENCE.sub("", content))
    except ValidationError:
        return _bad('the answer is not JSON of the form {"item_id": ..., "text": ...}')
    item = next((item for item in items if item.source.id == answer.item_id), None)
    if item is None:
        return _bad(f'there is no item with the id "{one_line(answer.item_id)[:40]}"')
    url = item.source.url if request.include_link else None
    text = one_line(answer.text.replace(url, " ") if url else answer.text)
    complaints = _complaints(text, item, request)
    tail = f" {url}" if url and links(url) == [url] else ""
    if not complaints and not is_valid(text + tail):
        complaints = [
            f"it is {weight(text + tail)} weighted characters long, {WEIGHT_LIMIT} with its link is the most"
        ]
    lines = tuple(line[:_LONGEST_COMPLAINT] for line in complaints)
    return Judged(text=text + tail, source=item.source, complaints=lines)


def _bad(complaint: str) -> Judged:
    return Judged(text="", source=None, complaints=(complaint,))


def _complaints(text: str, item: SourceItem, request: DraftRequest) -> list[str]:
    if not text:
        return ["the text is empty"]
    found: list[str] = []
    if links(text) or "://" in text:
        found.append(f"it holds a link ({', '.join(links(text)) or '://'}); write none")
    if mentions(text):
        found.append(f"it mentions {', '.join(mentions(text))}; write no @mentions")
    if hashtags(text) and not wants_hashtags(request):
        found.append(f"it holds hashtags ({', '.join(hashtags(text))}); write none")
    invented = invented_numbers(text, item)
    if invented:
        found.append(f"the item does not hold the number(s) {', '.join(invented)}")
    if repeats(text, request.avoid):
        found.append("it repeats an earlier post; choose another fact or item")
    return found


def invented_numbers(text: str, item: SourceItem) -> list[str]:
    """Returns the numbers of the text that the item's title and text don't hold."""
    known = {_plain(number) for number in _NUMBER.findall(f"{item.source.title} {item.text}")}
    return [number for number in _NUMBER.findall(text) if _plain(number) not in known]


def _plain(number: str) -> str:
    """Drops thousands separators, so that 12,000 is 12000."""
    return re.sub(r",(?=\d{3}(?:\D|$))", "", number)

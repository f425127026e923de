"""Whether a model's answer may become a draft."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.core.content.drafts import DraftRequest, SourceItem
from bot.core.content.guard import judge
from bot.core.content.rules import WrittenFrom
from bot.core.content.text import one_line
from bot.core.model import Source
from bot.writer.tweet_text import own_link

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


def read_answer(content: str, request: DraftRequest, items: Sequence[SourceItem]) -> Judged:
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
    own = own_link(item, request)
    given = WrittenFrom(item=item, request=request)
    judgement = judge(" ".join((text, *own)), allowed_links=own, given=given)
    complaints = [problem.message[:_LONGEST_COMPLAINT] for problem in judgement.problems]
    return Judged(text=judgement.text, source=item.source, complaints=tuple(complaints))


def _bad(complaint: str) -> Judged:
    return Judged(text="", source=None, complaints=(complaint,))

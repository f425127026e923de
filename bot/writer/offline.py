"""Posts without a language model: the source's own best sentences, word for word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from random import Random

from bot.core.codes import ErrorCode
from bot.core.content.drafts import Draft, DraftRequest, SourceItem
from bot.core.content.guard import judge
from bot.core.content.rules import repeats, words
from bot.core.content.text import MAX_WEIGHTED_LENGTH, links, weigh
from bot.core.errors import WriterFailed
from bot.core.model import PATH_MARK
from bot.core.spending.usage import ModelUsage
from bot.ports import Writer
from bot.writer.phrases import DULL_HEADING, GENERIC_HEADING, LOOSE_END
from bot.writer.sentences import Sentence, can_follow, can_stand_alone, is_balanced, score, sentences
from bot.writer.tweet_text import has_link, mentions_topic, own_link, without_tags

_NEARLY_BEST = 0.9  # share of the best score that makes a sentence as good
_SHORT_BODY = 150  # weighted characters that leave room for a second sentence
_LEAST_TRIMMED = 100  # weighted characters that a shortened sentence must keep
_LONGEST_LABEL = 70
_LABEL_SHARE = 0.5  # share of a label's words in the sentence that makes it a repetition
_HEADLINE_WORDS = 5
_SHORTENED_SCORE, _HEADLINE_SCORE = -10.0, -20.0  # below any whole sentence
_LONGEST_NOTE_LABEL = 4  # words; a longer heading is a slogan
_CLAUSE = re.compile(r"[,;:](?=\s)|\s[–—-](?=\s)|[、，；]")  # noqa: RUF001  # other scripts' marks
_SPACE = re.compile(r"\s")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    body: str
    score: float
    label: str = ""


class OfflineWriter(Writer):
    """Writes by quoting: no word of a post is the bot's own.

    `rng` picks among sentences that are about equally good.
    """

    name = "offline"

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def estimate(self, request: DraftRequest) -> ModelUsage | None:  # noqa: ARG002  # the port's signature
        """Returns None: no model is called."""
        return None

    def write(self, request: DraftRequest) -> Draft:
        """Returns the best sentence that is not in `avoid`, from the first item that has one.

        Raises:
            WriterFailed: no item mentions the topic, or every fit sentence was used already.
        """
        items = _about(request.items, request.topic)
        for item in items:
            fresh = _candidates(item, request)
            while fresh:
                chosen = self._choose(fresh)
                text = _assemble(chosen, own_link(item, request))
                if text and not repeats(text, request.avoid):
                    return Draft(text=text, source=item.source, writer=self.name)
                fresh.remove(chosen)
        about = f' about "{request.topic}"' if request.topic else ""
        raise WriterFailed(
            f"the sources are used up: no fit sentence{about} is left in {len(items)} item(s)",
            code=ErrorCode.SOURCES_USED_UP,
            fix="add sources, or wait for new items",
        )

    def _choose(self, candidates: Sequence[_Candidate]) -> _Candidate:
        best = max(candidate.score for candidate in candidates)
        floor = best * _NEARLY_BEST if best > 0 else best
        return self._rng.choice([candidate for candidate in candidates if candidate.score >= floor])


def _about(items: Sequence[SourceItem], topic: str | None) -> Sequence[SourceItem]:
    """Returns the items that mention the topic, those that name it in their title first."""
    if not topic or not topic.strip():
        return items
    found = [item for item in items if mentions_topic(f"{item.source.title} {item.text}", topic)]
    if not found:
        raise WriterFailed(
            f'no item mentions the topic "{topic}"',
            code="topic_not_in_sources",
            fix="add a source about it, or take the topic out of the plan",
        )
    return sorted(found, key=lambda item: not mentions_topic(item.source.title, topic))


def _candidates(item: SourceItem, request: DraftRequest) -> list[_Candidate]:
    """Returns what the item still has to say; shortened sentences and the headline score lowest."""
    title = without_tags(item.source.title)
    if item.source.kind == "note" and DULL_HEADING.search(title.split(PATH_MARK)[-1]):
        return []
    found = sentences(item.text)
    used = {sentence.order for sentence in found if repeats(sentence.text, request.avoid)}
    label = _label(item)
    fresh = [sentence for sentence in found if sentence.order not in used and can_stand_alone(sentence.text)]
    candidates = [
        _Candidate(
            body=_with_next(sentence, found, used),
            score=score(sentence, title=title, topic=request.topic),
            label=label,
        )
        for sentence in fresh
        if weigh(sentence.text).weighted_length <= MAX_WEIGHTED_LENGTH
    ]
    long = (sentence.text for sentence in fresh if weigh(sentence.text).weighted_length > MAX_WEIGHTED_LENGTH)
    candidates += [_Candidate(body=text, score=_SHORTENED_SCORE) for text in long]
    return candidates + [one for one in _headline(item, title) if not repeats(one.body, request.avoid)]


def _headline(item: SourceItem, title: str) -> Iterator[_Candidate]:
    telling = len(title.split()) >= _HEADLINE_WORDS and not title.endswith("?")
    if item.source.kind != "note" and telling and is_balanced(title) and not has_link(title):
        yield _Candidate(body=title, score=_HEADLINE_SCORE)


def _with_next(sentence: Sentence, found: Sequence[Sentence], used: Collection[int]) -> str:
    """Returns a short sentence together with the one that goes on after it, if that fits."""
    if weigh(sentence.text).weighted_length > _SHORT_BODY or sentence.order + 1 >= len(found):
        return sentence.text
    after = found[sentence.order + 1]
    both = f"{sentence.text} {after.text}"
    said = after.order in used or repeats(after.text, [sentence.text])
    goes_on = after.block == sentence.block and can_follow(after.text)
    return both if goes_on and not said and judge(both).valid else sentence.text


def _label(item: SourceItem) -> str:
    """Returns what the item is about in a few words, or nothing that would help a reader."""
    title = without_tags(item.source.title)
    if item.source.kind == "note":
        root = title.split(PATH_MARK)[0]
        title = re.split(r"[:|(]|\s[–—-]\s", root)[0].strip()  # noqa: RUF001  # the dashes that titles use
        if "," in title or len(title.split()) > _LONGEST_NOTE_LABEL:
            return ""
        if title.casefold() == PurePath(item.source.location).stem.casefold():
            return ""
    generic = GENERIC_HEADING.match(title) or not re.search(r"\w", title)
    if generic or has_link(title) or not is_balanced(title) or len(title) > _LONGEST_LABEL or "?" in title:
        return ""
    return title.rstrip(" :-–—")  # noqa: RUF001  # same


def _assemble(candidate: _Candidate, link: tuple[str, ...]) -> str:
    """Returns the post: framed if that adds something and fits, shortened if it must be, or nothing."""
    own = set(words(candidate.body))
    label_words = set(words(candidate.label))
    adds = bool(label_words) and len(label_words & own) < _LABEL_SHARE * len(label_words)
    separator = " " if candidate.label.endswith((".", "!", "…", "。")) else ": "
    options = [f"{candidate.label}{separator}{candidate.body}"] if adds else []
    options.append(candidate.body)
    for option in options:
        if _fits(post := " ".join((option, *link)), link):
            return post
    return _shortened(candidate.body, link)


def _fits(post: str, link: tuple[str, ...]) -> bool:
    return links(post) == link and judge(post, allowed_links=link).valid


def _shortened(body: str, link: tuple[str, ...]) -> str:
    """Returns the longest start that fits with an ellipsis, at a clause or else between words."""
    for pattern in (_CLAUSE, _SPACE):
        for mark in reversed(list(pattern.finditer(body))):
            start = LOOSE_END.sub("", body[: mark.start()].rstrip(" ,;:–—-"))  # noqa: RUF001  # dashes end a clause
            text = start + "…"
            if weigh(text).weighted_length < _LEAST_TRIMMED:
                break
            if is_balanced(text) and _fits(post := " ".join((text, *link)), link):
                return post
    return ""

"""Whole sentences of a text, and how well each would stand alone as a post."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from bot.core.content.rules import words
from bot.writer.phrases import BOILERPLATE, COMMAND, DANGLING, VERB
from bot.writer.tweet_text import has_link, without_tags

_END = re.compile("(?:[.!?…]+[\"'”’)\\]]*(?=\\s|$)|[。！？]+[」』”）]*)")  # noqa: RUF001  # other scripts' marks
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|al|approx|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|No|Fig|Inc|Ltd|Co|Corp|ca|bzw|ggf)"
    r"|\b[A-Z](?:\.[A-Z])*)\.$"
)
_WHOLE = re.compile("[.!。！][\"'”’)\\]」』）]*$")  # noqa: RUF001  # same
_TEASER = re.compile(r"(?:\.\.\.|…|\[…\]|\[\.\.\.\])\W*$")
_HASH = re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b")
_NOISE = re.compile(r"#\d+|<\w|(?<!\w)/\w+/|\bGH-\d+|\bPR \d+|\bCVE-|\bbpo-")
_LIST_MARK = re.compile(r"^(?:[-*+•–—>|~]|\(?\d{1,3}[.)]\s|\(?[a-z][.)]\s|v?\d+\.\d+)", re.IGNORECASE)  # noqa: RUF001
_CODE = re.compile(r"\w\(\)?|\w_\w|::|[=<>{}\\`^~|]|(?<!\w)--?\w|\w/\w+/|\w\.\w+\.\w|(?<!\w)\.\w")
_NAME_AND_VERB = re.compile(r"^[\w.-]+(?: \([^()]*\))? (?:can|will|should|may|must|does|\w{1,11}s)\b")
_FIRST_PERSON = re.compile(r"\b(?:I|I'm|I've|I'll|I'd|me|my|mine)\b")
_PLURAL_PERSON = re.compile(r"\b(?:we|we're|we've|we'll|our|ours|us|let's)\b", re.IGNORECASE)
_DEFINITION = re.compile(r"^[\w\s().,'-]{2,60}?\b(?:is|are|provides?|lets?|makes?|allows?|supports?|gives?) ")
_PAIRS = ("()", "[]", "{}", "“”", "«»", "「」", "『』", "（）")  # noqa: RUF001  # other scripts' brackets
_NOT_BLANK = re.compile(r"\S")
_LONGEST_ABBREVIATION = 80
_MOST_SENTENCES = 500  # of one text; a longer one is a book
_FEWEST_WORDS = 6
_FEWEST_LETTERS = 30
_FEWEST_WIDE_LETTERS = 12  # of scripts that write without spaces
_LEAST_LETTER_SHARE = 0.75
_MOST_CODE = 2
_GOOD_LENGTH = range(70, 240)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """A sentence of a text, ready for X: no tags, one line.

    `block` and `order` say where it stands, counted from 0.
    """

    text: str
    block: int
    order: int


def sentences(text: str) -> list[Sentence]:
    """Returns the first 500 sentences of the text in order; none spans two blocks."""
    parts = (
        (number, part)
        for number, block in enumerate(text.split("\n\n"))
        for part in _split(without_tags(block))
    )
    return [
        Sentence(text=part, block=number, order=order)
        for order, (number, part) in enumerate(islice(parts, _MOST_SENTENCES))
    ]


def _split(block: str) -> Iterator[str]:
    start = 0
    for mark in _END.finditer(block):
        # A block of nothing but abbreviations would otherwise be read once for each.
        before = block[max(start, mark.end() - _LONGEST_ABBREVIATION) : mark.end()]
        following = _NOT_BLANK.search(block, mark.end())
        if _ABBREVIATION.search(before) or (following and following[0].islower()):
            continue
        yield block[start : mark.end()].strip()
        start = mark.end()
    if block[start:].strip():
        yield block[start:].strip()


def can_follow(sentence: str) -> bool:
    """Whether the sentence can stand after its neighbour: clean, and the voice of nobody in particular."""
    return _is_clean(sentence) and not _FIRST_PERSON.search(sentence)


def _is_clean(sentence: str) -> bool:
    return (
        bool(_WHOLE.search(sentence))
        and not _TEASER.search(sentence)
        and not _LIST_MARK.match(sentence)
        and not BOILERPLATE.search(sentence)
        and not _HASH.search(sentence)
        and not _NOISE.search(sentence)
        and len(_CODE.findall(sentence)) <= _MOST_CODE
        and _is_prose(sentence)
        and is_balanced(sentence)
        and not has_link(sentence)
    )


def can_stand_alone(sentence: str) -> bool:
    """Whether a reader who sees only this sentence would understand it."""
    start = sentence.lstrip("\"'“‘*_")  # noqa: RUF001  # quotation marks
    # Lower case starts a name ("pytest makes ..."), or else the middle of a list.
    if not start[:1].isalnum() or (start[:1].islower() and not _NAME_AND_VERB.match(start)):
        return False
    return not DANGLING.match(start) and not COMMAND.match(start) and _is_clean(sentence)


def is_balanced(text: str) -> bool:
    """Whether every bracket and quotation mark has its partner."""
    paired = all(text.count(pair[0]) == text.count(pair[1]) for pair in _PAIRS)
    return paired and text.count('"') % 2 == 0 and text.count("`") % 2 == 0 and text.count("*") % 2 == 0


def score(sentence: Sentence, *, title: str, topic: str | None) -> float:
    """Returns how much a sentence that can stand alone tells; higher is better."""
    text = sentence.text
    own = set(words(text))
    value = 1.5 / (1 + 0.3 * sentence.order)
    value += 2 if len(text) in _GOOD_LENGTH else 1
    value += 0.7 * min(3, len(own & set(words(title))))
    value += 1 if _DEFINITION.match(text) else 0
    value += 2 if topic and set(words(topic)) & own else 0
    value -= 0.8 * len(_CODE.findall(text))
    value -= 2 if _FIRST_PERSON.search(text) else 0
    value -= 1 if _PLURAL_PERSON.search(text) else 0
    value -= 0.5 if text[:1].islower() else 0
    value -= 1.5 if text.isascii() and not VERB.search(text) else 0
    return value


def _is_prose(sentence: str) -> bool:
    letters = sum(character.isalpha() for character in sentence)
    plain = letters + sum(character.isspace() for character in sentence)
    if plain < _LEAST_LETTER_SHARE * len(sentence):
        return False
    wide = sum(character >= "\u2e80" for character in sentence)
    if wide > letters / 2:
        return letters >= _FEWEST_WIDE_LETTERS
    return len(sentence.split()) >= _FEWEST_WORDS and letters >= _FEWEST_LETTERS

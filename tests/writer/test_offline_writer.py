from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from importlib.metadata import distribution
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twitter_text import extract_urls, parse_tweet

from bot.core.content.drafts import DraftRequest, SourceItem
from bot.core.errors import WriterFailed
from bot.core.model import Source
from bot.sources.notes import read_notes
from bot.writer.offline import OfflineWriter
from bot.writer.sentences import can_stand_alone, sentences
from tests.writer.conftest import ItemMaker

BEES = "Bees visit more than two thousand flowers on a warm day in May."
HONEY = "A jar of honey holds the work of about three hundred bees over a summer."
WASPS = "Wasps build their nests from wood that they chew into a kind of paper."
LONG = (
    "The old library in the harbour district, which survived two wars and a flood, keeps more than forty "
    "thousand letters of sailors and their families, most of them never read by anybody but those they were "
    "written to, because nobody has catalogued them, photographed them or copied them since they "
    "arrived in wooden boxes"
)


def writer(seed: int = 1) -> OfflineWriter:
    return OfflineWriter(Random(seed))  # noqa: S311  # chance, not a secret


def draft(*items: SourceItem, **fields: object) -> str:
    return writer().write(DraftRequest(items=items, **fields)).text  # type: ignore[arg-type]  # fields of the request


def test_a_draft_quotes_the_first_item_and_names_it(item: ItemMaker) -> None:
    first, second = item(BEES), item(WASPS, number=2)
    made = writer().write(DraftRequest(items=(first, second)))
    assert (made.text, made.source, made.writer, made.usage) == (BEES, first.source, "offline", None)


def test_a_title_that_adds_something_frames_the_sentence(item: ItemMaker) -> None:
    assert draft(item(BEES, title="News from the garden")) == f"News from the garden: {BEES}"
    assert draft(item(BEES, title="Bees visit two thousand flowers")) == BEES
    assert draft(item(BEES, title="README.md")) == BEES, "X would make a link of it"
    assert draft(item(BEES, title="Usage", kind="note")) == BEES
    assert draft(item(BEES, title="Apiary: for all › Why", kind="note")) == f"Apiary: {BEES}"  # noqa: RUF001


def test_each_draft_is_new_until_the_sources_are_used_up(item: ItemMaker) -> None:
    items = (item(f"{BEES}\n\n{HONEY}"), item(WASPS, number=2))
    avoid: tuple[str, ...] = ()
    for _ in range(3):
        avoid = (writer().write(DraftRequest(items=items, avoid=avoid)).text, *avoid)
    assert set(avoid) == {BEES, HONEY, WASPS}
    with pytest.raises(WriterFailed, match="used up") as caught:
        writer().write(DraftRequest(items=items, avoid=avoid))
    assert caught.value.code == "sources_used_up"


def test_a_text_that_was_posted_in_other_clothes_is_not_posted_again(item: ItemMaker) -> None:
    with pytest.raises(WriterFailed):
        draft(item(BEES), avoid=(f"News: {BEES.upper()} https://a.example",))


def test_a_topic_picks_the_items_that_mention_it(item: ItemMaker) -> None:
    items = (item(BEES), item(WASPS, number=2))
    assert draft(*items, topic="wasp") == WASPS
    with pytest.raises(WriterFailed, match="submarines") as caught:
        draft(*items, topic="submarines")
    assert caught.value.code == "topic_not_in_sources"


def test_a_link_is_added_only_when_wanted_and_known(item: ItemMaker) -> None:
    url = "https://garden.example.org/bees"
    assert draft(item(BEES, url=url)) == BEES
    assert draft(item(BEES, url=url), include_link=True) == f"{BEES} {url}"
    assert draft(item(BEES), include_link=True) == BEES


def test_a_link_is_counted_as_x_counts_it(item: ItemMaker) -> None:
    body = "Flowers " + "bloom " * 40 + "in May."
    assert parse_tweet(body).weightedLength == 255
    url = "https://garden.example.org/" + "long" * 100
    assert draft(item(body, url=url), include_link=True) == f"{body} {url}"
    assert draft(item(body + " Bees", url=url, title="News"), include_link=True) == f"{body} {url}"


@pytest.mark.parametrize(
    "unfit",
    [
        "This is why the garden was such a success with all its visitors.",
        "However, the garden was closed for most of the winter months.",
        "Click here to subscribe to the newsletter of the garden.",
        "The garden (open since 1903 was closed for most of the winter.",
        "Have you ever seen a garden that was open in the winter months?",
        "v2.1.0 opened the garden to all visitors on rainy mornings.",
        "to open the garden on rainy mornings in spring and in autumn.",
        "Commit 3f2a9bc1 made the garden open earlier on rainy mornings.",
        "The garden guide is kept in README.md for all of its visitors.",
        "The garden answers letters to info@garden.example within a week.",
        "The garden opens its gate at https://garden.example every morning.",
        "The following plants can be seen in the garden in the winter:",
        "A very short one.",
        "The garden was closed and then the mayor came and [...]",
    ],
)
def test_a_sentence_that_does_not_stand_alone_is_not_posted(item: ItemMaker, unfit: str) -> None:
    assert draft(item(f"{unfit}\n\n{BEES}")) == BEES
    with pytest.raises(WriterFailed):
        draft(item(unfit))


def test_a_sentence_that_points_back_may_follow_its_neighbour(item: ItemMaker) -> None:
    text = f"{BEES} They like clover best of all the flowers there."
    assert draft(item(text)) == text


def test_a_post_does_not_say_the_same_twice(item: ItemMaker) -> None:
    assert draft(item(f"{BEES} {BEES}")) == BEES


def test_a_list_marker_is_left_out(item: ItemMaker) -> None:
    assert draft(item(f"1. {BEES}")) == BEES


def test_abbreviations_and_version_numbers_do_not_end_sentences(item: ItemMaker) -> None:
    text = "Version 2.5 of the plan, e.g. the pond by Dr. Miller, was approved by the council on Monday."
    assert draft(item(text)) == text


def test_mentions_hashtags_and_further_cashtags_become_words(item: ItemMaker) -> None:
    text = "The shares of $BEE and $WASP rose when @keeper told #investors about honey."
    assert draft(item(text)) == "The shares of $BEE and WASP rose when keeper told investors about honey."


def test_a_long_sentence_is_cut_at_a_clause_only_when_nothing_whole_is_left(item: ItemMaker) -> None:
    assert draft(item(f"{LONG}. {BEES}")) == BEES
    text = draft(item(f"{LONG}."))
    assert text.endswith("…")
    assert LONG.startswith(text[:-1])
    assert LONG[len(text) - 1] in ",;:"
    assert parse_tweet(text).weightedLength <= 280


def test_a_headline_is_the_last_resort(item: ItemMaker) -> None:
    headline = "City opens a garden for bees and their keepers"
    assert draft(item("Comments", title=headline)) == headline


def test_scripts_without_spaces_are_split_and_weighed(item: ItemMaker) -> None:
    first = "庭には二千種類以上の花があり、毎日多くの人が訪れる。"
    assert draft(item(f"{first}詳しくは")) == first


def test_chance_only_picks_among_the_best(item: ItemMaker) -> None:
    only = item(f"{BEES}\n\n{HONEY}\n\n{WASPS}")
    made = {writer(seed).write(DraftRequest(items=(only,))).text for seed in range(20)}
    assert made <= {BEES, HONEY, WASPS}
    assert [draft(only) for _ in range(3)] == [draft(only)] * 3


README_WORDS = re.compile(r"```|\]\(|https?:|^(?:This|It|These|However)\b|::|[@#]\w|`")


@pytest.mark.parametrize(
    "package", ["rich", "psutil", "structlog", "redis", "trafilatura", "SQLAlchemy", "Mako"]
)
def test_real_readmes_give_posts_a_person_could_have_written(package: str) -> None:
    found = distribution(package).metadata
    text = found["Description"] or str(found.as_string().split("\n\n", 1)[1])  # type: ignore[attr-defined]  # a Message
    items = tuple(
        SourceItem(
            source=Source(id=entry.key, kind="note", title=entry.title, location=f"{package}.md"),
            text=entry.text,
        )
        for entry in read_notes(text, name=package)
    )
    first = draft(*items)
    second = draft(*items, avoid=(first,))
    assert first != second
    for made in (first, second):
        assert parse_tweet(made).valid
        assert not README_WORDS.search(made)
        assert made[-1] in ".!…"
        assert not extract_urls(made)


def letters(text: str) -> str:
    """Keeps what a reader would call letters and figures, so that only words are compared."""
    apart = unicodedata.normalize("NFD", text)
    return "".join(character for character in apart if unicodedata.category(character)[0] in "LN")


WORDS = st.one_of(
    st.text(min_size=1, max_size=9),
    st.sampled_from(["the", "bees", "(and)", "@you", "#tag", "$ABC", "e.g.", "💐", "née"]),
)
SENTENCES = st.builds(
    lambda words, end: " ".join(words) + end,
    st.lists(WORDS, min_size=5, max_size=60),
    st.sampled_from([".", "!", "。", "?", ""]),
)
TEXTS = st.lists(SENTENCES, max_size=5).map(" ".join) | st.text()
URLS = st.sampled_from([None, "https://garden.example.org/a", "not a link"])
ITEMS = st.lists(
    st.builds(
        lambda number, kind, title, text, url: SourceItem(
            source=Source(id=f"i{number}", kind=kind, title=title, location="a.md", url=url), text=text
        ),
        st.integers(),
        st.sampled_from(["feed", "note", "page"]),
        st.text(max_size=60) | SENTENCES,
        TEXTS,
        URLS,
    ),
    min_size=1,
    max_size=3,
    # As sources give them: an id names one item.
    unique_by=lambda item: item.source.id,
)


@settings(max_examples=150, deadline=None)
@given(items=ITEMS, include_link=st.booleans(), seed=st.integers(0, 9))
def test_whatever_the_source_says_a_draft_is_valid_and_only_quotes(
    items: list[SourceItem], include_link: bool, seed: int
) -> None:
    try:
        made = writer(seed).write(DraftRequest(items=tuple(items), include_link=include_link))
    except WriterFailed:
        return
    assert parse_tweet(made.text).valid
    origin = next(item for item in items if item.source == made.source)
    body = made.text
    if include_link and origin.source.url:
        body = body.removesuffix(f" {origin.source.url}")
    assert not extract_urls(body)
    known = letters(f"{origin.source.title} {origin.text}")
    assert all(letters(word) in known for word in body.split())


def test_importing_the_room_loads_no_heavy_library() -> None:
    code = (
        "import sys; import bot.sources.reader, bot.writer.offline, bot.writer.openai_writer; "
        "heavy = {'openai', 'trafilatura', 'feedparser', 'markdown_it', 'twitter_text', 'requests'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "token", ["e.g. ", "a. ", "No. ", "漢。", "a.b ", "$A ", "# ", "@a ", "'", "ff1", "U.S. "]
)
def test_the_sentences_of_a_hostile_text_take_time_that_grows_with_its_length_alone(token: str) -> None:
    text = token * (50_000 // len(token))
    started = process_time()
    for found in sentences(text):
        can_stand_alone(found.text)
    # A square of the length takes minutes.
    assert process_time() - started < 5

"""The fingerprint: one for what was sent and for what X shows, another for any other text."""

from __future__ import annotations

import re
import unicodedata
from time import process_time

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from twitter_text import extract_urls_with_indices, parse_tweet

from bot.core.content.links import find_links
from bot.core.content.text import (
    MOST_CHARACTERS,
    TextWeight,
    fingerprint,
    is_too_long,
    links,
    normalise,
    one_line,
    weigh,
)

SHORT = "https://t.co/abcdefghi{}"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCXYZäßéñ漢字かな0123456789"

words = st.text(alphabet=LETTERS, min_size=1, max_size=8)
signs = st.sampled_from(
    ["&", "<", ">", "R&D", "<b>", "a<b", "->", "#tides", "(so)", "😀", "👩‍👩‍👧", "it's", '"']
)
urls = st.sampled_from(
    [
        "https://tides.example.com/why",
        "http://example.org",
        "https://example.com/a?b=1&c=2#d",
        "https://example.com/copy?x=1&copy=2&lt=3",
        "https://en.wikipedia.org/wiki/Tide",
        "HTTPS://Example.com/Loud",
    ]
)
ends = st.sampled_from(["", "", ".", ",", "!", "?", ")", "…"])
blanks = st.sampled_from([" ", "  ", "\n", "\n\n", "\t", "\u00a0"])
pieces = st.lists(
    st.one_of(
        st.tuples(words | signs, st.just("")),
        st.tuples(urls, ends),
    ),
    min_size=1,
    max_size=10,
)


def as_x_shows(written: list[tuple[str, str]], *, blank: str = " ") -> tuple[str, dict[str, str]]:
    """What X does to a text, done to its pieces: t.co for addresses. Its escapes are undone on reading."""
    shown, known = [], {}
    for index, (piece, end) in enumerate(written):
        if "://" in piece:
            short = SHORT.format(index)
            known[short] = piece
            shown.append(short + end)
        else:
            shown.append(piece + end)
    return blank.join(shown), known


@given(written=pieces, blank=blanks, media=st.integers(0, 2))
def test_the_post_that_x_shows_has_the_print_of_the_text_that_was_sent(
    written: list[tuple[str, str]], blank: str, media: int
) -> None:
    sent = normalise(" ".join(piece + end for piece, end in written))
    shown, known = as_x_shows(written, blank=blank)
    for number in range(media):
        picture = f"https://t.co/picture00{number}"
        known[picture] = ""
        shown += f" {picture}"
    assert fingerprint(shown, known) == fingerprint(sent)


@given(text=st.text(max_size=60))
def test_a_text_has_one_print_however_its_accents_are_coded(text: str) -> None:
    # Entities and bare addresses are read from the composed text that is really sent.
    assume("." not in text and "&" not in text)
    composed, split = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert fingerprint(composed) == fingerprint(split)


@given(one=st.lists(words, min_size=1), other=st.lists(words, min_size=1))
def test_different_words_have_different_prints(one: list[str], other: list[str]) -> None:
    assume(one != other)
    assert fingerprint(" ".join(one)) != fingerprint(" ".join(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The tide turns.", "The tide turns"),
        ("The tide turns.", "the tide turns."),
        ("The tide turns twice", "The tide turns thrice"),
        ("a b", "ab"),
        ("Ebb < flow", "Ebb > flow"),
        ("Ebb & flow", "Ebb flow"),
        ("One https://example.com/a", "One"),
        ("One https://example.com/a", "One https://example.com/a https://example.com/b"),
        ("https://example.com/a One", "One https://example.com/a"),
        ("I ♥ it", "I it"),
        ("cafe", "café"),
    ],
)
def test_texts_that_readers_tell_apart_have_different_prints(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_what_follows_a_link_without_a_blank_is_part_of_the_text() -> None:
    assert fingerprint("潮汐 https://example.com/aです") != fingerprint("潮汐 https://example.com/aではない")


def test_every_address_counts_as_the_same_mark() -> None:
    assert fingerprint("See https://example.com/a now") == fingerprint("See https://example.org/b now")


def test_blanks_of_any_kind_fold_into_one() -> None:
    assert fingerprint(" a\n\n b\t\u00a0c ") == fingerprint("a b c")


def test_a_media_link_is_dropped_only_where_x_says_it_stands_for_nothing() -> None:
    shown = "The tide https://t.co/mmmmmmmmmm"
    assert fingerprint(shown, {"https://t.co/mmmmmmmmmm": ""}) == fingerprint("The tide")
    assert fingerprint(shown, {"https://t.co/mmmmmmmmmm": "https://a.example.com"}) != fingerprint("The tide")
    assert fingerprint(shown) != fingerprint("The tide")


def test_a_bare_address_inside_a_sentence_has_the_print_of_its_short_link() -> None:
    assert fingerprint("Read example.com today") == fingerprint(f"Read {SHORT.format(0)} today")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Read more at example.com.", f"Read more at {SHORT.format(0)}."),
        ("The tables (example.com) help", f"The tables ({SHORT.format(0)}) help"),
        ("Is it example.com, really?", f"Is it {SHORT.format(0)}, really?"),
        ("潮汐はexample.comです", f"潮汐は{SHORT.format(0)}です"),
    ],
)
def test_a_bare_address_next_to_a_sign_has_the_print_of_its_short_link(sent: str, shown: str) -> None:
    assert fingerprint(shown, {SHORT.format(0): "http://example.com"}) == fingerprint(sent)


def test_a_mail_address_is_left_alone_where_its_domain_is_a_link_elsewhere() -> None:
    shown = f"Write to me@example.com or see {SHORT.format(0)} now"
    assert fingerprint(shown) == fingerprint("Write to me@example.com or see example.com now")


@pytest.mark.parametrize(
    ("entity", "sign"), [("&lt;", "<"), ("&amp;", "&"), ("&nbsp;", "\u00a0"), ("&copy;", "©")]
)
def test_a_text_about_an_entity_is_another_than_one_with_its_sign(entity: str, sign: str) -> None:
    assert fingerprint(f"Write {entity} here") != fingerprint(f"Write {sign} here")


@given(text=st.text(max_size=80))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(text=st.text(max_size=80))
def test_a_normal_text_has_no_outer_blanks_and_is_nfc(text: str) -> None:
    found = normalise(text)
    assert found == found.strip()
    assert unicodedata.is_normalized("NFC", found)
    assert not re.search(r"[ \t]\n", found)
    assert "".join(found.split()) == "".join(unicodedata.normalize("NFC", text).split())


def test_a_text_keeps_its_own_lines() -> None:
    assert normalise("  One  \r\n\r\n  two \n") == "One\n\n  two"


def test_links_are_told_in_order_and_without_the_sentence_around_them() -> None:
    text = "See https://b.example.com/x, (http://a.example.org) and example.net."
    assert links(text) == ("https://b.example.com/x", "http://a.example.org", "example.net")
    assert links("No. Such thing, e.g. v1.2 or me@example.com") == ()


@pytest.mark.parametrize(
    ("character", "weight"),
    [
        ("\u10ff", 1),
        ("\u1100", 2),
        ("\u1fff", 2),
        ("\u2000", 1),
        ("\u200d", 1),
        ("\u200e", 2),
        ("\u2010", 1),
        ("\u201f", 1),
        ("\u2020", 2),
        ("\u2032", 1),
        ("\u2037", 1),
        ("\u2038", 2),
    ],
)
def test_light_characters_end_where_x_says(character: str, weight: int) -> None:
    assert weigh(f"a{character}a").weighted_length == 2 + weight


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("a" * 10, 10),
        ("é" * 10, 10),
        ("漢" * 10, 20),
        ("😀", 2),
        ("👩‍👩‍👧‍👦", 2),
        ("🇩🇪", 2),
        ("\u201cquoted\u201d \u2013 dash\u2026", 17),
        ("https://example.com/" + "x" * 200, 23),
        ("http://a.co", 23),
        ("example.com", 23),
        ("e\u0301", 1),
    ],
)
def test_a_text_weighs_what_x_weighs_it(text: str, length: int) -> None:
    assert weigh(text).weighted_length == length


TOKENS = (
    "a|b.|com|co.uk|.|-|_|/|?|#|@|$|http://|https://|HTTPS://|t.co/|漢|字.|é|e\u0301|.com|.jp|한국|xn--p1ai| "
    "|\n|\r|(|)|~|!|:80|=|&|\u017f|\u212a|://|\u200f|\ufeff|😀|example.com|www_x.|👩\u200d👩\u200d👧|1\ufe0f\u20e3|"
    "🇩|\u2014|\u2028|\u1100|\u1161|t.co/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)
token_texts = st.lists(st.sampled_from(TOKENS.split("|")), max_size=40).map("".join)


@given(text=token_texts | st.text(max_size=300))
@example(text="\u00fc.de")
@example(text="a.com.\u65e5.de")
@example(text="a.\ud55c\uad6d")
@example(text="http:// b.com")
@example(text="_a.de")
@example(text="\u00fc_t.co/")
@example(text="t.co/\u65e5t.co/")
@example(text="com.de?http://b\u00fc\u00fc.com")
def test_every_link_and_weight_is_twitter_texts_own(text: str) -> None:
    theirs = [(found["url"], *found["indices"]) for found in extract_urls_with_indices(text)]
    assert [(link.url, link.start, link.end) for link in find_links(text)] == theirs
    parsed = parse_tweet(text)
    assert weigh(text) == TextWeight(weighted_length=parsed.weightedLength, valid=parsed.valid)


HOSTILE = (
    "a.|漢|漢.|a_.|x.co.|a.co/(|a.co/(a)|(a(b)c)|http://|a.xn--|漢.com |.|\u0315\u0300|$A |1|👨|\u200d|@"
    "|e.g. |漢.com_|a.com.| |\n \n|a.co?!"
)


@pytest.mark.parametrize("token", HOSTILE.split("|"))
@pytest.mark.parametrize("size", [280, MOST_CHARACTERS, 1_000_000])
def test_a_hostile_text_takes_time_that_grows_with_its_length_alone(token: str, size: int) -> None:
    text = f"漢a.co/{token * (size // len(token))}!漢.co_"
    started = process_time()
    sent = normalise(text)
    weigh(sent)
    links(sent)
    fingerprint(sent)
    # A square of the length takes these sizes from seconds to hours.
    assert process_time() - started < 3


def test_a_text_beyond_any_counting_weighs_its_characters_and_does_not_go() -> None:
    assert weigh("a" * MOST_CHARACTERS) == TextWeight(weighted_length=MOST_CHARACTERS, valid=False)
    assert weigh("a" * 100_000) == TextWeight(weighted_length=100_000, valid=False)
    assert weigh("https://example.com/" + "b" * 4000).valid


def test_a_run_of_accents_is_not_composed() -> None:
    run = "a" + "\u0315\u0300" * 300
    assert normalise(run) == run
    assert not weigh(run).valid
    assert fingerprint(run) != fingerprint("a")


# Of several of Unicode's combining classes, an overlay's among them, which is the lowest.
@pytest.mark.parametrize("accent", ["\u0338", "\u0300", "\u0345"])
def test_a_text_is_beyond_counting_from_501_accents_or_ten_thousand_and_one_characters(accent: str) -> None:
    assert [is_too_long("a" + accent * accents) for accents in (499, 500, 501)] == [False, False, True]
    assert [is_too_long("a" * 500 + f"b{accent}" * number) for number in (1, 501)] == [False, False]
    assert [is_too_long("a" * characters) for characters in (10_000, 10_001)] == [False, True]
    assert links("a.com " + "b" * 9_990 + " c.com") == ("a.com",)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\t c", "a b c"),
        ("a\x07b", "a b"),
        ("a\u200bb\u00adc\ufeff", "abc"),
        ("e\N{COMBINING ACUTE ACCENT}", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("\N{WOMAN}\u200d\N{MICROSCOPE}", "\N{WOMAN}\u200d\N{MICROSCOPE}"),
    ],
)
def test_one_line_shows_no_control_characters_and_keeps_joined_emoji_together(text: str, line: str) -> None:
    assert one_line(text) == line

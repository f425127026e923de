"""Each rule that a text can break, at its edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.content.drafts import DraftRequest, SourceItem
from bot.core.content.guard import against_all, judge
from bot.core.content.rules import WrittenFrom
from bot.core.content.text import fingerprint
from bot.core.model import Source

URL = "https://tides.example.com/why"
FAMILY = "👩‍👩‍👧‍👦"


def rules(text: str, *, recent: tuple[str, ...] = (), allowed: tuple[str, ...] | None = None) -> list[str]:
    judgement = judge(text, recent_fingerprints={fingerprint(one) for one in recent}, allowed_links=allowed)
    assert judgement.valid == (not judgement.problems)
    return [problem.rule for problem in judgement.problems]


@pytest.mark.parametrize(
    ("unit", "count"),
    [("a", 280), ("é", 280), ("e\u0301", 280), ("漢", 140), ("😀", 140), (FAMILY, 140), ("🇩🇪", 140)],
)
def test_a_text_of_280_goes_and_one_more_does_not(unit: str, count: int) -> None:
    assert rules(unit * count) == []
    assert judge(unit * count).weighted_length == 280
    assert rules(unit * count + "a") == ["length"]
    assert rules(unit * (count + 1)) == ["length"]


@pytest.mark.parametrize("url", ["https://example.com/" + "x" * 300, "http://a.co", "example.com"])
def test_an_address_weighs_23_however_long_it_is(url: str) -> None:
    assert rules(f"{'a' * 256} {url}") == []
    assert rules(f"{'a' * 257} {url}") == ["length"]


def test_two_addresses_weigh_46() -> None:
    assert rules(f"{'a' * 232} {URL} {URL}") == []
    assert rules(f"{'a' * 233} {URL} {URL}") == ["length"]


def test_outer_blanks_weigh_nothing_because_they_are_not_sent() -> None:
    judgement = judge(f"  \n{'a' * 280}\n  ")
    assert judgement.valid
    assert judgement.text == "a" * 280


def test_a_text_that_is_too_long_is_told_by_how_much() -> None:
    judgement = judge("漢" * 150)
    assert judgement.weighted_length == 300
    assert judgement.problems[0].message == "the weighted length is 300, 20 over 280"


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u00a0\u3000", "\u2028"])
def test_a_text_of_blanks_is_empty(text: str) -> None:
    judgement = judge(text)
    assert (judgement.text, judgement.weighted_length, judgement.valid) == ("", 0, False)
    assert rules(text) == ["empty"]


@pytest.mark.parametrize(
    "text", ["\u200b", "\u200b\u200d\u200c", "\u2060", " \u200b \u200b ", "\u00ad", "\u202e", "\ufeff"]
)
def test_a_text_that_shows_nothing_does_not_go(text: str) -> None:
    assert not judge(text).valid


@pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\ufeff"])
def test_characters_that_x_refuses_do_not_go(character: str) -> None:
    assert rules(f"The tide{character} turns") == ["characters"]


@pytest.mark.parametrize("text", ["half an emoji \ud83d", "\udcff from a broken terminal"])
def test_half_a_character_is_a_problem_of_the_text_and_not_of_the_guard(text: str) -> None:
    assert not judge(text).valid


def test_a_text_this_account_has_already_is_a_duplicate() -> None:
    assert rules("The tide turns.", recent=("The tide turns.",)) == ["duplicate"]
    assert rules(" The  tide\nturns. ", recent=("The tide turns.",)) == ["duplicate"]
    assert rules("Café", recent=("Cafe\u0301",)) == ["duplicate"]
    assert rules("The tide turned.", recent=("The tide turns.", "Ebb")) == []


def test_the_same_text_with_another_link_is_a_duplicate() -> None:
    assert rules(f"Why two tides? {URL}", recent=("Why two tides? https://example.org",)) == ["duplicate"]


def test_only_the_sources_own_address_may_be_linked() -> None:
    assert rules(f"Why? {URL}", allowed=(URL,)) == []
    assert rules(f"Why? {URL}.", allowed=(URL,)) == []
    assert rules(f"Why? {URL}/", allowed=(URL,)) == ["invented_link"]
    assert rules("Why? https://evil.example.org", allowed=(URL,)) == ["invented_link"]
    assert rules("Why? example.org", allowed=(URL,)) == ["invented_link"]
    assert rules(f"Why? {URL}", allowed=()) == ["invented_link"]


def test_each_invented_link_is_named() -> None:
    judgement = judge(f"See https://a.example.org, {URL} and b.example.org", allowed_links={URL})
    assert [problem.message for problem in judgement.problems] == [
        "https://a.example.org is not the source's own address",
        "b.example.org is not the source's own address",
    ]


def test_an_authors_own_text_may_link_anywhere() -> None:
    assert rules("Why? https://anywhere.example.org") == []


@pytest.mark.parametrize(
    "text", ["$AAPL rose", "It cost $5 and $10.50", "US$ABC $TSLA", "$$$ $TSLA", "$TSLA's"]
)
def test_one_cashtag_goes(text: str) -> None:
    assert rules(text) == []


@pytest.mark.parametrize("text", ["$AAPL $TSLA", "$aapl, $tsla", "$BRK.A and $BRK.B", "($AAPL) ($TSLA)!"])
def test_two_cashtags_do_not_go(text: str) -> None:
    assert rules(text) == ["cashtags"]


def test_the_cashtags_are_named() -> None:
    assert judge("$AAPL and $BRK.B").problems[0].message == "2 cashtags ($AAPL, $BRK.B): one is allowed"


def test_a_text_beyond_any_counting_is_told_by_its_characters() -> None:
    judgement = judge(f" {'a.' * 50_000}b ", allowed_links=())
    assert judgement.weighted_length == 100_001
    (problem,) = judgement.problems
    assert problem.rule == "length"
    assert "100001 characters" in problem.message


def test_of_many_cashtags_and_links_the_first_are_named() -> None:
    found = judge("$AAPL " * 1000 + "a.example.org " * 200, allowed_links=()).problems
    assert [problem.rule for problem in found] == ["length", "cashtags"] + ["invented_link"] * 12
    assert found[1].message.startswith("1000 cashtags ($AAPL, ")
    assert len(found[1].message) < 200


def test_every_broken_rule_is_told_at_once() -> None:
    text = f"$AAPL $TSLA {'a' * 280} https://evil.example.org"
    assert rules(text, recent=(text,), allowed=()) == ["length", "cashtags", "invented_link", "duplicate"]


ITEM = SourceItem(
    source=Source(id="1", kind="feed", title="Tides of 2026", location="feed", url=URL),
    text="A tide rises 12,000 mm in 6.2 hours. Ask @ada about #moons.",
)


def broken(text: str, *, persona: str | None = None, avoid: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    request = DraftRequest(items=(ITEM,), persona=persona, avoid=avoid)
    judgement = judge(text, allowed_links=(URL,), given=WrittenFrom(item=ITEM, request=request))
    return [(problem.rule, problem.message) for problem in judgement.problems]


@pytest.mark.parametrize(
    ("text", "rule", "named"),
    [
        ("See https://evil.example.org for tides", "invented_link", "https://evil.example.org"),
        ("See gopher://tides for more", "invented_link", "it holds a link"),
        ("Ask @ada or \uff20bob about tides", "mention", "@ada, \uff20bob"),
        ("The tide turns #moons #sea", "hashtag", "#moons, #sea"),
        ("The tide rises 13,000 mm in 7 hours", "invented_number", "13,000, 7"),
        (f" {URL} ", "empty", "empty"),
    ],
)
def test_a_writers_own_words_keep_to_their_source(text: str, rule: str, named: str) -> None:
    ((found, message),) = broken(text)
    assert found == rule
    assert named in message
    # A person says what they like, as far as links are theirs.
    assert [problem.rule for problem in judge(text, allowed_links=(URL,)).problems] in ([], ["invented_link"])


@pytest.mark.parametrize(
    "text",
    [
        f"In 2026 a tide rises 12000 mm {URL}",
        "A tide rises 12,000 mm in 6.2 hours",
        "Tide number # one",
    ],
)
def test_words_of_the_source_and_its_own_link_go(text: str) -> None:
    assert broken(text) == []


def test_numbers_and_names_of_the_sources_own_link_are_not_the_writers() -> None:
    link = "https://example.org/@ada/2031"
    item = SourceItem(source=ITEM.source, text="The tide turns.")
    given = WrittenFrom(item=item, request=DraftRequest(items=(item,)))
    assert judge(f"The tide turns {link}", allowed_links=(link,), given=given).valid


def test_hashtags_go_where_the_persona_asks_for_them() -> None:
    assert broken("The tide turns #moons", persona="Ends with a Hashtag") == []
    assert [rule for rule, _ in broken("Tide 2026 #2026", persona=None)] == []


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("The tide turns twice", True),
        ("tide TURNS", True),
        ("The tide turns twice daily", True),
        ("The tide turns again and again", False),
    ],
)
def test_what_an_earlier_post_said_is_not_said_again(text: str, repeats: bool) -> None:
    found = broken(text, avoid=("Ebb and flow", "Here the tide turns twice!"))
    assert [rule for rule, _ in found] == ["repetition"] * repeats


def test_what_stands_against_a_thread_is_all_that_stands_against_its_parts() -> None:
    parts = [judge("fine"), judge(""), judge("fine ")]
    assert [problem.rule for problem in against_all(parts)] == ["empty", "duplicate"]
    assert against_all([judge("fine"), judge("also fine")]) == ()


@given(text=st.text(max_size=400))
def test_any_text_gets_a_judgement_of_what_would_be_sent(text: str) -> None:
    judgement = judge(text)
    assert judge(judgement.text) == judgement
    if judgement.valid:
        assert 0 < judgement.weighted_length <= 280
        assert judgement.text.strip()

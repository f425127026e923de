"""Hostile texts: `python -m benchmarks hostile --texts 10000 --seed 1`.

Each text is given to `check`, and as a note, a page and a feed to the sources' parser. Prints for each
kind of text the slowest answer and how many documents were abandoned; ends with 1 when an answer
took longer than a second. The same seed draws the same texts.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bot.core.content.guard import judge  # noqa: E402 - the path comes first
from bot.sources.entry import Unreadable  # noqa: E402 - same
from bot.sources.fetch import Body  # noqa: E402 - same
from bot.sources.parser import PARSE_SECONDS, Abandoned, Parser  # noqa: E402 - same

MOST_SECONDS = 1.0
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SENTENCE = "Rain fell on the northern hills for nine days, and the reservoirs are full again. "
ROW = "{:<12} {:<6} {:>6} {:>9} {:>9} {:>10}"
Maker = Callable[[random.Random, int], str]


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A text, with the kind that it is of and the charset that it claims."""

    kind: str
    text: str
    charset: str = ""


@dataclass
class Tally:
    """The answers to one kind of text at one place."""

    texts: int = 0
    abandoned: int = 0
    seconds: list[float] = field(default_factory=list)


def _repeated(tokens: Sequence[str]) -> Maker:
    def make(rng: random.Random, size: int) -> str:
        token = "".join(rng.choices(tokens, k=rng.randint(1, 3)))
        return rng.choice(["", SENTENCE]) + token * (size // len(token) + 1) + rng.choice(["", "!", SENTENCE])

    return make


def _nested(rng: random.Random, size: int) -> str:
    opening, closing = rng.choice(
        [
            ("[", "]"),
            ("(", ")"),
            ("> ", ""),
            ("- ", ""),
            ("**", "**"),
            ("<div>", "</div>"),
            ("<b>", ""),
            ("![", "](x)"),
            ("<table><tr><td>", ""),
            ("`", "`"),
            ("<ul><li>", ""),
            ("{", "}"),
            ("<a href='x'>", ""),
            ("*_", "_*"),
        ]
    )
    depth = size // (len(opening) + len(closing))
    return opening * depth + SENTENCE + closing * depth


def _attributes(rng: random.Random, size: int) -> str:
    tag = rng.choice(["p", "a", "h1", "title", "img", "item"])
    value = rng.choice(
        [f'x="{"a" * size}"', "a=b " * (size // 4), '"' * size, "=" * size, f"href='{'&amp;' * (size // 5)}"]
    )
    return f"<{tag} {value}{rng.choice(['>', ''])}{SENTENCE}"


def _entities(rng: random.Random, size: int) -> str:
    entity = rng.choice(
        ["&amp;", "&#x41;", "&lt;", "&", "&#", "&#99999999999;", "&x;", "&amp;amp;", "&lt;b&gt;"]
    )
    return SENTENCE + entity * (size // len(entity))


def _deep_xml(rng: random.Random, size: int) -> str:
    if rng.random() < 0.3:
        lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
        return f'<!DOCTYPE rss [<!ENTITY a0 "aaaaaaaaaa">{lines}]><rss><channel><item><title>&a9;</title>'
    name = rng.choice(["a", "item", "channel", "x:y", "description"])
    return f"<rss><channel>{f'<{name}>' * (size // (len(name) + 2))}{SENTENCE}"


def _long_line(rng: random.Random, size: int) -> str:
    return "".join(rng.choices("ab .,:;-_/#@$`*[]()<>\\|=~\u6f22\u00e9", k=min(size, 50_000))) * (
        size // 50_000 + 1
    )


def _many_lines(rng: random.Random, size: int) -> str:
    line = rng.choice(
        [
            "\n",
            " \n",
            "---\n",
            "| a | b |\n",
            "# a\n",
            "- a\n",
            "> \n",
            ".. a::\n",
            "a\n=\n",
            "\t\n",
            ":a: b\n",
            "1. a\n",
        ]
    )
    return rng.choice(["", "---\n", SENTENCE + "\n"]) + line * (size // len(line))


def _any_characters(rng: random.Random, size: int) -> str:
    return "".join(
        chr(rng.choice([rng.randrange(32, 0xD800), rng.randrange(0x10000, 0x110000)]))
        for _ in range(min(size, 20_000))
    )


KINDS: dict[str, Maker] = {
    "nesting": _nested,
    "expressions": _repeated(
        [
            "a.",
            "\u6f22",
            "\u6f22.com ",
            "a_.",
            "co.",
            "a.co/(",
            "(a)",
            "http://",
            "xn--",
            "@",
            "$A ",
            "#a",
            "e.g. ",
            "-",
            "1",
            "::",
        ]
    ),
    "unclosed": _repeated(
        [
            "<!--",
            "<h1>",
            "<script>",
            "<![CDATA[",
            "<!DOCTYPE",
            "```",
            "[a](",
            "<a href=",
            "**a ",
            "`a",
            "<",
            "<?",
            "<style>",
            "![",
            "<title",
        ]
    ),
    "blanks": _repeated(
        [" ", "\t", "\n", "\u00a0", " \n", "\r", "\u3000", "\x0b", "\u2028", "&nbsp;", "<br>"]
    ),
    "unicode": _repeated(
        [
            "\u0315\u0300",
            "\u200b",
            "\u202e",
            "\U0001f468\u200d",
            "\ufe0f",
            "\u0301",
            "\U000e0041",
            "\ufdfa",
            "\u1100",
            "\ufeff",
            "\u200d",
        ]
    ),
    "attributes": _attributes,
    "entities": _entities,
    "xml": _deep_xml,
    "long_line": _long_line,
    "many_lines": _many_lines,
    "characters": _any_characters,
}
CHARSETS = (
    "",
    "",
    "",
    "undefined",
    "punycode",
    "idna",
    "utf-7",
    "unicode_escape",
    "rot13",
    "utf-16",
    "hz",
    "big5",
    "zlib",
    "\u00e9",
)


def draw(rng: random.Random) -> Hostile:
    """Draws a text of up to 300,000 characters."""
    kind = rng.choice(list(KINDS))
    size = int(10 ** rng.uniform(1, 5.48))
    return Hostile(kind=kind, text=KINDS[kind](rng, size), charset=rng.choice(CHARSETS))


def bodies(hostile: Hostile) -> dict[str, Body]:
    """The text as each kind of document."""
    text, charset = hostile.text, f"; charset={hostile.charset}" if hostile.charset else ""
    forms = {
        "note": ("text/markdown", text),
        "page": ("text/html", f"<!doctype html><html><head><title>A</title></head><body><p>{text}"),
        "feed": (
            "application/xml",
            f'<?xml version="1.0"?><rss version="2.0"><channel><item><summary>{text}</summary>',
        ),
    }
    return {
        place: Body(content=content.encode(errors="replace"), content_type=kind + charset)
        for place, (kind, content) in forms.items()
    }


def measured(work: Callable[[], object], tally: Tally) -> None:
    """Adds an answer to the tally; that there is nothing to read is an answer."""
    started = perf_counter()
    try:
        work()
    except Abandoned:
        tally.abandoned += 1
    except Unreadable:
        pass
    tally.texts += 1
    tally.seconds.append(perf_counter() - started)


def play(texts: int, *, seed: int, parse_seconds: float = PARSE_SECONDS) -> dict[tuple[str, str], Tally]:
    """Gives so many texts to every place; the parser is started and warm before the first."""
    rng = random.Random(seed)  # noqa: S311 - draws texts, guards nothing
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    with Parser(seconds=parse_seconds) as parser:
        for body in bodies(Hostile(kind="", text=SENTENCE)).values():
            parser.read(body, name="warm", now=NOW)
        judge(SENTENCE)
        for _ in range(texts):
            hostile = draw(rng)
            measured(lambda: judge(hostile.text, allowed_links=()), tallies[hostile.kind, "check"])  # noqa: B023
            for place, body in bodies(hostile).items():
                measured(lambda: parser.read(body, name="a", now=NOW), tallies[hostile.kind, place])  # noqa: B023
    return tallies


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays the texts and prints a row for each kind and place."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=10_000, help="how many texts are drawn; 10000")
    parser.add_argument("--seed", type=int, default=1, help="draws the texts; 1")
    parser.add_argument("--json", action="store_true", help="prints one JSON object")
    options = parser.parse_args(arguments)
    tallies = play(options.texts, seed=options.seed)
    rows = [
        {
            "kind": kind,
            "place": place,
            "texts": tally.texts,
            "abandoned": tally.abandoned,
            "median_s": round(sorted(tally.seconds)[len(tally.seconds) // 2], 4),
            "worst_s": round(max(tally.seconds), 4),
        }
        for (kind, place), tally in sorted(tallies.items())
    ]
    worst = max(max(tally.seconds) for tally in tallies.values())
    late = sum(second > MOST_SECONDS for tally in tallies.values() for second in tally.seconds)
    abandoned = sum(tally.abandoned for tally in tallies.values())
    if options.json:
        print(json.dumps({"rows": rows, "worst_s": round(worst, 4), "abandoned": abandoned, "late": late}))
    else:
        print(ROW.format("kind", "place", "texts", "abandoned", "median_s", "worst_s"))
        for row in rows:
            print(ROW.format(*row.values()))
        told = f"worst {worst:.3f} s, {abandoned} abandoned, {late} took more than a second"
        print(f"{options.texts} texts: {told}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())

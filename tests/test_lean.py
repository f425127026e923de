"""What the program loads: nothing that others bring along and nobody uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADS = "import bot.bootstrap, bot.logs, sys; from bot.core.content.text import weigh; weigh('Rain.')"


def loaded(code: str, name: str) -> bool:
    asked = [sys.executable, "-c", f"{code}; print({name!r} in sys.modules)"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "True"


@pytest.mark.parametrize("name", ["rich", "pkg_resources", "cryptography"])
def test_the_worker_loads_no_module_that_only_others_ask_for(name: str) -> None:
    assert not loaded(LOADS, name)


def test_what_is_loaded_already_is_left_alone() -> None:
    code = "import rich, sys; seen = rich; import bot.logs; assert sys.modules['rich'] is seen"
    assert loaded(code, "rich")


def test_a_text_weighs_as_much_as_with_the_package_as_it_comes() -> None:
    weigh = "print(parse_tweet('\\N{WOMAN}\\u200d\\N{MICROSCOPE} of https://example.com').weightedLength)"
    with_it = (
        f"import warnings; warnings.simplefilter('ignore'); from twitter_text import parse_tweet; {weigh}"
    )
    without = f"from bot.lean import load_twitter_text; load_twitter_text(); {with_it}"
    found = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for code in (with_it, without)
    ]
    assert found[0] == found[1]
    assert int(found[0]) == 2 + 4 + 23
